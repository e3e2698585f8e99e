-- Drops the beginnings of both streams, a bounded part of them at a time, and only what is cheap to drop.
--
-- KEYS: in, out, log
-- ARGV: the last place of `in` that may go, the last place of `out` that may go, the most entries to drop of each,
-- whether commands that nothing was told of stay (1 or 0)
-- Gives: how many entries went
local told = tonumber(redis.call('HGET', KEYS[3], 'told') or '0')
local of_in = tonumber(ARGV[1])
if ARGV[4] == '1' then
  of_in = math.min(of_in, told)
end
local of_out = math.min(tonumber(ARGV[2]), told)
local function drop(key, up_to)
  return redis.call('XTRIM', key, 'MINID', '~', string.format('%.0f-0', up_to + 1), 'LIMIT', ARGV[3])
end
return drop(KEYS[1], of_in) + drop(KEYS[2], of_out)
