-- sold: binds fingerprints as sold.
--
-- KEYS    the fingerprints (all of one tag)
-- ARGV    for each: lead, until
-- Answers 1
--
-- Keeps: of two sales of one fingerprint the one that binds longer stays; a sale is stronger than a lock. Expiry of keys is
--        for memory only, and never sooner than a day from now: `until` decides, by the engine's clock.

local DAY_MS = 86400000
local server_ms = tonumber(redis.call('TIME')[1]) * 1000

for i, key in ipairs(KEYS) do
  local lead, till = ARGV[2 * i - 1], ARGV[2 * i]
  local known = string.match(redis.call('GET', key) or '', '^s (%d+) ')
  if not known or tonumber(known) < tonumber(till) then
    redis.call('SET', key, 's ' .. till .. ' ' .. lead, 'PX', math.max(tonumber(till) - server_ms, DAY_MS))
  end
end
return 1
