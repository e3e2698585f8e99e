-- Puts what commands caused at the end of `out`, each under its command's place. Does nothing unless `out` ends where the
-- publisher believes: a second publisher of the same has no effect, and no gap can arise.
--
-- KEYS: out, log
-- ARGV: where `out` is to end now, then the entries
-- Gives: where `out` ends now
local state = redis.call('HMGET', KEYS[2], 'told', 'tail')
local told = tonumber(state[1] or '0')
local count = #ARGV - 1
if count == 0 or told ~= tonumber(ARGV[1]) then
  return told
end
-- What a command caused cannot be there before the command. If it is, this log is not the one that the publisher read.
if told + count > tonumber(state[2] or '0') then
  return redis.error_reply('FORKED in ends at ' .. (state[2] or '0') .. ', before what was to be told')
end
for i = 2, #ARGV do
  told = told + 1
  redis.call('XADD', KEYS[1], string.format('%.0f-0', told), 'e', ARGV[i])
end
redis.call('HSET', KEYS[2], 'told', string.format('%.0f', told))
return told
