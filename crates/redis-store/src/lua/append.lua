#!lua flags=allow-cross-slot-keys
-- For some partitions of the shard: appends messages of other partitions, each once and in order, and then commands, at
-- the end of `in`. All of them are one entry, whose id is the place of its last command; an entry that would be too
-- large for Lua is several. Whoever has read other marks than there are may have applied what is skipped, and writes
-- nothing to that partition any more. To a closed partition nothing is written that its closing refuses, and nothing
-- beside it.
--
-- One call for all partitions, because a call costs the server more than what it does. Their keys are in several
-- slots, and none is named in KEYS: the server refuses a key of a slot that it does not have, or that is moving away,
-- when the script uses it, and then only that partition is refused. The first use is one that writes nothing, and a
-- slot does not change within a call, so nothing is half done.
--
-- A log that ends before what the caller has read of it has lost its end, or its keys are elsewhere although the server
-- does not know it: one that replaces a master does not know that a slot was about to move. Nothing is written to it.
--
-- ARGV: for each partition: in, log, skipped; how many marks the conversation has read; the last place that was read, 0
-- if nothing is known; how many deliveries; for each the partition that sends, the number of the first message, how
-- many messages, and the messages; how many commands, and the commands
--
-- Gives: for each partition an error if the marks differ, it is closed, it is not here or its end is missing, or else
-- the last place of `in`, the time of what is appended (of nothing: that of what would be appended now), and for each
-- delivery the last message of its sender before and now. If that is smaller than the first of the delivery minus one,
-- messages are missing in between and none was appended
--
-- Numbers are doubles here; places and microseconds stay below 2^53 and are printed with all their digits.
local ENTRY_COMMANDS_MAX = 256
local clock = redis.call('TIME')
local now_time = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local at = 1

-- The place in ARGV after what belongs to a partition whose deliveries begin at `from`.
local function past(from, deliveries)
  for _ = 1, deliveries do
    from = from + 3 + tonumber(ARGV[from + 2])
  end
  return from + 1 + tonumber(ARGV[from])
end

-- Whether there are messages that were not received, or commands, after `from`. `state` has what was received of the
-- senders, from its fourth value on.
local function news(state, from, deliveries)
  local messages = false
  for i = 1, deliveries do
    local received = tonumber(state[3 + i] or '0')
    local first, count = tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
    messages = messages or first <= received + 1 and first + count - 1 > received
    from = from + 3 + count
  end
  return messages, tonumber(ARGV[from]) > 0
end

local function has_news(state, from, deliveries)
  local messages, others = news(state, from, deliveries)
  return messages or others
end

local function append(input, log, known, deliveries)
  -- All that is needed in one call: each costs as much as what it does.
  local fields = {'HMGET', log, 'tail', 'time', 'closed'}
  local from = at
  for i = 1, deliveries do
    fields[5 + i] = 'heard:' .. ARGV[from]
    from = from + 3 + tonumber(ARGV[from + 2])
  end
  local state = redis.call(unpack(fields))
  if state[3] then
    local messages, others = news(state, at, deliveries)
    -- Whatever this script does not know closes the partition to everything.
    if others or messages and not string.find(state[3], '^commands ') then
      return redis.error_reply('CLOSED ' .. state[3])
    end
  end
  local tail = tonumber(state[1] or '0')
  if tail < known and has_news(state, at, deliveries) then
    return redis.error_reply(string.format('ENDLESS in ends at %.0f, but had %.0f', tail, known))
  end
  -- The clock of a promoted replica may be behind that of its master; the venue's time never goes back.
  local time = math.max(tonumber(state[2] or '0'), now_time)
  local stamp = string.format('%.0f', time)
  local result = {0, time}
  local changed = {log}
  local heard = {}
  local entry = {input, '', 't', stamp}
  local commands = 0

  local function write()
    if commands > 0 then
      tail = tail + commands
      entry[2] = string.format('%.0f-0', tail)
      redis.call('XADD', unpack(entry))
      entry = {input, '', 't', stamp}
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

  for i = 1, deliveries do
    local field = fields[5 + i]
    local first, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local before = heard[field] or tonumber(state[3 + i] or '0')
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
  local count = tonumber(ARGV[at])
  add(at + 1, at + count)
  at = at + 1 + count
  write()
  if tail > tonumber(state[1] or '0') then
    for _, value in ipairs({'tail', string.format('%.0f', tail), 'time', stamp}) do
      table.insert(changed, value)
    end
    redis.call('HSET', unpack(changed))
  end
  result[1] = tail
  return result
end

-- What is asked of one partition, from `at` on.
local function part()
  local input, log, skipped = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local marks, known, deliveries = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  at = at + 6
  local found = redis.call('HLEN', skipped)
  if found ~= marks then
    return redis.error_reply('MARKED commands were skipped since this conversation began')
  end
  -- While a slot moves away, only a key that is not there is refused. So whoever moves it can rely on this: what it has
  -- copied does not change any more.
  if found > 0 then
    redis.call('EXISTS', log .. ':')
  end
  return append(input, log, known, deliveries)
end

local results = {}
while at <= #ARGV do
  local after = past(at + 6, tonumber(ARGV[at + 5]))
  local done, result = pcall(part)
  if not done then
    -- The error of a call is a table, that of the language a text.
    result = redis.error_reply(type(result) == 'table' and result.err or result)
  end
  table.insert(results, result)
  at = after
end
return results
