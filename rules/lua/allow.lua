-- allow: lends a part of what one window of a throttle still has.
--
-- KEYS    counter of the window
-- ARGV    wanted, limit, for how long the counter is needed (ms)
-- Answers {granted, left for others}
--
-- Keeps: the grants of one window never come to more than its limit. A repeated call may take twice: then less is pinged
--        than may be, never more.

local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit = tonumber(ARGV[2])
local got = math.max(0, math.min(tonumber(ARGV[1]), limit - used))
if got > 0 then
  redis.call('INCRBY', KEYS[1], got)
  if used == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
return { got, math.max(0, limit - used - got) }
