-- Sets the quantity of a product.
--
-- ARGV[6]  product
-- ARGV[7]  quantity
-- ARGV[8]  most lines of a cart
--
-- Gives the cart (with merge_id in it: nothing was done, settle that merge first), or nil: it is full.
-- Repeatable: the second time, the quantity is there already.
local product, quantity = ARGV[6], ARGV[7]
if state() == 'frozen' then
  return redis.call('HGETALL', cart)
end
local line = redis.call('HGET', cart, product)
if line then
  local before, added_at = read_line(line)
  if before == quantity then
    return keep(false)
  end
  -- A line keeps the time it came in.
  redis.call('HSET', cart, product, quantity .. ' ' .. added_at)
  return keep(true)
end
if redis.call('HLEN', cart) - FIELDS_BESIDE_LINES >= tonumber(ARGV[8]) then
  return false
end
redis.call('HSET', cart, product, quantity .. ' ' .. ARGV[1])
return keep(true)
