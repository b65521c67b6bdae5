-- Group, member, lease (ms). Gives 0 when the member holds nothing any more.
local group, me = ARGV[1], ARGV[2]
local expires, state = now() + tonumber(ARGV[3]), state_of(group)
if state == 'rebuilding' and redis.call('HGET', GROUPS, 'builder:' .. group) == me then
  redis.call('HSET', GROUPS, 'expires:' .. group, expires)
  return 1
end
if state == 'ready' and redis.call('ZSCORE', MEMBERS, lease_of(group, me)) then
  redis.call('ZADD', MEMBERS, expires, lease_of(group, me))
  return 1
end
return 0
