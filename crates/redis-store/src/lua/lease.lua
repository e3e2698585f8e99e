-- Takes the lease of a partition for a while if nobody else has it, or renews it.
--
-- KEYS: log
-- ARGV: who asks, for how many microseconds
-- Gives: 1 if the lease is its own now, else 0
local state = redis.call('HMGET', KEYS[1], 'lease', 'lease_until')
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
if state[1] and state[1] ~= ARGV[1] and tonumber(state[2] or '0') > now then
  return 0
end
redis.call('HSET', KEYS[1], 'lease', ARGV[1], 'lease_until', string.format('%.0f', now + tonumber(ARGV[2])))
return 1
