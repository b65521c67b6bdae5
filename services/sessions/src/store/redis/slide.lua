#!lua flags=allow-oom
-- Moves a session's expiry, never back, and never that of a session that has ended or expired meanwhile.
--
-- KEYS[1] the session
-- ARGV[1] now, ARGV[2] the new expiry, in microseconds, ARGV[3] when the session may be forgotten, in milliseconds
-- Gives expiry and mark as they are then, or nothing when there is no such session.
-- Repeatable: the second time, the expiry is there already.
local session = redis.call('HMGET', KEYS[1], 'expires_at', 'blocked')
if not session[1] or tonumber(session[1]) <= tonumber(ARGV[1]) then
  return false
end
if tonumber(session[1]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'expires_at', ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
  session[1] = ARGV[2]
end
return session
