-- Appends the records of a log's only writer, which gives the times itself. Does nothing unless `in` ends where it
-- believes.
--
-- KEYS: in, log
-- ARGV: where `in` is to end now, then a time and a command for each record
-- Gives: whether it appended (1 or 0), the last place of `in`
local tail = tonumber(redis.call('HGET', KEYS[2], 'tail') or '0')
if tail ~= tonumber(ARGV[1]) then
  return {0, tail}
end
for i = 2, #ARGV, 2 do
  tail = tail + 1
  redis.call('XADD', KEYS[1], string.format('%.0f-0', tail), 't', ARGV[i], 'c', ARGV[i + 1])
end
redis.call('HSET', KEYS[2], 'tail', string.format('%.0f', tail), 'time', ARGV[#ARGV - 1])
return {1, tail}
