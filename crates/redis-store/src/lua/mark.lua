-- Marks a command of `in` as passed over, unless what it caused is published. In one step with the look at what is
-- published: a worker that does not know of the mark publishes either before it or, by publish.lua, not at all.
--
-- KEYS: log, skipped
-- ARGV: the command, the mark
-- Gives: where `out` ends if it is published, else -1
local told = redis.call('HGET', KEYS[1], 'told') or '0'
if tonumber(told) >= tonumber(ARGV[1]) then
  return tonumber(told)
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return -1
