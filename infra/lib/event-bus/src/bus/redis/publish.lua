-- An id for a new bus; 1 if there is a mark, its bus, event and position; then id, type and JSON of each event.
-- Gives the bus's id and the last event's position; nothing when the bus lacks what was marked.
-- To look needs no memory: a full server refuses the first write of a script, and nothing is written without events.
if redis.call('HEXISTS', META, 'id') == 0 then redis.call('HSET', META, 'id', ARGV[1]) end
local bus, head = redis.call('HGET', META, 'id'), meta('head')
if ARGV[2] == '1' then
  local at = tonumber(ARGV[5])
  local there = at <= meta('trimmed') or tonumber(redis.call('ZSCORE', IDS, ARGV[4]) or -1) == at
  if bus ~= ARGV[3] or at > head or not there then return false end
end
local largest, time, last = meta('largest'), now(), 0
for i = 6, #ARGV, 3 do
  local id, kind, event = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  last = tonumber(redis.call('ZSCORE', IDS, id) or 0)
  if last == 0 then
    head = head + 1
    last = head
    redis.call('XADD', STREAM, id_of(head), 'type', kind, 'at', time, 'event', event)
    redis.call('ZADD', IDS, head, id)
    largest = math.max(largest, #event)
  end
end
if #ARGV > 5 then redis.call('HSET', META, 'head', head, 'largest', largest) end
return { bus, last }
