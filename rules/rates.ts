/** The pure model of rate limits: a bucket of tokens for each source. */
import type { WallMs } from './units.ts'

interface Bucket {
  /** Thousandths of a token: milliseconds times tokens per second are whole. */
  milli: number
  at: number
}

/** Buckets of sources; there are as many as the configuration has sources. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>()

  /** Takes up to `want` whole tokens out of a bucket that gains `perSecond` and holds `burst`; answers how many it got. */
  take(source: string, want: number, perSecond: number, burst: number, now: WallMs): number {
    let bucket = this.#buckets.get(source)
    if (!bucket) {
      bucket = { milli: burst * 1_000, at: now }
      this.#buckets.set(source, bucket)
    }
    if (now > bucket.at) {
      bucket.milli += (now - bucket.at) * perSecond
      bucket.at = now
    }
    bucket.milli = Math.min(bucket.milli, burst * 1_000)
    const got = Math.min(want, Math.floor(bucket.milli / 1_000))
    bucket.milli -= got * 1_000
    return got
  }
}
