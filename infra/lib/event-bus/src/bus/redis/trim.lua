-- Age (ms), most entries. Removes the oldest entries that are older and that every group has acknowledged; gives how many.
local age, max = tonumber(ARGV[1]), tonumber(ARGV[2])
local passed = nil
for group, found in pairs(stream_groups()) do
  local position = found.last
  if found.pending > 0 then position = position_of(redis.call('XPENDING', STREAM, group)[2]) - 1 end
  passed = math.min(passed or position, position)
end
local oldest = redis.call('XRANGE', STREAM, '-', '+', 'COUNT', 1)[1]
if not passed or not oldest then return 0 end
local first, cutoff = position_of(oldest[1]), now() - age
local function is_old(position)
  local entry = redis.call('XRANGE', STREAM, id_of(position), '+', 'COUNT', 1)[1]
  return entry and tonumber(entry[2][4]) <= cutoff
end
-- Positions have no holes and were appended in their order: the last old one is found by halving.
local low, high = first - 1, math.min(passed, first + max - 1)
while low < high do
  local middle = math.ceil((low + high) / 2)
  if is_old(middle) then low = middle else high = middle - 1 end
end
if low < first then return 0 end
local removed = redis.call('XTRIM', STREAM, 'MINID', '=', id_of(low + 1))
redis.call('ZREMRANGEBYSCORE', IDS, '-inf', string.format('%.0f', low))
redis.call('HSET', META, 'trimmed', string.format('%.0f', low))
return removed
