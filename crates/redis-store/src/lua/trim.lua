-- Drops the beginning of `in`, a bounded part of it at a time, and only what is cheap to drop. An entry goes when its
-- last command, whose place is its id, may go.
--
-- KEYS: in
-- ARGV: the last place that may go, the most entries to drop
-- Gives: how many entries went
return redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f-0', tonumber(ARGV[1]) + 1), 'LIMIT', ARGV[2])
