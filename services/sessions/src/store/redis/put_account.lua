-- Puts what another store noted of a user, in the place of what is there. The number of the last revocation is another store's, and
-- so are all logins that it could stop.
--
-- KEYS[1] the account
-- ARGV[1] version, ARGV[2] '1' for blocked, ARGV[3] when it is forgotten, in milliseconds, or '', ARGV[4] for how long it is kept
-- otherwise
-- Repeatable: it says all there is.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'blocked', ARGV[2])
if ARGV[3] == '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
else
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
end
return 1
