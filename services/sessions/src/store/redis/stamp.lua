#!lua flags=allow-oom
-- The next stamp: a number greater than every one given before. Admissions and revocations take one each, so their order
-- can be told.
--
-- A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014): the server's time in microseconds, or
-- one more than the last stamp where the time has not come that far. Kept, so that a clock that is set back does no harm;
-- of the time, so that a last stamp that was lost (a crash, a failover) does none either.
--
-- KEYS[1] the last stamp
-- Repeatable: a stamp that nobody uses leaves a gap.
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
-- Exact in a double until the year 2255.
local stamp = math.max(last + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], string.format('%.0f', stamp))
return stamp
