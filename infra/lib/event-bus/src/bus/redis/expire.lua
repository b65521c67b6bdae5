-- Age (ms), most letters. Removes letters that were replayed so long ago; gives how many.
local LETTERS, ORDER, REPLAYED = KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local events = redis.call('ZRANGEBYSCORE', REPLAYED, '-inf', before, 'LIMIT', 0, ARGV[2])
for _, event in ipairs(events) do
  redis.call('HDEL', LETTERS, event .. ':event', event .. ':error', event .. ':attempts', event .. ':at',
    event .. ':replayed', event .. ':call')
  redis.call('ZREM', ORDER, event)
  redis.call('ZREM', REPLAYED, event)
end
return #events
