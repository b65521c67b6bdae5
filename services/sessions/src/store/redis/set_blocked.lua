#!lua flags=allow-oom
-- Notes whether a user is blocked, if that is news, and marks the user's sessions, or takes the mark off.
--
-- KEYS[1] the user's account, KEYS[2] the user's sessions
-- ARGV[1] the user's version, ARGV[2] '1' for blocked, ARGV[3] the revocation's stamp, ARGV[4] what precedes a token's hash
-- in a session's key, ARGV[5] how long the account is kept at least, in milliseconds
-- Gives how many sessions it changed.
-- Repeatable: the second time it is no news.
local known = redis.call('HGET', KEYS[1], 'version')
if known and tonumber(known) >= tonumber(ARGV[1]) then
  return 0
end
local changed = 0
for _, hash in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local session = ARGV[4] .. hash
  if ARGV[2] == '0' then
    changed = changed + redis.call('HDEL', session, 'blocked')
  elseif redis.call('EXISTS', session) == 1 then
    -- Not on one that has ended: this would make half a session out of nothing.
    changed = changed + redis.call('HSET', session, 'blocked', '1')
  end
end
-- Last: a script that broke off in the marking (the session's key was not declared, and a cluster may be moving the slot) has
-- to do it all when it is repeated.
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'blocked', ARGV[2])
if ARGV[2] == '1' then
  local before = redis.call('HGET', KEYS[1], 'revocation')
  if not before or tonumber(before) < tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[1], 'revocation', ARGV[3])
  end
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return changed
