-- sighted: decided leads free their locks, and what is kept of each stands instead of what was kept of it before.
--
-- KEYS    for each fingerprint its lock and its bucket (all of one tag)
-- ARGV    how long a bucket lasts from now on in seconds, then for each fingerprint: lead, the end of the lead's id, its
--         field in its bucket, the sighting (empty: none), the minute before which nothing matters
-- Answers 1
--
-- Keeps: of one lead one sighting at the most; not more than MOST of one fingerprint, the latest. Each call looks at a few
--        other fingerprints of the bucket and forgets those about which nothing matters any more.

local MOST, LOOKED_AT = 32, 4

local function is_old(sighting, oldest)
  return tonumber(string.sub(sighting, 9, 13), 36) < oldest
end

-- The sightings without what is old and without the lead's own.
local function kept(text, tail, oldest)
  local list = {}
  for one in string.gmatch(text or '', '[^;]+') do
    if string.sub(one, 1, 8) ~= tail and not is_old(one, oldest) then list[#list + 1] = one end
  end
  return list
end

for i = 1, #KEYS / 2 do
  local lock, bucket = KEYS[2 * i - 1], KEYS[2 * i]
  local lead, tail, field, fresh, oldest = unpack(ARGV, 5 * i - 3, 5 * i + 1)
  oldest = tonumber(oldest)
  if string.match(redis.call('GET', lock) or '', '^%d+ (%S+) ') == lead then redis.call('DEL', lock) end

  local known = redis.call('HGET', bucket, field)
  if known or fresh ~= '' then
    local list = kept(known, tail, oldest)
    if fresh ~= '' then list[#list + 1] = fresh end
    if #list == 0 then
      redis.call('HDEL', bucket, field)
    else
      redis.call('HSET', bucket, field, table.concat(list, ';', math.max(1, #list - MOST + 1)))
    end
  end

  if fresh ~= '' then
    redis.call('EXPIRE', bucket, ARGV[1])
    local some = redis.call('HRANDFIELD', bucket, LOOKED_AT, 'WITHVALUES')
    for at = 1, #some, 2 do
      if #kept(some[at + 1], '', oldest) == 0 then redis.call('HDEL', bucket, some[at]) end
    end
  end
end
return 1
