-- Begins a session, unless its user was blocked or logged out everywhere after the password began to be verified.
--
-- KEYS[1] the session (hash), KEYS[2] the user's account (hash), KEYS[3] the user's sessions (sorted set, by login)
-- ARGV[1] the login's stamp, ARGV[2] the age in microseconds from which on a stamp is too old, ARGV[3] the token's hash,
-- ARGV[4] what precedes it in a session's key, ARGV[5] user, ARGV[6] role, ARGV[7] login, ARGV[8] expiry and ARGV[9] end in
-- microseconds, ARGV[10] sessions that may stay beside it, ARGV[11] when the session and ARGV[12] when the set may be
-- forgotten, in milliseconds
-- Gives 1, or 0 when the password has to be verified anew.
-- Repeatable: a session that is there already has begun.
--
-- Keys of other sessions of the user are made here, from the set: they carry the same hash tag, so they are in the slot of
-- the keys that were declared.
local stamp = tonumber(ARGV[1])
local revocation = redis.call('HGET', KEYS[2], 'revocation')
if revocation and tonumber(revocation) > stamp then
  return 0
end
-- Accounts are forgotten after a while; what could be older than a forgotten revocation does not count as verified.
local time = redis.call('TIME')
if time[1] * 1000000 + time[2] - stamp > tonumber(ARGV[2]) then
  return 0
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 1
end
local others = tonumber(ARGV[10])
if redis.call('ZCARD', KEYS[3]) > others then
  -- Sessions that ended or expired leave their entry behind until the set is full.
  for _, hash in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    local expiry = redis.call('HGET', ARGV[4] .. hash, 'expires_at')
    if not expiry or tonumber(expiry) <= tonumber(ARGV[7]) then
      redis.call('DEL', ARGV[4] .. hash)
      redis.call('ZREM', KEYS[3], hash)
    end
  end
  local surplus = redis.call('ZCARD', KEYS[3]) - others
  if surplus > 0 then
    for _, hash in ipairs(redis.call('ZRANGE', KEYS[3], 0, surplus - 1)) do
      redis.call('DEL', ARGV[4] .. hash)
      redis.call('ZREM', KEYS[3], hash)
    end
  end
end
redis.call('HSET', KEYS[1], 'user_id', ARGV[5], 'role', ARGV[6],
  'began_at', ARGV[7], 'expires_at', ARGV[8], 'ends_at', ARGV[9])
redis.call('PEXPIREAT', KEYS[1], ARGV[11])
redis.call('ZADD', KEYS[3], ARGV[7], ARGV[3])
-- Never sooner than before: a session that began under a longer lifetime may still be in the set.
if redis.call('PEXPIRETIME', KEYS[3]) < tonumber(ARGV[12]) then
  redis.call('PEXPIREAT', KEYS[3], ARGV[12])
end
return 1
