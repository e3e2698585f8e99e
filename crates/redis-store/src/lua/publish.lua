-- Puts what commands caused at the end of `out`, each under its command's place. Does nothing unless `out` ends where
-- the publisher believes: a second publisher of the same has no effect, and no gap can arise. Who has read other marks
-- than there are may have applied what is passed over, and publishes nothing any more.
--
-- KEYS: out, log, skipped
-- ARGV: where `out` is to end now, how many marks the publisher has read, then the entries
-- Gives: where `out` ends now
if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[2]) then
  return redis.error_reply('MARKED commands were passed over since this worker connected')
end
local state = redis.call('HMGET', KEYS[2], 'told', 'tail')
local told = tonumber(state[1] or '0')
local count = #ARGV - 2
if count == 0 or told ~= tonumber(ARGV[1]) then
  return told
end
-- What a command caused cannot be there before the command. If it is, this log is not the one that the publisher read.
if told + count > tonumber(state[2] or '0') then
  return redis.error_reply('FORKED in ends at ' .. (state[2] or '0') .. ', before what was to be told')
end
for i = 3, #ARGV do
  told = told + 1
  redis.call('XADD', KEYS[1], string.format('%.0f-0', told), 'e', ARGV[i])
end
redis.call('HSET', KEYS[2], 'told', string.format('%.0f', told))
return told
