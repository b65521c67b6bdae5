-- Group, 1 to pause it or 0 to resume it. Nothing happens to a group that there is not.
local group = ARGV[1]
if not state_of(group) then return 0 end
if ARGV[2] == '1' then
  redis.call('HSET', GROUPS, 'paused:' .. group, '1')
else
  redis.call('HDEL', GROUPS, 'paused:' .. group)
end
return 1
