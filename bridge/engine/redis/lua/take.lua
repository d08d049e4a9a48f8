-- Takes a cell for a change that is under way, unless it is taken.
-- KEYS: cell. ARGV: kind, change, session, version, moment of the decision.
local c = redis.call('HMGET', KEYS[1], 'p', 'ps', 'h', 'hv', 'u', 'e')
if c[1] and c[1] ~= ARGV[2] then
	return {'pending', c[2], c[1]}
end
if ARGV[1] == 'claim' then
	if c[3] == ARGV[3] then
		return {'mine', c[3], c[4]}
	elseif c[3] then
		return {'held', c[3], c[4]}
	elseif c[5] and c[5] > ARGV[5] then
		return {'resting'}
	end
elseif c[3] and (ARGV[1] == 'token' or ARGV[5] < c[6]) then
	return {'used'}
end
redis.call('HSET', KEYS[1], 'p', ARGV[2], 'ps', ARGV[3], 'pv', ARGV[4])
return {'ok'}
