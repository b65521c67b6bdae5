-- Group, member. Gives 0 when the member does not build it (any more).
local group, me = ARGV[1], ARGV[2]
local state = state_of(group)
if state == 'rebuilding' and redis.call('HGET', GROUPS, 'builder:' .. group) == me then
  redis.call('HSET', GROUPS, 'state:' .. group, 'ready', 'built:' .. group, me)
  redis.call('HDEL', GROUPS, 'builder:' .. group, 'expires:' .. group)
  return 1
end
-- It has finished it already, and the answer was lost.
if state == 'ready' and redis.call('HGET', GROUPS, 'built:' .. group) == me then return 1 end
return 0
