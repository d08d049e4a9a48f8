-- Commits a change in the slot of its session: the one step that decides. What has to
-- be done elsewhere because of it is put into the session's outbox in the same step.
-- KEYS: session, outbox, refused changes.
-- ARGV: change, version, version before or empty, 1 if it has ended else 0, record,
-- outbox entry, number of new cells and these, number of claims that the session must
-- hold already and these, number of claims that it gives back and these.
if redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 1 then
	return {'refused'}
end
local s = redis.call('HMGET', KEYS[1], 'v', 'e')
if ARGV[3] == '' then
	if s[1] then
		return {'stale'}
	end
elseif s[1] ~= ARGV[3] or s[2] ~= '0' then
	return {'stale'}
end
local lists, at = {}, 7
for i = 1, 3 do
	local list, n = {}, tonumber(ARGV[at])
	for j = 1, n do
		list[j] = 'c:' .. ARGV[at + j]
	end
	lists[i], at = list, at + n + 1
end
for _, cell in ipairs(lists[2]) do
	if redis.call('HEXISTS', KEYS[1], cell) == 0 then
		return {'behind'}
	end
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'e', ARGV[4], 'w', ARGV[1], 'd', ARGV[5])
for _, cell in ipairs(lists[3]) do
	redis.call('HDEL', KEYS[1], cell)
end
for _, cell in ipairs(lists[1]) do
	redis.call('HSET', KEYS[1], cell, ARGV[2])
end
redis.call('RPUSH', KEYS[2], ARGV[6])
return {'ok', redis.call('LRANGE', KEYS[2], 0, -1)}
