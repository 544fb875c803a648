/** The rate limit of each source, with a store that is quick, slow or away. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLimiter, type LimitedSource } from '../engine/limiter.ts'
import { Buckets } from '../rules/rates.ts'
import type { WallMs } from '../rules/units.ts'
import { VirtualClock } from './world/clock.ts'

const SOURCE: LimitedSource = { id: 'demo', ratePerSecond: 100, burst: 200 }

/** Engines with one clock and one store, which answers after `answersAfter` ms, never (null) or not at all (`away`). */
class World {
  readonly clock = new VirtualClock(1_772_000_000_000)
  readonly buckets = new Buckets()
  answersAfter: number | null | 'away' = 1
  asked = 0
  readonly engines

  constructor(engines = 1) {
    this.engines = Array.from({ length: engines }, () =>
      createLimiter({
        clock: this.clock,
        store: { rate: (...asked) => this.rate(...asked) },
        share: () => 1 / engines,
      }),
    )
  }

  rate(id: string, want: number, perSecond: number, burst: number, now: WallMs): Promise<number> {
    this.asked++
    const { answersAfter } = this
    if (answersAfter === 'away') return Promise.reject(new Error('no connection'))
    if (answersAfter === null) return new Promise(() => {})
    const got = this.buckets.take(id, want, perSecond, burst, now)
    return new Promise((resolve) => this.clock.at(this.clock.mono() + answersAfter, () => resolve(got)))
  }

  /** Offers leads evenly spaced over `ms` to every engine in turn; answers how many came in. */
  async offer(perSecond: number, ms: number, source = SOURCE): Promise<number> {
    let granted = 0
    const start = this.clock.mono()
    for (let i = 0; i < (perSecond * ms) / 1000; i++) {
      await this.clock.to(start + (i * 1000) / perSecond)
      if (this.engines[i % this.engines.length]!.take(source) === 0) granted++
    }
    await this.clock.to(start + ms)
    return granted
  }
}

describe('the rate of a source', () => {
  it('lets a source in that keeps its rate, at a tenth of a question per lead', async () => {
    const world = new World()
    expect(await world.offer(100, 10_000)).toBe(1000)
    expect(world.asked).toBeLessThan(250)
  })

  it('lets a whole burst in at one instant, before the store has spoken', () => {
    const world = new World()
    const answers = Array.from({ length: 250 }, () => world.engines[0]!.take(SOURCE))
    expect(answers.filter((answer) => answer === 0)).toHaveLength(200)
    expect(answers.at(-1)).toBe(3)
  })

  it('holds a source to its rate once the burst is used, and pays back what it lent', async () => {
    const world = new World()
    const first = await world.offer(1000, 5_000)
    expect(first).toBeGreaterThanOrEqual(690)
    expect(first).toBeLessThanOrEqual(500 + 2 * 200)
    const next = await world.offer(1000, 10_000)
    expect(next).toBeGreaterThanOrEqual(980)
    expect(next).toBeLessThanOrEqual(1010)
    expect(world.asked).toBeLessThan(1800)
  })

  it('is one limit over several engines', async () => {
    const world = new World(4)
    const first = await world.offer(2000, 5_000)
    expect(first).toBeGreaterThanOrEqual(690)
    expect(first).toBeLessThanOrEqual(500 + 2 * 200)
    expect(await world.offer(2000, 10_000)).toBeLessThanOrEqual(1020)
  })

  it('says when to come again', async () => {
    const world = new World()
    const slow = { id: 'slow', ratePerSecond: 1, burst: 1 }
    expect(world.engines[0]!.take(slow)).toBe(0)
    await world.clock.to(5)
    expect(world.engines[0]!.take(slow)).toBe(1)
    await world.clock.to(1_100)
    expect(world.engines[0]!.take(slow)).toBe(0)
  })
})

describe('a store that does not answer', () => {
  it.each([
    ['away', 'away' as const],
    ['silent', null],
  ])('%s: each engine grants its share of the rate', async (_, answersAfter) => {
    const world = new World(2)
    world.answersAfter = answersAfter
    await world.offer(1000, 5_000)
    const granted = await world.offer(1000, 10_000)
    expect(granted).toBeGreaterThanOrEqual(980)
    expect(granted).toBeLessThanOrEqual(1020)
    expect(world.asked).toBeLessThan(40)
  })

  it('is asked again when it is back', async () => {
    const world = new World()
    world.answersAfter = 'away'
    await world.offer(50, 3_000)
    world.answersAfter = 1
    const before = world.asked
    expect(await world.offer(50, 5_000)).toBe(250)
    expect(world.asked).toBeGreaterThan(before)
  })

  it('may be slow: what it grants late still counts', async () => {
    const world = new World()
    world.answersAfter = 400
    const granted = await world.offer(90, 20_000)
    expect(granted).toBe(1800)
  })
})

it('forgets sources that are not configured any more', async () => {
  const world = new World()
  const [limiter] = world.engines
  expect(limiter!.take({ id: 'gone', ratePerSecond: 1, burst: 1 })).toBe(0)
  await world.clock.to(10)
  expect(limiter!.take({ id: 'gone', ratePerSecond: 1, burst: 1 })).toBe(1)
  limiter!.keep(new Set(['demo']))
  expect(limiter!.take({ id: 'gone', ratePerSecond: 1, burst: 1 })).toBe(0)
})

it('never grants more than the rate and two bursts, whatever the arrivals', async () => {
  const arrivals = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 60 })), { maxLength: 60 })
  const limits = fc.record({ ratePerSecond: fc.integer({ min: 1, max: 200 }), burst: fc.integer({ min: 2, max: 100 }) })
  await fc.assert(
    fc.asyncProperty(arrivals, limits, fc.integer({ min: 1, max: 2 }), async (gaps, limit, engines) => {
      const world = new World(engines)
      let [granted, turn] = [0, 0]
      for (const [gap, leads] of gaps) {
        await world.clock.to(world.clock.mono() + gap)
        for (let i = 0; i < leads; i++)
          if (world.engines[turn++ % engines]!.take({ id: 'any', ...limit }) === 0) granted++
      }
      const seconds = world.clock.mono() / 1000
      expect(granted).toBeLessThanOrEqual(limit.ratePerSecond * seconds + 2 * limit.burst + 1)
    }),
    { numRuns: 150 },
  )
})
