#!lua flags=allow-oom
-- Ends all sessions of a user, those included that are being verified at this moment.
--
-- KEYS[1] the user's account, KEYS[2] the user's sessions
-- ARGV[1] the revocation's stamp, ARGV[2] what precedes a token's hash in a session's key, ARGV[3] how long the account is
-- kept at least, in milliseconds
-- Gives how many there were.
-- Repeatable: the second time there are none, or only such as began after the first; those may be ended as well, since
-- whoever asked for this has no answer yet.
local before = redis.call('HGET', KEYS[1], 'revocation')
if not before or tonumber(before) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'revocation', ARGV[1])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
local ended = 0
for _, hash in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  ended = ended + redis.call('DEL', ARGV[2] .. hash)
end
redis.call('DEL', KEYS[2])
return ended
