-- Appends commands at the end of `in`, and gives them their places and their time.
--
-- KEYS: in, log ARGV: how many commands may wait to be answered at most, then the commands Gives: whether it appended
-- (1 or 0), the last place of `in`, the time of what is appended (without commands: that of what would be appended
-- now), the last place of `out`
--
-- Numbers are doubles here; places and microseconds stay below 2^53 and are printed with all their digits.
local state = redis.call('HMGET', KEYS[2], 'tail', 'time', 'told')
local tail = tonumber(state[1] or '0')
local time = tonumber(state[2] or '0')
local told = tonumber(state[3] or '0')
local count = #ARGV - 1
-- The clock of a promoted replica may be behind that of its master; the venue's time never goes back.
local clock = redis.call('TIME')
time = math.max(time, tonumber(clock[1]) * 1000000 + tonumber(clock[2]))
if count == 0 then
  return {1, tail, time, told}
end
if tail + count - told > tonumber(ARGV[1]) then
  return {0, tail, time, told}
end
local stamp = string.format('%.0f', time)
for i = 2, #ARGV do
  tail = tail + 1
  redis.call('XADD', KEYS[1], string.format('%.0f-0', tail), 't', stamp, 'c', ARGV[i])
end
redis.call('HSET', KEYS[2], 'tail', string.format('%.0f', tail), 'time', stamp)
return {1, tail, time, told}
