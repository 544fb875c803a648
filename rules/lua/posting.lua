-- posting: turns a live hold into a posting entry, which has no lease.
--
-- KEYS    caps, tokens, due (all of one tag; see places.lua)
-- ARGV    epoch, token, now
-- Answers 1 POSTING (also where it was already), 2 GONE (no such hold, or its lease ended), 3 COLD
--
-- Keeps: a posting token leaves the counters only by commit or release, however long that takes.

local POSTING = 1
local caps, tokens, due = KEYS[1], KEYS[2], KEYS[3]
local token = ARGV[2]

if redis.call('HGET', caps, 'epoch') ~= ARGV[1] then return COLD end
local entry = redis.call('HGET', tokens, token)
if not entry then return GONE end
if string.sub(entry, 1, 1) == 'p' then return POSTING end
if not still_held(caps, tokens, due, token, entry, tonumber(ARGV[3])) then return GONE end
redis.call('HSET', tokens, token, 'p' .. string.sub(entry, 2))
redis.call('ZREM', due, 't' .. token)
return POSTING
