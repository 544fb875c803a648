-- turn: says whose turn it is in a round-robin tier.
--
-- KEYS    credits (hash: contract -> whole number)
-- ARGV    copies, then of each candidate (1 to 1,000): contract, weight, group
-- Answers the places of the candidates that have the next turns, from 0, first come first
--
-- Keeps: credits add up to zero. Each gains its weight for each turn, those with the most (of equal ones the first, of a
--        group one) have the turns, and each pays what all gain with one. A group whose weight asks for more than one
--        turn with every lead has one. Forgotten after a week without a lead. A repeated call takes another turn, and a
--        lost hash begins anew: for some leads shares are uneven, no more.

local WEEK_MS = 604800000

local candidates, groups, named = {}, {}, {}
for i = 2, #ARGV, 3 do
  local one = { place = (i - 2) / 3, name = ARGV[i], weight = tonumber(ARGV[i + 1]) }
  candidates[#candidates + 1] = one
  local group = named[ARGV[i + 2]]
  if not group then
    group = { weight = 0 }
    named[ARGV[i + 2]] = group
    groups[#groups + 1] = group
  end
  group.weight = group.weight + one.weight
  group[#group + 1] = one
  one.group = group
end

local names = {}
for i, one in ipairs(candidates) do names[i] = one.name end
for i, credit in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do candidates[i].credit = tonumber(credit or 0) end

local turns, all, left = {}, 0, math.min(tonumber(ARGV[1]), #groups)
for _, group in ipairs(groups) do all = all + group.weight end

local function have_turn(list, price)
  local first
  for _, one in ipairs(list) do
    if not one.group.out and (not first or one.credit > first.credit) then first = one end
  end
  first.credit = first.credit - price
  first.group.out = true
  turns[#turns + 1] = first.place
  left = left - 1
end

local function sure_one()
  for _, group in ipairs(groups) do
    if not group.out and group.weight * left > all then return group end
  end
end

local sure = sure_one()
while sure do
  for _, one in ipairs(sure) do one.credit = one.credit + one.weight end
  have_turn(sure, sure.weight)
  all = all - sure.weight
  sure = sure_one()
end
for _, one in ipairs(candidates) do
  if not one.group.out then one.credit = one.credit + one.weight * left end
end
while left > 0 do have_turn(candidates, all) end

local credits = {}
for _, one in ipairs(candidates) do
  credits[#credits + 1] = one.name
  credits[#credits + 1] = string.format('%.0f', one.credit)
end
redis.call('HSET', KEYS[1], unpack(credits))
redis.call('PEXPIRE', KEYS[1], WEEK_MS)
return turns
