-- Takes a product out of a cart.
--
-- ARGV[6]  product
--
-- Gives the cart (with merge_id in it: nothing was done, settle that merge first); empty when there is none.
-- Repeatable: the second time, the product is gone already.
local now_is = state()
if now_is == 'live' then
  return keep(redis.call('HDEL', cart, ARGV[6]) == 1)
end
return redis.call('HGETALL', cart)
