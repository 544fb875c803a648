-- paid: says what was paid into a buyer's balance in all.
--
-- KEYS    caps of the buyer's tag
-- ARGV    epoch, place key of the balance, number of the ledger's entry, total after it
-- Answers 1 (also where a later entry is known already), 3 COLD
--
-- Keeps: the entry with the highest number counts, in whatever order they come.

local PAID, COLD = 1, 3

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return COLD end
local known = string.match(redis.call('HGET', KEYS[1], '$' .. ARGV[2]) or '', '^(%d+) ')
if not known or tonumber(known) < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], '$' .. ARGV[2], ARGV[3] .. ' ' .. ARGV[4])
end
return PAID
