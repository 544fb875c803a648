-- rate: takes up to so many whole tokens out of a source's bucket.
--
-- KEYS    bucket (hash: `milli`, thousandths of a token; `at`, when they were counted)
-- ARGV    tokens wanted, tokens gained per second, tokens that fit, now
-- Answers the number of tokens taken
--
-- Keeps: a bucket is full when nobody knows it, never holds more than fits, and time does not run backwards in it. A
--        repeated call may take twice: the source gets less than its rate, never more.

local want, per_second, burst, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local bucket = redis.call('HMGET', KEYS[1], 'milli', 'at')
local milli, at = tonumber(bucket[1] or burst * 1000), tonumber(bucket[2] or now)

if now > at then
  milli = milli + (now - at) * per_second
  at = now
end
milli = math.min(milli, burst * 1000)
local got = math.min(want, math.floor(milli / 1000))
redis.call('HSET', KEYS[1], 'milli', milli - got * 1000, 'at', at)

local refill_ms = per_second > 0 and math.ceil(burst * 1000 / per_second) or 86400000
redis.call('PEXPIRE', KEYS[1], math.max(refill_ms, 60000))
return got
