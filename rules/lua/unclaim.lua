-- unclaim: frees what a lead has claimed, and nothing of another lead.
--
-- KEYS    the fingerprints, then the idempotency hint where it is to go too (all of one tag)
-- ARGV    lead, number of fingerprints, 1 where only locks go (0: sold ones too)
-- Answers 1

local lead, prints = ARGV[1], tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key) or ''
  if i > prints then
    if string.match(value, '^%d+ (%S+) ') == lead then redis.call('DEL', key) end
  else
    local kind, owner = string.match(value, '^(%a) %d+ (%S+)')
    if owner == lead and (kind == 'l' or ARGV[3] == '0') then redis.call('DEL', key) end
  end
end
return 1
