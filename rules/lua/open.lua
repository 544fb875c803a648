-- open: opens one restored tag under its epoch.
--
-- KEYS    caps of the tag
-- ARGV    restoration, epoch
-- Answers 1 (also where it is open under that epoch already), or 0 where another restoration has shut the tag since
--
-- Keeps: a tag opens only with everything that its restoration installed.

if redis.call('HGET', KEYS[1], 'restoring') ~= ARGV[1] then
  return redis.call('HGET', KEYS[1], 'epoch') == ARGV[2] and 1 or 0
end
redis.call('HDEL', KEYS[1], 'restoring')
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
return 1
