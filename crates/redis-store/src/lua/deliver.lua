-- Appends messages of another partition, each once, in their order.
--
-- KEYS: in, log
-- ARGV: the partition they come from, the number of the first, then the messages
-- Gives: the number of the last message heard from that partition; when it is smaller than the first minus one,
-- messages are missing in between and nothing was appended
local heard_from = 'heard:' .. ARGV[1]
local state = redis.call('HMGET', KEYS[2], 'tail', 'time', heard_from)
local tail = tonumber(state[1] or '0')
local time = tonumber(state[2] or '0')
local heard = tonumber(state[3] or '0')
local first = tonumber(ARGV[2])
local last = first + #ARGV - 3
if #ARGV == 2 or first > heard + 1 or last <= heard then
  return heard
end
local clock = redis.call('TIME')
time = math.max(time, tonumber(clock[1]) * 1000000 + tonumber(clock[2]))
local stamp = string.format('%.0f', time)
-- Message n is argument n - first + 3; those up to `heard` are there already.
for i = heard + 1 - first + 3, #ARGV do
  tail = tail + 1
  redis.call('XADD', KEYS[1], string.format('%.0f-0', tail), 't', stamp, 'c', ARGV[i])
end
redis.call('HSET', KEYS[2], 'tail', string.format('%.0f', tail), 'time', stamp, heard_from, string.format('%.0f', last))
return last
