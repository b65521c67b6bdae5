-- The beginning of every script that writes to a cart: the state the cart is in, and how a write ends.
--
-- KEYS[1]  the cart, a hash: revision, updated_at, expires_at, and for each product "<quantity> <added at>".
--          While a merge is under way: merge_id, and merge_user (whose cart takes the lines) as well.
-- ARGV[1]  now
-- ARGV[2]  the cart's new expires_at
-- ARGV[3]  the same in milliseconds, rounded up, for the server's own expiry
-- ARGV[4]  a merge of which the caller knows how it ended, or ''
-- ARGV[5]  how it ended: 'applied' or 'cancelled'
--
-- Times are microseconds since 1970 and stay text. A Lua number holds them exactly (they are below 2^53), which is enough to
-- compare them; made text again, it would lose digits.
local cart, now = KEYS[1], tonumber(ARGV[1])
-- revision, updated_at, expires_at
local FIELDS_BESIDE_LINES = 3

-- 'none', 'live', or 'frozen' by a merge of which the caller does not know how it ended.
local function state()
  local expires_at, merge_id = unpack(redis.call('HMGET', cart, 'expires_at', 'merge_id'))
  if not expires_at then
    return 'none'
  end
  -- The server's expiry goes by its own clock; what counts is the service's.
  if tonumber(expires_at) <= now then
    redis.call('DEL', cart)
    return 'none'
  end
  if not merge_id then
    return 'live'
  end
  if merge_id ~= ARGV[4] then
    return 'frozen'
  end
  if ARGV[5] == 'applied' then
    -- The lines are in the customer's cart; only the tidying up had not come yet.
    redis.call('DEL', cart)
    return 'none'
  end
  redis.call('HDEL', cart, 'merge_id', 'merge_user')
  return 'live'
end

-- Ends a write: counts it if it changed something, moves the expiry, gives the cart.
local function keep(changed)
  if changed then
    redis.call('HINCRBY', cart, 'revision', 1)
    redis.call('HSET', cart, 'updated_at', ARGV[1], 'expires_at', ARGV[2])
  else
    redis.call('HSET', cart, 'expires_at', ARGV[2])
  end
  redis.call('PEXPIREAT', cart, ARGV[3])
  return redis.call('HGETALL', cart)
end

-- The quantity and the time in a line.
local function read_line(line)
  return string.match(line, '^(%d+) (%d+)$')
end

