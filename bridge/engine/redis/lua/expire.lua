-- Deletes a cell that has expired, unless it was taken again.
-- KEYS: cell. ARGV: kind, moment of the purge.
local c = redis.call('HMGET', KEYS[1], 'p', 'h', 'u', 'e')
local over
if ARGV[1] == 'claim' then
	over = not c[2] and c[3] and c[3] <= ARGV[2]
else
	over = c[2] and c[4] and c[4] <= ARGV[2]
end
if not over then
	return 0
end
if c[1] then
	redis.call('HDEL', KEYS[1], 'h', 'hv', 'u', 'l', 'e', 'x')
else
	redis.call('DEL', KEYS[1])
end
return 1
