-- The last step of a merge: removes the visitor's cart, if it is still the one of this merge.
--
-- KEYS[1]  the visitor's cart
-- ARGV[1]  the merge
--
-- Repeatable: the second time, the cart is gone, or another one.
if redis.call('HGET', KEYS[1], 'merge_id') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
