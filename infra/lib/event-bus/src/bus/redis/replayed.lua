-- Id of a letter.
local LETTERS, ORDER, REPLAYED = KEYS[2], KEYS[3], KEYS[4]
local event = redis.call('ZRANGEBYSCORE', ORDER, ARGV[1], ARGV[1])[1]
if not event then return 0 end
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', LETTERS, event .. ':replayed', ms)
redis.call('ZADD', REPLAYED, ms, event)
return 1
