-- Takes what has been done elsewhere out of a session's outbox.
-- KEYS: session, outbox. ARGV: version up to which all is done, cells that the session
-- need not answer for any more.
for i = 2, #ARGV do
	redis.call('HDEL', KEYS[1], 'c:' .. ARGV[i])
end
while true do
	local first = redis.call('LINDEX', KEYS[2], 0)
	if not first or tonumber(string.match(first, '^(%d+)|')) > tonumber(ARGV[1]) then
		return 0
	end
	redis.call('LPOP', KEYS[2])
end
