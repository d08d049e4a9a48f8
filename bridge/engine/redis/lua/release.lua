-- Gives a claim back that the session took with this version or an earlier one.
-- KEYS: cell. ARGV: session, version, end of the rest or empty.
local c = redis.call('HMGET', KEYS[1], 'h', 'hv')
if c[1] ~= ARGV[1] or tonumber(c[2]) > tonumber(ARGV[2]) then
	return 0
end
redis.call('DEL', KEYS[1])
if ARGV[3] ~= '' then
	redis.call('HSET', KEYS[1], 'u', ARGV[3], 'l', ARGV[1])
end
return 1
