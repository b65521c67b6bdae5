#!lua
-- Lets an attempt to log in begin, unless failures and attempts under way reach the maximum.
--
-- KEYS[1] failures, KEYS[2] attempts under way, of one e-mail address: sorted sets, an attempt's stamp by its time in
-- microseconds
-- ARGV[1] the attempt's stamp, ARGV[2] now, ARGV[3] failures count after, ARGV[4] attempts count after, ARGV[5] the maximum,
-- ARGV[6] when attempts may be forgotten, in milliseconds
-- Gives {1, 0} granted, {0, 0} busy, {2, t} refused: t is the failure that has to grow old first.
-- Repeatable: an attempt that is noted already is granted again.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  return {1, 0}
end
local failures = redis.call('ZCARD', KEYS[1])
local max = tonumber(ARGV[5])
if failures >= max then
  -- The next attempt may be made when less than the maximum count, so when this one does no more.
  local deciding = redis.call('ZRANGE', KEYS[1], failures - max, failures - max, 'WITHSCORES')
  return {2, tonumber(deciding[2])}
end
if failures + redis.call('ZCARD', KEYS[2]) >= max then
  return {0, 0}
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('PEXPIREAT', KEYS[2], ARGV[6])
return {1, 0}
