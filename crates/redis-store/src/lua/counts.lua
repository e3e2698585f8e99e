-- Adds what a gateway has counted to what all have counted in the same windows, once however often it is sent.
--
-- KEYS: the number of the gateway's last batch; who gives credits; the bans, a stream; then the windows, hashes
-- ARGV: the gateway; the number of the batch; how long that number is kept; how long the gateway gives credits if no
-- other does; how long bans are kept, and how many; the most fields of a window; the number of bans, and for each its
-- address, its end and its count; then for each window how long it is kept, the number of its fields, and for each its
-- name, what to add, and what to subtract then as credit. Times are in milliseconds; no sum is below zero
-- Gives: 1 if the gateway gives credits, or 0; then the sum of each field, or nil if there is none: its window is full
local gateway, number = ARGV[1], tonumber(ARGV[2])
-- Whoever may not do this must not create what would never vanish.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local is_new = number > tonumber(redis.call('GET', KEYS[1]) or '0')
if is_new then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
local giver = redis.call('GET', KEYS[2])
local gives = not giver or giver == gateway
if gives then
  redis.call('SET', KEYS[2], gateway, 'PX', ARGV[4])
end
local at = 9
for _ = 1, tonumber(ARGV[8]) do
  if is_new then
    local address, ends, bans = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'g', gateway, 'a', address, 'u', ends, 'n', bans)
    redis.call('PEXPIRE', KEYS[3], ARGV[5])
  end
  at = at + 3
end
local answer = { gives and 1 or 0 }
local most = tonumber(ARGV[7])
local pad = string.rep('-', 100)
for key = 4, #KEYS do
  local hash = KEYS[key]
  local length, fields = ARGV[at], tonumber(ARGV[at + 1])
  local room = most - redis.call('HLEN', hash)
  local is_fresh = is_new and room == most
  at = at + 2
  if is_fresh then
    -- A long value makes it a table. A hash of few short ones is a list, which is searched from its beginning.
    redis.call('HSET', hash, '', pad)
  end
  for _ = 1, fields do
    local field, add, credit = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    at = at + 3
    if not gives then
      credit = 0
    end
    local sum = false
    if not is_new or (add == '0' and credit == 0) then
      local all = redis.call('HGET', hash, field)
      sum = all and tonumber(all)
    elseif room > 0 or redis.call('HEXISTS', hash, field) == 1 then
      local all = redis.call('HINCRBY', hash, field, add)
      if all == tonumber(add) then
        room = room - 1
      end
      sum = math.max(all - credit, 0)
      if sum ~= all then
        redis.call('HSET', hash, field, sum)
      end
    end
    answer[#answer + 1] = sum
  end
  if is_fresh then
    redis.call('HDEL', hash, '')
    redis.call('PEXPIRE', hash, length)
  end
end
return answer
