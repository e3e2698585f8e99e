-- Where `in` begins and ends, all at one moment.
--
-- KEYS: in, log
-- Gives: the first place that is still there, the last, its time
local state = redis.call('HMGET', KEYS[2], 'tail', 'time')
local tail = tonumber(state[1] or '0')
local first = tail + 1
local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if entry then
  -- Its id is the place of its last command. Beside the time, every field is a command.
  first = tonumber(string.match(entry[1], '^%d+')) - (#entry[2] - 2) / 2 + 1
end
return {first, tail, tonumber(state[2] or '0')}
