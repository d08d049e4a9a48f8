-- Writes to a shelf if nothing of what the decision was based on has changed.
-- KEYS: records, index. ARGV: operations; those that check come first:
-- same NAME VALUE, none NAME, some NAME, fewer MIN MAX N, least MIN MAX N, range MIN MAX N MEMBER*N, put NAME VALUE, del NAME, add MEMBER, rem MEMBER.
local i = 1
while i <= #ARGV do
	local op = ARGV[i]
	if op == 'same' then
		if redis.call('HGET', KEYS[1], ARGV[i + 1]) ~= ARGV[i + 2] then
			return 0
		end
		i = i + 3
	elseif op == 'none' then
		if redis.call('HEXISTS', KEYS[1], ARGV[i + 1]) == 1 then
			return 0
		end
		i = i + 2
	elseif op == 'some' then
		if redis.call('HEXISTS', KEYS[1], ARGV[i + 1]) == 0 then
			return 0
		end
		i = i + 2
	elseif op == 'fewer' or op == 'least' then
		local n = redis.call('ZLEXCOUNT', KEYS[2], ARGV[i + 1], ARGV[i + 2])
		if (n < tonumber(ARGV[i + 3])) ~= (op == 'fewer') then
			return 0
		end
		i = i + 4
	elseif op == 'range' then
		local found = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[i + 1], ARGV[i + 2])
		local n = tonumber(ARGV[i + 3])
		if #found ~= n then
			return 0
		end
		for j = 1, n do
			if found[j] ~= ARGV[i + 3 + j] then
				return 0
			end
		end
		i = i + 4 + n
	elseif op == 'put' then
		redis.call('HSET', KEYS[1], ARGV[i + 1], ARGV[i + 2])
		i = i + 3
	elseif op == 'del' then
		redis.call('HDEL', KEYS[1], ARGV[i + 1])
		i = i + 2
	elseif op == 'add' then
		redis.call('ZADD', KEYS[2], 0, ARGV[i + 1])
		i = i + 2
	elseif op == 'rem' then
		redis.call('ZREM', KEYS[2], ARGV[i + 1])
		i = i + 2
	else
		return redis.error_reply('ERR unknown operation')
	end
end
return 1
