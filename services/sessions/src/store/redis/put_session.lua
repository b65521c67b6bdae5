-- Puts a session as another store had it, in the place of what is there.
--
-- KEYS[1] the session, KEYS[2] the user's sessions
-- ARGV[1] the token's hash, ARGV[2] user, ARGV[3] role, ARGV[4] login, ARGV[5] expiry and ARGV[6] end in microseconds, ARGV[7] '1'
-- when the user is blocked, ARGV[8] when the session and ARGV[9] when the set may be forgotten, in milliseconds
-- Repeatable: it says all there is.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'user_id', ARGV[2], 'role', ARGV[3],
  'began_at', ARGV[4], 'expires_at', ARGV[5], 'ends_at', ARGV[6])
if ARGV[7] == '1' then
  redis.call('HSET', KEYS[1], 'blocked', '1')
end
redis.call('PEXPIREAT', KEYS[1], ARGV[8])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if redis.call('PEXPIRETIME', KEYS[2]) < tonumber(ARGV[9]) then
  redis.call('PEXPIREAT', KEYS[2], ARGV[9])
end
return 1
