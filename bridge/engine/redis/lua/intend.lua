-- Notes that a change is about to be made, by the server's clock. KEYS: intents. ARGV: note.
local now = redis.call('TIME')
redis.call('ZADD', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000), ARGV[1])
return 1
