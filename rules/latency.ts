/** How long something took, as counts in buckets: counts of different times and places add up, and percentiles are read from the sum. */

/** Eight buckets for each doubling: exact below 16 ms; above, a bucket's middle is less than one part in sixteen from each of its values. */
const EACH = 8
export const BUCKETS = 120
/** What took longer counts as this: a little over two minutes. */
const LONGEST_MS = 2 ** 17 - 1

/** Bucket of so many milliseconds, from 0 on. */
export function bucketOf(ms: number): number {
  const whole = Math.min(Math.max(0, Math.floor(ms)), LONGEST_MS)
  if (whole < EACH) return whole
  const doublings = 28 - Math.clz32(whole)
  return EACH * doublings + (whole >> doublings)
}

/** The middle of a bucket, in milliseconds. */
export function bucketMs(bucket: number): number {
  if (bucket < 2 * EACH) return bucket
  const doublings = Math.floor(bucket / EACH) - 1
  const least = (bucket - EACH * doublings) * 2 ** doublings
  return least + (2 ** doublings - 1) / 2
}

/** The time that so large a share (0.99) did not exceed, by nearest rank; null where nothing was counted. */
export function percentile(counts: readonly number[], share: number): number | null {
  const all = counts.reduce((sum, n) => sum + n, 0)
  let left = Math.max(1, Math.ceil(all * share))
  for (let bucket = 0; bucket < counts.length; bucket++) {
    left -= counts[bucket]!
    if (left <= 0) return bucketMs(bucket)
  }
  return null
}
