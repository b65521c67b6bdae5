-- Group, member, positions. Gives 0, and changes nothing, when the member holds one of them no more.
local group, me = ARGV[1], ARGV[2]
if state_of(group) ~= 'ready' or not redis.call('ZSCORE', MEMBERS, lease_of(group, me)) then return 0 end
if #ARGV == 2 then return 1 end
local mine, ids = {}, {}
local held = redis.call('XPENDING', STREAM, group, ARGV[3] .. '-0', ARGV[#ARGV] .. '-0', 1000000, me)
for _, entry in ipairs(held) do mine[entry[1]] = true end
for i = 3, #ARGV do
  local id = ARGV[i] .. '-0'
  if mine[id] then
    ids[#ids + 1] = id
  elseif #redis.call('XPENDING', STREAM, group, id, id, 1) > 0 then
    return 0 -- another member's; one that is nobody's has been acknowledged already
  end
end
in_chunks(ids, { 'XACK', STREAM, group })
return 1
