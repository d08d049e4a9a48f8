-- Says whether a change was committed. If it was not it never will be.
-- KEYS: session, outbox, refused changes. ARGV: change, lifetime of the refusal in ms.
local committed = redis.call('HGET', KEYS[1], 'w') == ARGV[1]
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
for _, entry in ipairs(entries) do
	committed = committed or string.match(entry, '^%d+|([^|]*)|') == ARGV[1]
end
if committed then
	return {1, entries}
end
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return {0, entries}
