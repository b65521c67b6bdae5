-- Takes everything out of a cart. The cart stays, with its revision: a refilled cart must not look like the one before.
--
-- Gives the cart (with merge_id in it: nothing was done, settle that merge first); empty when there is none.
-- Repeatable: the second time, there is nothing left to take out.
if state() ~= 'live' then
  return redis.call('HGETALL', cart)
end
if redis.call('HLEN', cart) == FIELDS_BESIDE_LINES then
  return keep(false)
end
local revision, updated_at = unpack(redis.call('HMGET', cart, 'revision', 'updated_at'))
redis.call('DEL', cart)
redis.call('HSET', cart, 'revision', revision, 'updated_at', updated_at)
return keep(true)
