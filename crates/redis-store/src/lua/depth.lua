-- Brings the depth of a book forward. Changes say what rests at a price now, so they may be made twice; what was missed
-- in between may not.
--
-- KEYS: depth
-- ARGV: the number of the change before the first of these, or -1 when these are the whole book; the number of the
-- last; then sides and prices as one ('b100.5', 'a100.6') and what rests there, '0' for nothing
-- Gives: the number of the last change that is in the depth now, or -1 when changes before these are missing
local has = tonumber(redis.call('HGET', KEYS[1], 'u') or '-1')
local since = tonumber(ARGV[1])
local last = tonumber(ARGV[2])
if has >= last then
  return has
end
if since < 0 then
  redis.call('DEL', KEYS[1])
elseif has < since then
  return -1
end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '0' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('HSET', KEYS[1], 'u', ARGV[2])
return last
