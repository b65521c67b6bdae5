-- What every script begins with. All keys share one hash tag, so they are in one slot of a cluster.
local STREAM, IDS, META, GROUPS, MEMBERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- Holds, in the stream's consumer group, what no member holds any more.
local ABANDONED = 'abandoned'
-- Arguments that one command is given at most: Lua's stack is small.
local CHUNK = 1000

-- Milliseconds since the epoch, by the server's clock, which all members share.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function id_of(position) return string.format('%.0f-0', position) end

local function position_of(id) return tonumber(string.match(id, '^%d+')) end

local function meta(field) return tonumber(redis.call('HGET', META, field) or 0) end

local function lease_of(group, member) return group .. '\n' .. member end

-- The stream's consumer groups by name: pending (count), last (position that was delivered last).
local function stream_groups()
  local found = {}
  local reply = redis.pcall('XINFO', 'GROUPS', STREAM)
  if reply.err then return found end -- no stream yet
  for _, flat in ipairs(reply) do
    local fields = {}
    for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
    found[fields.name] = { pending = fields.pending, last = position_of(fields['last-delivered-id']) }
  end
  return found
end

-- 'ready', 'rebuilding', or false for a group that there is not.
local function state_of(group)
  local state = redis.call('HGET', GROUPS, 'state:' .. group)
  return state and stream_groups()[group] ~= nil and state
end

local function is_paused(group) return redis.call('HEXISTS', GROUPS, 'paused:' .. group) == 1 end

-- Runs a command on many ids, a chunk at a time: before, ids, after.
local function in_chunks(ids, before, after)
  for from = 1, #ids, CHUNK do
    local arguments = {}
    for _, word in ipairs(before) do arguments[#arguments + 1] = word end
    for i = from, math.min(from + CHUNK - 1, #ids) do arguments[#arguments + 1] = ids[i] end
    for _, word in ipairs(after or {}) do arguments[#arguments + 1] = word end
    redis.call(unpack(arguments))
  end
end

-- Takes from a member what it holds. Its consumer goes too, so that those of dead members do not pile up.
local function abandon(group, member)
  while true do
    local held = redis.call('XPENDING', STREAM, group, '-', '+', CHUNK, member)
    if #held == 0 then break end
    local ids = {}
    for i, entry in ipairs(held) do ids[i] = entry[1] end
    in_chunks(ids, { 'XCLAIM', STREAM, group, ABANDONED, 0 }, { 'JUSTID' })
  end
  redis.call('XGROUP', 'DELCONSUMER', STREAM, group, member)
  redis.call('ZREM', MEMBERS, lease_of(group, member))
end

-- Takes the group from all its members: nothing that they hold can be acknowledged any more.
local function fence(group)
  for _, lease in ipairs(redis.call('ZRANGE', MEMBERS, 0, -1)) do
    if string.match(lease, '^(.-)\n') == group then redis.call('ZREM', MEMBERS, lease) end
  end
end

-- Makes the stream's consumer group, or makes it anew: nothing is pending, and it goes on after `position`.
local function restart(group, position)
  redis.pcall('XGROUP', 'DESTROY', STREAM, group)
  redis.call('XGROUP', 'CREATE', STREAM, group, id_of(position), 'MKSTREAM')
  fence(group)
end
