-- Places of a token and how they are given back. No script of its own: it stands in front of those that need it.
--
-- caps    hash: `epoch`; `<place key>` -> used; `#<place key>` -> `<version> <limit>`, of a rolling window without the
--         bucket's number; `$<place key>` -> `<entry> <paid in>` of a balance. One hash has the counters and the epoch, so that a store that loses the counters loses the
--         epoch with them.
-- tokens  hash: token -> state (h held, p posting, c committed, r released), then ` <key> <amount> <transient 0/1>` for
--         each place of a held or posting token.
-- due     sorted set: `t<token>` by the end of its lease or of its memory, `k<place key>` by when it is forgotten.
--
-- Keeps: an amount never passes through a Lua number on its way into a counter; a forgotten counter stays forgotten.
-- The engine puts the constants of rules/caps.ts above this: HOLD_LEASE_MS, TOMBSTONE_MS, COMMITTED_MS, SWEEP_LIMIT.

local GONE, COLD = 2, 3

local function give_back(caps, entry, only_transient)
  for key, amount, transient in string.gmatch(entry, ' (%S+) (%d+) (%d)') do
    if amount ~= '0' and (transient == '1' or not only_transient) and redis.call('HEXISTS', caps, key) == 1 then
      redis.call('HINCRBY', caps, key, '-' .. amount)
    end
  end
end

local function bury(caps, tokens, due, token, entry, now)
  if entry then give_back(caps, entry, false) end
  redis.call('HSET', tokens, token, 'r')
  redis.call('ZADD', due, now + TOMBSTONE_MS, 't' .. token)
end

-- True for a hold within its lease; one whose lease is over is released on the way.
local function still_held(caps, tokens, due, token, entry, now)
  if string.sub(entry, 1, 1) ~= 'h' then return false end
  if tonumber(redis.call('ZSCORE', due, 't' .. token)) > now then return true end
  bury(caps, tokens, due, token, entry, now)
  return false
end
