-- Takes a turn back, if it is still this one's. KEYS: the turn. ARGV: who.
if redis.call('HGET', KEYS[1], 'who') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
