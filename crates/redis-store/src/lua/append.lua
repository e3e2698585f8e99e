-- Appends messages of other partitions, each once and in order, and then commands, at the end of `in`. All of them are
-- one entry, whose id is the place of its last command; an entry that would be too large for Lua is several. Whoever
-- has read other marks than there are may have applied what is skipped, and writes nothing any more.
--
-- KEYS: in, log, skipped
-- ARGV: how many marks the conversation has read; how many deliveries; for each the partition that sends, the number
-- of the first message, how many messages, and the messages; then the commands
-- Gives: the last place of `in`, the time of what is appended (of nothing: that of what would be appended now), and
-- for each delivery the last message of its sender before and now. If that is smaller than the first of the delivery
-- minus one, messages are missing in between and none was appended
--
-- Numbers are doubles here; places and microseconds stay below 2^53 and are printed with all their digits.
local ENTRY_COMMANDS_MAX = 256
if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[1]) then
  return redis.error_reply('MARKED commands were skipped since this conversation began')
end
local state = redis.call('HMGET', KEYS[2], 'tail', 'time')
local tail = tonumber(state[1] or '0')
-- The clock of a promoted replica may be behind that of its master; the venue's time never goes back.
local clock = redis.call('TIME')
local time = math.max(tonumber(state[2] or '0'), tonumber(clock[1]) * 1000000 + tonumber(clock[2]))
local stamp = string.format('%.0f', time)
local result = {0, time}
local changed = {KEYS[2]}
local heard = {}
local entry = {KEYS[1], '', 't', stamp}
local commands = 0

local function write()
  if commands > 0 then
    tail = tail + commands
    entry[2] = string.format('%.0f-0', tail)
    redis.call('XADD', unpack(entry))
    entry = {KEYS[1], '', 't', stamp}
    commands = 0
  end
end

local function add(first, last)
  for i = first, last do
    local size = #entry
    entry[size + 1] = 'c'
    entry[size + 2] = ARGV[i]
    commands = commands + 1
    if commands == ENTRY_COMMANDS_MAX then
      write()
    end
  end
end

local at = 3
for _ = 1, tonumber(ARGV[2]) do
  local field = 'heard:' .. ARGV[at]
  local first, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local before = heard[field] or tonumber(redis.call('HGET', KEYS[2], field) or '0')
  local now = before
  at = at + 3
  if first <= before + 1 and first + count - 1 > before then
    -- Those up to `before` are there already.
    add(at + before + 1 - first, at + count - 1)
    now = first + count - 1
    table.insert(changed, field)
    table.insert(changed, string.format('%.0f', now))
  end
  heard[field] = now
  table.insert(result, before)
  table.insert(result, now)
  at = at + count
end
add(at, #ARGV)
write()
if tail > tonumber(state[1] or '0') then
  for _, value in ipairs({'tail', string.format('%.0f', tail), 'time', stamp}) do
    table.insert(changed, value)
  end
  redis.call('HSET', unpack(changed))
end
result[1] = tail
return result
