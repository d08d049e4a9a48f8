-- Forgets a holder that was found not to hold the claim.
-- KEYS: cell. ARGV: session, version with which it took it.
local c = redis.call('HMGET', KEYS[1], 'h', 'hv')
if c[1] == ARGV[1] and c[2] == ARGV[2] then
	redis.call('HDEL', KEYS[1], 'h', 'hv')
	return 1
end
return 0
