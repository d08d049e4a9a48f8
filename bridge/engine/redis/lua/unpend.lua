-- Gives back what a change took that will never be committed.
-- KEYS: cell. ARGV: change.
if redis.call('HGET', KEYS[1], 'p') == ARGV[1] then
	redis.call('HDEL', KEYS[1], 'p', 'ps', 'pv')
	return 1
end
return 0
