/** How often contracts are pinged, with a store that is quick, slow or away, in one process and in several. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemoryStore } from '../engine/store/memory.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { Throttles } from '../engine/throttles.ts'
import { Allowances, type Lent, type Throttle, throttleSpan } from '../rules/throttle.ts'
import { type WallMs, wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import { VirtualClock } from './world/clock.ts'

const throttle = (window: Throttle['window'], limit: number, owner = 'contract:acme'): Throttle => ({
  ...{ owner, window, limit, zone: 'America/Chicago' },
})
const contractOf = (own: readonly Throttle[], buyers: readonly Throttle[] = []) =>
  ({ buyer: { throttles: buyers }, throttles: own }) as unknown as Pick<Contract, 'buyer' | 'throttles'>

/** Engines with one clock and one store, which answers after so many milliseconds, or not at all. */
class World {
  readonly clock = new VirtualClock(Date.UTC(2026, 2, 2, 18))
  readonly allowances = new Allowances()
  answersAfter: number | 'away' = 1
  readonly engines: readonly Throttles[]

  constructor(engines = 1) {
    const store = { allow: (...asked: Parameters<MemoryStore['allow']>) => this.#allow(...asked) }
    this.engines = Array.from(
      { length: engines },
      () => new Throttles({ clock: this.clock, store, share: () => 1 / engines }),
    )
  }

  #allow(window: string, want: number, limit: number, keepMs: number, now: WallMs): Promise<Lent> {
    const { answersAfter } = this
    if (answersAfter === 'away') return Promise.reject(new Error('no connection'))
    const lent = this.allowances.allow(window, want, limit, keepMs, now)
    return new Promise((resolve) => this.clock.at(this.clock.mono() + answersAfter, () => resolve(lent)))
  }

  /** Pings evenly spaced over `ms`, by each engine in turn; answers how many left in each second. */
  async ping(contract: ReturnType<typeof contractOf>, perSecond: number, ms: number): Promise<number[]> {
    const start = this.clock.mono()
    const left = new Array<number>(Math.ceil(ms / 1_000)).fill(0)
    for (let i = 0; i < (perSecond * ms) / 1_000; i++) {
      await this.clock.to(start + (i * 1_000) / perSecond)
      const second = Math.floor((this.clock.mono() - start) / 1_000)
      if (this.engines[i % this.engines.length]!.take(contract) === null) left[second]!++
    }
    await this.clock.to(start + ms)
    return left
  }
}

test('windows are seconds and minutes of the clock, and days of the buyer', () => {
  const moment = wallMs(Date.UTC(2026, 2, 2, 18, 30, 15, 250))
  expect(throttleSpan(throttle('second', 1), moment)).toMatchObject({ endsAt: moment + 750 })
  expect(throttleSpan(throttle('minute', 1), moment)).toMatchObject({ endsAt: moment + 44_750 })
  expect(throttleSpan(throttle('day', 1), moment)).toMatchObject({
    name: '2026-03-02',
    endsAt: Date.UTC(2026, 2, 3, 6),
  })
})

describe('one process', () => {
  test.each([0, 1, 40, 400])(
    'keeps a limit to the ping with a store that takes %d ms, and uses all of it',
    async (after) => {
      const world = new World()
      world.answersAfter = after
      expect(await world.ping(contractOf([throttle('second', 20)]), 100, 5_000)).toEqual([20, 20, 20, 20, 20])
    },
  )

  test('counts every window at once, and says which is full', async () => {
    const world = new World()
    const contract = contractOf([throttle('second', 3), throttle('day', 7)], [throttle('minute', 5, 'buyer:acme')])
    const [engine] = world.engines as [Throttles]
    expect(await world.ping(contract, 10, 1_000)).toEqual([3])
    expect(engine.fullWindow(contract)).toBeNull()
    expect(await world.ping(contract, 10, 1_000)).toEqual([2])
    expect(engine.fullWindow(contract)).toBe('minute')
    await world.clock.to(60_000)
    expect(await world.ping(contract, 10, 1_000)).toEqual([2])
    expect(engine.take(contract)).toBe('day')
    const other = contractOf([], [contract.buyer.throttles[0]!])
    expect(engine.take(other)).toBeNull()
  })

  test('pings on while the store is away, and pays nothing back for what nobody counted', async () => {
    const world = new World()
    world.answersAfter = 'away'
    expect(await world.ping(contractOf([throttle('second', 10)]), 100, 3_000)).toEqual([10, 10, 10])
    world.answersAfter = 1
    expect((await world.ping(contractOf([throttle('second', 10)]), 100, 3_000)).at(-1)).toBe(10)
  })
})

describe('several processes', () => {
  test('exceed a limit by no more than they lent before they heard of each other, and pay it back', async () => {
    const world = new World(4)
    world.answersAfter = 5
    const left = await world.ping(contractOf([throttle('second', 40)]), 400, 10_000)
    expect(Math.max(...left)).toBeLessThanOrEqual(40 + 30)
    const all = left.reduce((sum, one) => sum + one, 0)
    expect(all).toBeLessThanOrEqual(400 + 30)
    expect(all).toBeGreaterThan(380)
  })

  test('share a limit that is smaller than their number', async () => {
    const world = new World(4)
    const left = await world.ping(contractOf([throttle('minute', 2)]), 40, 4_000)
    expect(left.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(2 + 4)
    expect(left.slice(1)).toEqual([0, 0, 0])
  })
})

describe('the store', () => {
  let redis: RedisStore
  beforeAll(async () => {
    redis = await openRedisStore({ url: inject('redisUrl'), prefix: `gp-throttle-${process.pid}:` })
  })
  afterAll(() => redis?.close())

  test('lends alike in this process and on Redis, and never more than a limit', async () => {
    const ask = fc.record({
      window: fc.constantFrom('contract:acme:day:1', 'contract:acme:day:2', 'buyer:acme:second:7'),
      want: fc.nat(9),
    })
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { maxLength: 30 }), fc.integer({ min: 1, max: 20 }), async (asks, limit) => {
        const memory = new MemoryStore('test')
        round++
        const got = new Map<string, number>()
        for (const { window, want } of asks) {
          const key = `${window}${round}`
          const [here, there] = [
            await memory.allow(key, want, limit, 60_000, wallMs(0)),
            await redis.allow(key, want, limit, 60_000),
          ]
          expect(there).toEqual(here)
          got.set(key, (got.get(key) ?? 0) + here.got)
          expect(got.get(key)! + here.left).toBe(limit)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('forgets windows that are over', () => {
    const allowances = new Allowances()
    for (let second = 0; second < 5_000; second++) allowances.allow(`w${second}`, 1, 5, 60_000, wallMs(second * 1_000))
    expect(allowances.size).toBeLessThan(2_200)
  })

  test('keeps a limit for four processes that ping through it at once', async () => {
    const clock = new VirtualClock(Date.UTC(2026, 2, 2, 18, 0, 0, 500))
    const limit = 100
    const contract = contractOf([throttle('minute', limit, `contract:four${Date.now()}`)])
    const engines = Array.from({ length: 4 }, () => new Throttles({ clock, store: redis, share: () => 0.25 }))
    let left = 0
    for (let turn = 0; turn < 100; turn++) {
      for (const engine of engines) if (engine.take(contract) === null) left++
      await redis.epoch()
      await new Promise((resolve) => setImmediate(resolve))
    }
    // What each lent before it heard of the others comes on top, a quarter of the limit at the most.
    expect(left).toBeGreaterThanOrEqual(limit)
    expect(left).toBeLessThanOrEqual(limit + 3 * 25)
  })
})
