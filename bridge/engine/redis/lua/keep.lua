-- Renews a follower's lease and notes its place, or gives the lease back.
-- KEYS: follower. ARGV: fencing number, length in ms (0 = give it back), place or empty.
-- Answers 0 if the lease has gone to somebody else.
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
	return 0
end
if ARGV[3] ~= '' then
	redis.call('HSET', KEYS[1], 'place', ARGV[3])
end
if ARGV[2] == '0' then
	redis.call('HDEL', KEYS[1], 'owner', 'until')
	return 1
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])))
return 1
