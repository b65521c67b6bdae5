-- Keeps a shelf; those that were asked for longest ago make room for it.
--
-- KEYS: the shelf, the sorted set. ARGV: stamp, shelf, now and expiry in ms, how many shelves there may be.
-- Keys that make room are named by the sorted set and not by KEYS; they share the hash tag, so they are on this server.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'stamp', ARGV[1], 'shelf', ARGV[2], 'expires_at', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], KEYS[1])
local beyond = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[5])
if beyond > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], beyond)
  for index = 1, #oldest, 2 do
    redis.call('DEL', oldest[index])
  end
end
