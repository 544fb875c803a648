-- claim: binds a lead's idempotency key, and locks its fingerprints unless another lead has one in flight.
--
-- KEYS    epoch of the claims; for each fingerprint its lock and its bucket; the idempotency hint where there is one
--         (all of one tag)
-- ARGV    epoch (empty: not asked), lead, now, until when a lock holds, number of fingerprints, hash of the body, until
--         when the hint holds, then for each fingerprint its field in its bucket
-- Answers 1 FRESH where nobody was seen, 3 COLD, or {BOUND, lead, hash of the body}, {FRESH, seen...},
--         {TWIN, lead, locked at, seen...}; `seen` are the sightings of each fingerprint
--
-- hint    `<until> <lead> <hash of the body>`
-- lock    `<until> <lead> <locked at>`
-- bucket  a hash of fingerprints' ends to their sightings (rules/sightings.ts), for many small values cost least there
--
-- Keeps: of all leads with one fingerprint at most one is in flight; a lead never meets its own lock; the first lead of a
--        key has it. Refused by a fingerprint, a lead locks none. Expiry of keys is for memory only: `until` decides.
-- The engine puts LOCK_MS and HINT_MS of rules/claims.ts above this.

local FRESH, COLD = 1, 3
local lead, now, prints = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])

if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return COLD end

local hint = KEYS[2 * prints + 2]
if hint then
  local till, owner, body = string.match(redis.call('GET', hint) or '', '^(%d+) (%S+) (%S*)$')
  if not till or tonumber(till) <= now then
    redis.call('SET', hint, ARGV[7] .. ' ' .. lead .. ' ' .. ARGV[6], 'PX', HINT_MS)
  elseif owner ~= lead then
    return { 'BOUND', owner, body }
  end
end

local answer = { 'FRESH' }
for i = 1, prints do
  local till, owner, since = string.match(redis.call('GET', KEYS[2 * i]) or '', '^(%d+) (%S+) (%d+)$')
  if till and owner ~= lead and tonumber(till) > now then
    answer = { 'TWIN', owner, since }
    break
  end
end

local seen = false
for i = 1, prints do
  local text = redis.call('HGET', KEYS[2 * i + 1], ARGV[7 + i])
  if text then seen = true end
  answer[#answer + 1] = text or ''
end

if answer[1] == 'FRESH' then
  for i = 1, prints do
    redis.call('SET', KEYS[2 * i], ARGV[4] .. ' ' .. lead .. ' ' .. ARGV[3], 'PX', LOCK_MS)
  end
  if not seen then return FRESH end
end
return answer
