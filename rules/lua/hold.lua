-- hold: takes a place in every cap of one tag, or in none.
--
-- KEYS    caps, tokens, due (all of one tag; see places.lua)
-- ARGV    epoch, token, now, places, limits
--         places: ` <key> <amount> <transient 0/1>` each; limits: ` <version> <limit> <forget at, 0 never>` each, same
--         order; behind a rolling window's stands `r` and how many buckets before it count with it, behind a paced cap's
--         `p` and how much may be used for now, behind a balance's `b`
-- Answers 1 HELD (also for a token that is held or posting already), 2 GONE (the token was released, committed or its
--         lease ended; or a window is long over), 3 COLD (not open under this epoch), else the key of the first full
--         place; with ~ in front where it has room, and that is for later
--
-- Keeps: used + amount <= limit of the highest version known, for every place it takes (of a rolling window what is used
--        in the buckets before it, in it and in the next); a token takes its places once;
--        a refusal takes nothing and leaves no token. Ended leases are swept first, a bounded number.

local function rolling_base(key) return string.match(key, '^(.*:)%d+$') end

local function rolling_used(caps, key, before)
  local base, bucket = string.match(key, '^(.*:)(%d+)$')
  local buckets = {}
  for one = bucket - before, bucket + 1 do buckets[#buckets + 1] = base .. string.format('%d', one) end
  local used = 0
  for _, one in ipairs(redis.call('HMGET', caps, unpack(buckets))) do used = used + tonumber(one or '0') end
  return used
end

-- What is paid in may have been withdrawn again, and more.
local function paid_in(caps, key)
  return tonumber(string.match(redis.call('HGET', caps, '$' .. key) or '', ' (-?%d+)$') or '0')
end

local HELD = 1
local caps, tokens, due = KEYS[1], KEYS[2], KEYS[3]
local token, now = ARGV[2], tonumber(ARGV[3])

if redis.call('HGET', caps, 'epoch') ~= ARGV[1] then return COLD end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ARGV[3], 'LIMIT', 0, SWEEP_LIMIT)) do
  local name = string.sub(member, 2)
  if string.sub(member, 1, 1) == 'k' then
    redis.call('HDEL', caps, name, '#' .. name)
    redis.call('ZREM', due, member)
  else
    local old = redis.call('HGET', tokens, name)
    if old and string.sub(old, 1, 1) == 'h' then
      bury(caps, tokens, due, name, old, now)
    else
      redis.call('HDEL', tokens, name)
      redis.call('ZREM', due, member)
    end
  end
end

local entry = redis.call('HGET', tokens, token)
if entry then
  if string.sub(entry, 1, 1) == 'p' or still_held(caps, tokens, due, token, entry, now) then return HELD end
  return GONE
end

local versions, limits, forgets, behind, up_to, prepaid = {}, {}, {}, {}, {}, {}
for version, limit, forget, how, number in string.gmatch(ARGV[5], ' (%d+) (%d+) (%d+)(%a?)(%d*)') do
  if forget ~= '0' and tonumber(forget) <= now then return GONE end
  versions[#versions + 1] = version
  limits[#versions] = limit
  forgets[#versions] = forget
  if how == 'r' then behind[#versions] = tonumber(number) end
  if how == 'p' then up_to[#versions] = tonumber(number) end
  if how == 'b' then prepaid[#versions] = true end
end
local keys, amounts, fields = {}, {}, {}
for key, amount in string.gmatch(ARGV[4], ' (%S+) (%d+) %d') do
  keys[#keys + 1] = key
  amounts[#keys] = amount
  fields[2 * #keys - 1] = key
  fields[2 * #keys] = '#' .. (behind[#keys] and rolling_base(key) or key)
end

local known = #keys > 0 and redis.call('HMGET', caps, unpack(fields)) or {}
local full
for i = 1, #keys do
  local limit = limits[i]
  local version, in_force = string.match(known[2 * i] or '', '^(%d+) (%d+)$')
  if version and tonumber(version) >= tonumber(versions[i]) then
    limit = in_force
  else
    redis.call('HSET', caps, fields[2 * i], versions[i] .. ' ' .. limit)
    if forgets[i] ~= '0' and not behind[i] then redis.call('ZADD', due, forgets[i], 'k' .. keys[i]) end
  end
  local used = behind[i] and rolling_used(caps, keys[i], behind[i]) or tonumber(known[2 * i - 1] or '0')
  if not full then
    if used + tonumber(amounts[i]) > tonumber(limit) + (prepaid[i] and paid_in(caps, keys[i]) or 0) then
      full = keys[i]
    elseif up_to[i] and used >= up_to[i] then
      full = '~' .. keys[i]
    end
  end
end
if full then return full end

for i = 1, #keys do
  if behind[i] and not known[2 * i - 1] and forgets[i] ~= '0' then redis.call('ZADD', due, forgets[i], 'k' .. keys[i]) end
  redis.call('HINCRBY', caps, keys[i], amounts[i])
end
redis.call('HSET', tokens, token, 'h' .. ARGV[4])
redis.call('ZADD', due, now + HOLD_LEASE_MS, 't' .. token)
return HELD
