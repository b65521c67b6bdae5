-- The second step of a merge, at the customer's cart: writes the lines that the rule gave, and with them the merge's
-- receipt. Whether a receipt says that a merge was applied or cancelled, the first one stands: this is the moment at which
-- a merge happens.
--
-- KEYS[2]  the receipt, in the same slot as the customer's cart
-- ARGV[6]  the attempt
-- ARGV[7]  until when the receipt counts, in milliseconds
-- ARGV[8]  revision of the cart that the lines were computed from; '0' for none
-- ARGV[9]  its updated_at; '' for none
-- ARGV[10]… product, line, product, line…: those that change
--
-- Gives the receipt and the cart (which may have expired). An empty receipt: the cart has changed since; compute anew.
-- Repeatable: the second time, the receipt is there, and names the attempt that wrote it.
local receipt = redis.call('GET', KEYS[2])
if receipt then
  return { receipt, redis.call('HGETALL', cart) }
end
local revision, updated_at = '0', ''
if state() == 'live' then
  revision, updated_at = unpack(redis.call('HMGET', cart, 'revision', 'updated_at'))
end
-- Both: a cart that expired and was begun anew may have the same revision, but not the same time.
if revision ~= ARGV[8] or updated_at ~= ARGV[9] then
  return { '', redis.call('HGETALL', cart) }
end
local changed = #ARGV >= 10
if changed then
  redis.call('HSET', cart, unpack(ARGV, 10))
end
redis.call('SET', KEYS[2], ARGV[6], 'PXAT', ARGV[7])
return { ARGV[6], keep(changed) }
