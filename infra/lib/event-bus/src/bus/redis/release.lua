-- Group, member.
local group, me = ARGV[1], ARGV[2]
local state = state_of(group)
if state == 'rebuilding' and redis.call('HGET', GROUPS, 'builder:' .. group) == me then
  redis.call('HDEL', GROUPS, 'builder:' .. group, 'expires:' .. group)
elseif state == 'ready' then
  abandon(group, me)
end
return 1
