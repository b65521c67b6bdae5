-- Event id, event, reason, tries, id of this call, most letters. Gives 0 when there are as many as are kept.
local META, LETTERS, ORDER, REPLAYED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local event, call = ARGV[1], ARGV[5]
local time = redis.call('TIME')
if redis.call('ZSCORE', ORDER, event) then
  -- The same call once more: its answer was lost.
  if redis.call('HGET', LETTERS, event .. ':call') == call then return 1 end
  redis.call('HINCRBY', LETTERS, event .. ':attempts', ARGV[4])
else
  if redis.call('ZCARD', ORDER) - redis.call('ZCARD', REPLAYED) >= tonumber(ARGV[6]) then return 0 end
  redis.call('ZADD', ORDER, redis.call('HINCRBY', META, 'letters', 1), event)
  redis.call('HSET', LETTERS, event .. ':event', ARGV[2], event .. ':attempts', ARGV[4],
    event .. ':at', time[1] * 1000 + math.floor(time[2] / 1000))
end
redis.call('HSET', LETTERS, event .. ':error', ARGV[3], event .. ':call', call)
redis.call('HDEL', LETTERS, event .. ':replayed')
redis.call('ZREM', REPLAYED, event)
return 1
