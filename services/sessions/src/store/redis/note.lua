#!lua flags=allow-oom
-- Puts a note in the place of another one.
--
-- KEYS[1] the note
-- ARGV[1] what is there ('' for nothing), ARGV[2] what takes its place
-- Gives 1, or 0 when something else is there.
-- Repeatable: what took its place is there already. No two notes are alike.
local found = redis.call('GET', KEYS[1]) or ''
if found == ARGV[2] then
  return 1
end
if found ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
