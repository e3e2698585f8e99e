-- Where both streams begin and end, all at one moment.
--
-- KEYS: in, out, log
-- Gives: the first place that `in` keeps, its last, its time, the first place that `out` keeps, its last
local state = redis.call('HMGET', KEYS[3], 'tail', 'time', 'told')
local tail = tonumber(state[1] or '0')
local told = tonumber(state[3] or '0')
local function first(key, last)
  local entry = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if entry then
    return tonumber(string.match(entry[1], '^%d+'))
  end
  return last + 1
end
return {first(KEYS[1], tail), tail, tonumber(state[2] or '0'), first(KEYS[2], told), told}
