-- Writes what a venue is made of, once and for all.
--
-- KEYS: venue
-- ARGV: how many partitions, the routing, an identity to take if there is none
-- Gives: all three as they are stored now
-- The key may be there without: gateways are counted in it too.
if redis.call('HEXISTS', KEYS[1], 'partitions') == 0 then
  redis.call('HSET', KEYS[1], 'partitions', ARGV[1], 'routing', ARGV[2])
end
redis.call('HSETNX', KEYS[1], 'identity', ARGV[3])
local stored = redis.call('HMGET', KEYS[1], 'partitions', 'routing', 'identity')
-- The identity as text: numbers of 64 bits do not fit into Lua's.
return {tonumber(stored[1] or '0'), stored[2] or '', stored[3] or ''}
