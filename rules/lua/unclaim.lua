-- unclaim: frees what a lead has claimed, and nothing of another lead.
--
-- KEYS    locks of fingerprints, and the idempotency hint where it is to go too (all of one tag)
-- ARGV    lead
-- Answers 1

for _, key in ipairs(KEYS) do
  if string.match(redis.call('GET', key) or '', '^%d+ (%S+) ') == ARGV[1] then redis.call('DEL', key) end
end
return 1
