-- Group.
local group = ARGV[1]
redis.pcall('XGROUP', 'DESTROY', STREAM, group)
for _, field in ipairs({ 'state:', 'builder:', 'expires:', 'built:', 'sources:', 'paused:' }) do
  redis.call('HDEL', GROUPS, field .. group)
end
fence(group)
return 1
