-- release: gives every place of a token back.
--
-- KEYS    caps, tokens, due (all of one tag; see places.lua)
-- ARGV    epoch, token, now
-- Answers 1 RELEASED (also where there was nothing to give back), 3 COLD
--
-- Keeps: places return once; a committed token stays committed; a token that was unknown gets a tombstone, so that the
--        hold which was on its way cannot take a place any more.

local RELEASED = 1
local caps, tokens, due = KEYS[1], KEYS[2], KEYS[3]
local token = ARGV[2]

if redis.call('HGET', caps, 'epoch') ~= ARGV[1] then return COLD end
local entry = redis.call('HGET', tokens, token)
local state = entry and string.sub(entry, 1, 1)
if state ~= 'c' and state ~= 'r' then bury(caps, tokens, due, token, entry, tonumber(ARGV[3])) end
return RELEASED
