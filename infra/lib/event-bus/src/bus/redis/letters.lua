-- Lowest and highest id as ZRANGEBYSCORE has them, most letters. Gives id, event, reason, tries, when, replayed of each.
local LETTERS, ORDER = KEYS[2], KEYS[3]
local found = {}
local events = redis.call('ZRANGEBYSCORE', ORDER, ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #events, 2 do
  local event = events[i]
  found[#found + 1] = { events[i + 1], unpack(redis.call('HMGET', LETTERS, event .. ':event', event .. ':error',
    event .. ':attempts', event .. ':at', event .. ':replayed')) }
end
return found
