-- Puts the times of attempts as another store had them, in the place of what is there. Their names cannot be stamps.
--
-- KEYS[1] failures, or attempts under way (see admit.lua)
-- ARGV[1] when they are forgotten, in milliseconds, ARGV[2]… times in microseconds
-- Repeatable: it says all there is.
redis.call('DEL', KEYS[1])
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], ARGV[i], 'moved-' .. i)
end
return redis.call('PEXPIREAT', KEYS[1], ARGV[1])
