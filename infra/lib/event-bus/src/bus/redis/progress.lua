-- Group. Gives: all is acknowledged up to, end, how many are not acknowledged; nothing when it is being rebuilt or unknown.
local group = ARGV[1]
if redis.call('HGET', GROUPS, 'state:' .. group) ~= 'ready' then return false end
local found = stream_groups()[group]
if not found then return false end
local head, position = meta('head'), found.last
if found.pending > 0 then position = position_of(redis.call('XPENDING', STREAM, group)[2]) - 1 end
return { position, head, math.max(head - found.last, 0) + found.pending }
