-- Ends an attempt to log in; one that failed is counted.
--
-- KEYS[1] failures, KEYS[2] attempts under way (see admit.lua)
-- ARGV[1] the attempt's stamp, ARGV[2] '1' when it failed, ARGV[3] now, ARGV[4] the maximum of failures,
-- ARGV[5] when failures may be forgotten, in milliseconds; ARGV[6] '', or when the attempt was admitted, in microseconds, if
-- another store did: then ARGV[1] is a name for its failure alone
-- Repeatable: a failure is noted under its attempt's stamp or name, so once. Of two attempts that another store admitted in the
-- same microsecond both may be ended.
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  local same = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[6], ARGV[6], 'LIMIT', 0, 1)
  if same[1] then
    redis.call('ZREM', KEYS[2], same[1])
  end
end
if ARGV[2] == '1' then
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
  -- Older ones than the newest of the maximum decide nothing: the set stays small.
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
  redis.call('PEXPIREAT', KEYS[1], ARGV[5])
end
return true
