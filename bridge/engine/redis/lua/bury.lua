-- Deletes a history record. KEYS: session, outbox, refused changes.
if redis.call('EXISTS', KEYS[1]) == 1 and (redis.call('HGET', KEYS[1], 'e') ~= '1' or redis.call('EXISTS', KEYS[2]) == 1) then
	return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
