-- Takes bought units off a customer's cart, once a saga.
--
-- KEYS[2]  the saga's mark, in the same slot as the cart; its value is until when it counts
-- ARGV[6]  until when the mark is to count
-- ARGV[7]  the same in milliseconds, rounded up
-- ARGV[8]… product, units, product, units…
--
-- Gives the cart, which may have expired; empty when there is none.
-- Repeatable: the mark and the change are written together, and the second time the mark is there.
local marked = redis.call('GET', KEYS[2])
if marked and tonumber(marked) > now then
  return redis.call('HGETALL', cart)
end
redis.call('SET', KEYS[2], ARGV[6], 'PXAT', ARGV[7])
if state() == 'none' then
  return {}
end
local changed = false
for i = 8, #ARGV, 2 do
  local product = ARGV[i]
  local line = redis.call('HGET', cart, product)
  if line then
    local quantity, added_at = read_line(line)
    local left = tonumber(quantity) - tonumber(ARGV[i + 1])
    if left > 0 then
      redis.call('HSET', cart, product, left .. ' ' .. added_at)
    else
      redis.call('HDEL', cart, product)
    end
    changed = true
  end
end
return keep(changed)
