-- Drops the beginnings of both streams, a bounded part of them at a time, and only what is cheap to drop.
--
-- KEYS: in, out, log
-- ARGV: the last place of `in` that may go, the last place of `out` that may go, the most entries to drop of each
-- Gives: how many entries went
local told = tonumber(redis.call('HGET', KEYS[3], 'told') or '0')
-- A command of which no output is published stays: it is yet to be executed.
local of_in = math.min(tonumber(ARGV[1]), told)
local of_out = math.min(tonumber(ARGV[2]), told)
local function drop(key, up_to)
  return redis.call('XTRIM', key, 'MINID', '~', string.format('%.0f-0', up_to + 1), 'LIMIT', ARGV[3])
end
return drop(KEYS[1], of_in) + drop(KEYS[2], of_out)
