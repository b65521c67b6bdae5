-- A shelf, unless it has expired by the caller's clock. Notes that it was asked for.
--
-- KEYS: the shelf, the sorted set of shelves by when they were asked for. ARGV: now, in ms.
-- Gives stamp and shelf; empty when there is none.
local stamp, text, expires_at = unpack(redis.call('HMGET', KEYS[1], 'stamp', 'shelf', 'expires_at'))
if not stamp or tonumber(expires_at) <= tonumber(ARGV[1]) then
  return {}
end
redis.call('ZADD', KEYS[2], 'GT', ARGV[1], KEYS[1])
return { stamp, text }
