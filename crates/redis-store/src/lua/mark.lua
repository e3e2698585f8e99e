-- Marks a command of `in` as skipped, unless a checkpoint shows that it was applied. In one step with the look at the
-- checkpoints: who does not know of the mark stores a checkpoint either before it or, by checkpoint.lua, not at all.
--
-- KEYS: log, skipped
-- ARGV: the command, the mark, how many slots for checkpoints there are
-- Gives: the place of the last checkpoint if it is at or after the command, else -1
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  return -1
end
local last = 0
for slot = 0, tonumber(ARGV[3]) - 1 do
  local place = string.match(redis.call('HGET', KEYS[1], 'check:' .. slot) or '', '^%d+')
  last = math.max(last, tonumber(place or '0'))
end
if last >= tonumber(ARGV[1]) then
  return last
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return -1
