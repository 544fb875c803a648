-- install: writes a part of one tag's restoration.
--
-- KEYS    caps of the tag, key to write to (of the same tag)
-- ARGV    restoration, HSET or ZADD, then its arguments in pairs
-- Answers 1, or 0 where another restoration has shut the tag since, or it is open: nothing is written
--
-- Keeps: values are set and not added, so that a part may be sent twice.

if redis.call('HGET', KEYS[1], 'restoring') ~= ARGV[1] then return 0 end
redis.call(ARGV[2], KEYS[2], unpack(ARGV, 3))
return 1
