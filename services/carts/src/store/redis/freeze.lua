-- The first step of a merge, at the visitor's cart: from here on its lines stand still.
--
-- ARGV[6]  the attempt, a random id
-- ARGV[7]  the customer whose cart is to take the lines
--
-- Gives the cart with merge_id and merge_user: of this merge, or of one that is under way already. Empty when there is
-- nothing to merge; an empty cart is removed, as a merged one will be.
-- Repeatable: the second time, the cart is frozen already. If that merge has ended meanwhile, and a new cart was begun, then
-- this begins a merge of its own: the server's time makes its id another one. Two merges must never share an id, or the
-- second one's lines would count as applied.
local now_is = state()
if now_is ~= 'live' then
  return redis.call('HGETALL', cart)
end
if redis.call('HLEN', cart) == FIELDS_BESIDE_LINES then
  redis.call('DEL', cart)
  return {}
end
local seconds, microseconds = unpack(redis.call('TIME'))
local merge_id = ARGV[6] .. '.' .. seconds .. '.' .. microseconds
redis.call('HSET', cart, 'merge_id', merge_id, 'merge_user', ARGV[7])
return redis.call('HGETALL', cart)
