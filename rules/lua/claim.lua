-- claim: binds a lead's idempotency key, and locks its fingerprints unless they are sold or being sold.
--
-- KEYS    epoch of the claims, the fingerprints, then the idempotency hint where there is one (all of one tag)
-- ARGV    epoch (empty: not asked), lead, now, until when a lock holds, number of fingerprints,
--         hash of the body, until when the hint holds
-- Answers 1 FRESH, 3 COLD, or {BOUND, lead, hash of the body}, {DUPLICATE, lead}, {TWIN, lead, locked at}
--
-- hint         `<until> <lead> <hash of the body>`
-- fingerprint  `l <until> <lead> <locked at>` in flight, `s <until> <lead>` sold
--
-- Keeps: of all leads with one fingerprint at most one is in flight; a lead never meets its own claims; the first lead of
--        a key has it. Refused by a fingerprint, a lead locks none. Expiry of keys is for memory only: `until` decides.
-- The engine puts LOCK_MS and HINT_MS of rules/claims.ts above this.

local FRESH, COLD = 1, 3
local lead, now, prints = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])

if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return COLD end

local hint = KEYS[prints + 2]
if hint then
  local till, owner, body = string.match(redis.call('GET', hint) or '', '^(%d+) (%S+) (%S*)$')
  if not till or tonumber(till) <= now then
    redis.call('SET', hint, ARGV[7] .. ' ' .. lead .. ' ' .. ARGV[6], 'PX', HINT_MS)
  elseif owner ~= lead then
    return { 'BOUND', owner, body }
  end
end

local twin
local own_sold = {}
for i = 2, prints + 1 do
  local kind, till, owner, since = string.match(redis.call('GET', KEYS[i]) or '', '^(%a) (%d+) (%S+) ?(%d*)$')
  if kind and tonumber(till) > now then
    if owner ~= lead and kind == 's' then return { 'DUPLICATE', owner } end
    if owner ~= lead and not twin then twin = { 'TWIN', owner, since } end
    own_sold[i] = kind == 's'
  end
end
if twin then return twin end

for i = 2, prints + 1 do
  if not own_sold[i] then
    redis.call('SET', KEYS[i], 'l ' .. ARGV[4] .. ' ' .. lead .. ' ' .. ARGV[3], 'PX', LOCK_MS)
  end
end
return FRESH
