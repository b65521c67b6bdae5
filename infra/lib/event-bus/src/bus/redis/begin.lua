-- Group, member, lease (ms), sources. Gives the bus's end; nothing when there is nothing to build or another one builds.
local group, me, time = ARGV[1], ARGV[2], now()
local state = state_of(group)
-- Whether all of these were read when the group was built; an earlier version may have read fewer.
local function built_from(sources)
  local read = redis.call('HGET', GROUPS, 'sources:' .. group) or ''
  for source in string.gmatch(sources, '[^\n]+') do
    if not string.find(read, '\n' .. source .. '\n', 1, true) then return false end
  end
  return true
end
if state and is_paused(group) then return false end
if state == 'ready' and built_from(ARGV[4]) then return false end
if state == 'rebuilding' then
  local builder = redis.call('HGET', GROUPS, 'builder:' .. group)
  local expires = tonumber(redis.call('HGET', GROUPS, 'expires:' .. group) or 0)
  if builder and builder ~= me and expires > time then return false end
end
local head = meta('head')
restart(group, head)
redis.call('HSET', GROUPS, 'state:' .. group, 'rebuilding', 'builder:' .. group, me,
  'expires:' .. group, time + tonumber(ARGV[3]), 'sources:' .. group, ARGV[4])
redis.call('HDEL', GROUPS, 'built:' .. group)
return head
