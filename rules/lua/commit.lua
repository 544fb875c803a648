-- commit: a sale keeps its places for good; concurrency places return.
--
-- KEYS    caps, tokens, due (all of one tag; see places.lua)
-- ARGV    epoch, token, now
-- Answers 1 COMMITTED (also where it was already), 2 UNKNOWN (no such token, or released: nothing changes), 3 COLD
--
-- Keeps: a token is committed or released, never both; committing twice gives transient places back once.

local COMMITTED, UNKNOWN = 1, 2
local caps, tokens, due = KEYS[1], KEYS[2], KEYS[3]
local token, now = ARGV[2], tonumber(ARGV[3])

if redis.call('HGET', caps, 'epoch') ~= ARGV[1] then return COLD end
local entry = redis.call('HGET', tokens, token)
if not entry then return UNKNOWN end
local state = string.sub(entry, 1, 1)
if state == 'c' then return COMMITTED end
if state ~= 'p' and not still_held(caps, tokens, due, token, entry, now) then return UNKNOWN end
give_back(caps, entry, true)
redis.call('HSET', tokens, token, 'c')
redis.call('ZADD', due, now + COMMITTED_MS, 't' .. token)
return COMMITTED
