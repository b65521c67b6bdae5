#!lua flags=no-writes
-- The times of attempts, in microseconds.
--
-- KEYS[1] failures, or attempts under way (see admit.lua)
local times = {}
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #found, 2 do
  times[#times + 1] = tonumber(found[i])
end
return times
