#!lua flags=no-writes
-- What is noted of a user: version, '1' when blocked, and when it is forgotten, in milliseconds (-1: never, -2: it is).
--
-- KEYS[1] the account
local known = redis.call('HMGET', KEYS[1], 'version', 'blocked')
return {tonumber(known[1] or 0), known[2] or '0', redis.call('PEXPIRETIME', KEYS[1])}
