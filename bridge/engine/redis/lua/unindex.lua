-- Takes sessions out of the indexes. KEYS: as for index.lua, up to the eighth. ARGV: sessions.
local lists = {idle = {KEYS[3], KEYS[6]}, active = {KEYS[4], KEYS[7]}, ended = {KEYS[5], KEYS[8]}}
for _, sid in ipairs(ARGV) do
	local stored = redis.call('HGET', KEYS[1], sid)
	if stored then
		local e = cmsgpack.unpack(stored)
		redis.call('ZREM', lists[e[2]][1], e[3] .. (e[4] == '' and '0' or '1') .. e[5] .. sid)
		if e[4] ~= '' then
			redis.call('ZREM', lists[e[2]][2], e[4] .. e[5] .. sid)
		end
		if e[6] ~= '' then
			redis.call('ZREM', KEYS[2], e[6] .. sid)
		end
		redis.call('HDEL', KEYS[1], sid)
	end
end
return 1
