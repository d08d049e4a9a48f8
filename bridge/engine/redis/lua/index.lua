-- Brings indexes and events up to date with changes that were committed, each once.
-- KEYS: entries, deadlines, sessions that are idle, active, ended, the same by
-- conversation, events, sequence, intents, expiries.
-- ARGV: for each change: session, version, state, organisation, conversation, time,
-- deadline, intent, number of expiries and these, number of events and these.
local lists = {idle = {KEYS[3], KEYS[6]}, active = {KEYS[4], KEYS[7]}, ended = {KEYS[5], KEYS[8]}}

local function members(sid, e)
	local all = {{lists[e[2]][1], e[3] .. (e[4] == '' and '0' or '1') .. e[5] .. sid}}
	if e[4] ~= '' then
		all[2] = {lists[e[2]][2], e[4] .. e[5] .. sid}
	end
	if e[6] ~= '' then
		all[#all + 1] = {KEYS[2], e[6] .. sid}
	end
	return all
end

local i = 1
while i <= #ARGV do
	local sid, version = ARGV[i], tonumber(ARGV[i + 1])
	local entry = {version, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]}
	local intent = ARGV[i + 7]
	i = i + 8
	local expiries, events = i + 1, i + 2 + tonumber(ARGV[i])
	local ends = events + tonumber(ARGV[events - 1])
	local stored = redis.call('HGET', KEYS[1], sid)
	local old = stored and cmsgpack.unpack(stored)
	if not old or old[1] < version then
		local keep = {}
		for _, m in ipairs(members(sid, entry)) do
			keep[m[1] .. m[2]] = true
			redis.call('ZADD', m[1], 0, m[2])
		end
		for _, m in ipairs(old and members(sid, old) or {}) do
			if not keep[m[1] .. m[2]] then
				redis.call('ZREM', m[1], m[2])
			end
		end
		redis.call('HSET', KEYS[1], sid, cmsgpack.pack(entry))
		for j = expiries, events - 2 do
			redis.call('ZADD', KEYS[12], 0, ARGV[j])
		end
		for j = events, ends - 1 do
			local sequence = redis.call('INCR', KEYS[10])
			redis.call('XADD', KEYS[9], string.format('%.0f-0', sequence), 'e', ARGV[j])
		end
	end
	redis.call('ZREM', KEYS[11], intent)
	i = ends
end
return 1
