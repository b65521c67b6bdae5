-- Puts a cart as another store had it, in the place of what is there.
--
-- KEYS[1]  the cart
-- ARGV[1]  when it expires, in milliseconds, rounded up
-- ARGV[2]… field, value, field, value…
--
-- Repeatable: it says all there is.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return redis.call('PEXPIREAT', KEYS[1], ARGV[1])
