-- Group. Gives: all is acknowledged up to, end, how many are not acknowledged, how long the first of them has been here (ms),
-- 1 when the group is paused; nothing when it is being rebuilt or unknown.
local group = ARGV[1]
if redis.call('HGET', GROUPS, 'state:' .. group) ~= 'ready' then return false end
local found = stream_groups()[group]
if not found then return false end
local head, position = meta('head'), found.last
if found.pending > 0 then position = position_of(redis.call('XPENDING', STREAM, group)[2]) - 1 end
local lag, waited = math.max(head - found.last, 0) + found.pending, 0
if lag > 0 then
  local first = redis.call('XRANGE', STREAM, id_of(position + 1), '+', 'COUNT', 1)[1]
  if first then waited = math.max(now() - tonumber(first[2][4]), 0) end
end
return { position, head, lag, waited, is_paused(group) and 1 or 0 }
