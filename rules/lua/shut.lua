-- shut: empties one tag and closes it until the restoration that shut it opens it again.
--
-- KEYS    caps, tokens, due (all of one tag; see places.lua)
-- ARGV    restoration (a name that no other restoration has)
-- Answers 1
--
-- Keeps: from here to `open` every other script answers COLD for this tag.

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'restoring', ARGV[1])
return 1
