-- Gives somebody the turn, unless somebody else has it.
--
-- KEYS: the turn. ARGV: who, now and its end in ms. Gives 1 or 0.
-- Its time is counted by the server from now on, so that its clock need not be the caller's.
local holder, over_at = unpack(redis.call('HMGET', KEYS[1], 'who', 'until'))
if holder and holder ~= ARGV[1] and tonumber(over_at) > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'who', ARGV[1], 'until', ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.max(1, tonumber(ARGV[3]) - tonumber(ARGV[2])))
return 1
