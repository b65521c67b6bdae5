#!lua flags=allow-oom
-- Corrects what is noted of a user, as long as it is what was found to be wrong, and marks the user's sessions accordingly.
--
-- KEYS[1] the user's account, KEYS[2] the user's sessions
-- ARGV[1] the version and ARGV[2] the mark ('1' for blocked) that were found, ARGV[3] and ARGV[4] those that are right,
-- ARGV[5] the revocation's stamp, ARGV[6] what precedes a token's hash in a session's key, ARGV[7] how long the account is kept at
-- least, in milliseconds
-- Gives 1, or 0 when it is not what was found any more.
-- Repeatable: the second time it is not what was found.
local known = redis.call('HMGET', KEYS[1], 'version', 'blocked')
if (known[1] or '0') ~= ARGV[1] or (known[2] or '0') ~= ARGV[2] then
  return 0
end
for _, hash in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local session = ARGV[6] .. hash
  if ARGV[4] == '0' then
    redis.call('HDEL', session, 'blocked')
  elseif redis.call('EXISTS', session) == 1 then
    redis.call('HSET', session, 'blocked', '1')
  end
end
-- Last, as in set_blocked.lua.
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'blocked', ARGV[4])
if ARGV[4] == '1' then
  local before = redis.call('HGET', KEYS[1], 'revocation')
  if not before or tonumber(before) < tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[1], 'revocation', ARGV[5])
  end
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[7]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
end
return 1
