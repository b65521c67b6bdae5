-- Ends all sessions of a user but some.
--
-- KEYS[1] the user's sessions
-- ARGV[1] what precedes a token's hash in a session's key, ARGV[2]… the hashes of those that stay
-- Repeatable: the second time there are no others.
local stay = {}
for i = 2, #ARGV do
  stay[ARGV[i]] = true
end
for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if not stay[hash] then
    redis.call('DEL', ARGV[1] .. hash)
    redis.call('ZREM', KEYS[1], hash)
  end
end
return 1
