-- Source.
local function build_again(group)
  if not state_of(group) then return end
  redis.call('HSET', GROUPS, 'state:' .. group, 'rebuilding')
  redis.call('HDEL', GROUPS, 'builder:' .. group, 'expires:' .. group, 'built:' .. group)
  fence(group)
end
local fields = redis.call('HGETALL', GROUPS)
for i = 1, #fields, 2 do
  local group = string.match(fields[i], '^sources:(.*)$')
  if group and string.find(fields[i + 1], '\n' .. ARGV[1] .. '\n', 1, true) then build_again(group) end
end
return 1
