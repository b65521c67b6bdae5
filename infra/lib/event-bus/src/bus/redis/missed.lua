-- Source.
local fields = redis.call('HGETALL', GROUPS)
for i = 1, #fields, 2 do
  local group = string.match(fields[i], '^sources:(.*)$')
  if group and string.find(fields[i + 1], '\n' .. ARGV[1] .. '\n', 1, true) then request_rebuild(group) end
end
return 1
