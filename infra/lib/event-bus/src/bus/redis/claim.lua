-- Group, member, lease (ms), most events, most bytes, most entries to look at, wanted types.
-- Gives: how many entries were looked at, the last position of them, id and JSON of each wanted event in a list.
local group, me = ARGV[1], ARGV[2]
local max, budget, look = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if state_of(group) ~= 'ready' or is_paused(group) then return false end
local wanted = {}
for i = 7, #ARGV do wanted[ARGV[i]] = true end

local time = now()
for _, lease in ipairs(redis.call('ZRANGEBYSCORE', MEMBERS, '-inf', time)) do
  local of, member = string.match(lease, '^(.-)\n(.*)$')
  if of == group and member ~= me then abandon(group, member) end
end
redis.call('ZADD', MEMBERS, time + tonumber(ARGV[3]), lease_of(group, me))

local largest = math.max(meta('largest'), 1)
local events, count, unwanted, passed, last = {}, 0, {}, 0, 0
-- How many may be read next; 0 when the batch is full. One event it may always have.
local function room()
  if count >= max or passed >= look or (budget <= 0 and passed > 0) then return 0 end
  return math.min(max - count, look - passed, math.max(1, math.floor(budget / largest)))
end
local function keep(entries)
  for _, entry in ipairs(entries) do
    local id, fields = entry[1], entry[2]
    passed, last = passed + 1, math.max(last, position_of(id))
    if fields then budget = budget - #fields[6] end
    if fields and wanted[fields[2]] then
      count = count + 1
      events[2 * count - 1], events[2 * count] = id, fields[6]
    else
      unwanted[#unwanted + 1] = id -- or somebody has deleted it by hand
    end
  end
end
local function read(after)
  local reply = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', room(), 'STREAMS', STREAM, after)
  return reply and reply[1] and reply[1][2] or {}
end

-- What this member has already: its last batch failed, or the answer to it was lost.
local after = '0'
while room() > 0 do
  local entries = read(after)
  if #entries == 0 then break end
  after = entries[#entries][1]
  keep(entries)
end
if passed == 0 then
  -- What nobody holds any more, oldest first.
  while room() > 0 do
    local free = redis.call('XPENDING', STREAM, group, '-', '+', math.min(room(), CHUNK), ABANDONED)
    if #free == 0 then break end
    local claim = { 'XCLAIM', STREAM, group, me, 0 }
    for _, entry in ipairs(free) do claim[#claim + 1] = entry[1] end
    keep(redis.call(unpack(claim)))
  end
  while room() > 0 do
    local entries = read('>')
    if #entries == 0 then break end
    keep(entries)
  end
end
in_chunks(unwanted, { 'XACK', STREAM, group })
return { passed, last, events }
