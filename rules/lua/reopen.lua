-- reopen: opens the claims of one vertical under their epoch.
--
-- KEYS    epoch of the claims
-- ARGV    restoration that shut them, epoch
-- Answers 1 (also where they are open under that epoch already), or 0 where another restoration has shut them since, or
--         the store was emptied
--
-- Keeps: claims open only with everything that their restoration installed.

local known = redis.call('GET', KEYS[1])
if known == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return (known == ARGV[1] or known == ARGV[2]) and 1 or 0
