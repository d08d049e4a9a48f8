-- Makes what a committed change took its own.
-- KEYS: cell. ARGV: change, expiry or empty, value or empty.
local c = redis.call('HMGET', KEYS[1], 'p', 'ps', 'pv')
if c[1] ~= ARGV[1] then
	return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'h', c[2], 'hv', c[3])
if ARGV[2] ~= '' then
	redis.call('HSET', KEYS[1], 'e', ARGV[2])
end
if ARGV[3] ~= '' then
	redis.call('HSET', KEYS[1], 'x', ARGV[3])
end
return 1
