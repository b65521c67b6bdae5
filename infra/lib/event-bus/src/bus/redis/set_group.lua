-- Group, position.
local group = ARGV[1]
-- Not before what is there: positions that were trimmed would count as lag for ever.
restart(group, math.max(tonumber(ARGV[2]), meta('trimmed')))
redis.call('HSET', GROUPS, 'state:' .. group, 'ready')
redis.call('HDEL', GROUPS, 'builder:' .. group, 'expires:' .. group, 'built:' .. group)
return 1
