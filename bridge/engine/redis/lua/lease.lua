-- Takes the lease of a follower's name if nobody has it, by the server's clock.
-- KEYS: follower. ARGV: owner, length in ms. Answers the fencing number, or 0 and for
-- how long it is taken; and the place.
local f = redis.call('HMGET', KEYS[1], 'owner', 'until', 'place')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if f[1] and f[1] ~= '' and tonumber(f[2]) > now then
	return {0, tonumber(f[2]) - now, f[3] or ''}
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])))
return {fence, 0, f[3] or ''}
