-- Compares a checkpoint with the one of another process at the same place, and stores it if it is the first. Only the
-- latest are stored. Whoever has read other marks than there are may have applied what is skipped, and stores nothing.
--
-- KEYS: log, skipped
-- ARGV: how many marks the conversation has read, the slot, the place, the hash
-- Gives: the hash that is stored for this place, or nothing if a later place has taken the slot
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[1]) then
  return redis.error_reply('MARKED commands were skipped since this conversation began')
end
local field = 'check:' .. ARGV[2]
-- The hash stays text: numbers of 64 bits do not fit into Lua's.
local place, hash = string.match(redis.call('HGET', KEYS[1], field) or '0 ', '^(%d+) (%d*)$')
if place == ARGV[3] then
  return hash
end
if tonumber(place or '0') > tonumber(ARGV[3]) then
  return false
end
redis.call('HSET', KEYS[1], field, ARGV[3] .. ' ' .. ARGV[4])
return ARGV[4]
