/** The hot store: the model, the in-process store and the scripts in a real Redis say the same and keep the same. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemoryStore } from '../engine/store/memory.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { CAPS_CASES, FRESH_START, modelStore, play } from './hot-cases.ts'
import { CLAIM_CASES, claimHistory, expectOneInFlight, playClaims } from './hot-claims.ts'
import { HISTORY, playHistory } from './hot-history.ts'

let store: RedisStore
const prefix = `t${randomBytes(4).toString('hex')}:`

beforeAll(async () => {
  store = await openRedisStore({ url: inject('redisUrl'), prefix })
})

afterAll(async () => {
  await store.close()
  const client = new Redis(inject('redisUrl'))
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    if (keys.length > 0) await client.unlink(...keys)
  }
  await client.quit()
})

const same = (step: string, got: unknown, wanted: unknown): void => expect(got, step).toEqual(wanted)

describe.each([
  ['in-process', () => new MemoryStore('test')],
  ['Redis', () => store],
] as const)('%s', (_, open) => {
  test.each(CAPS_CASES)('caps: $why', (story) => play(story, open(), same))

  test.each(CLAIM_CASES)('claims: $why', async ({ steps }) => {
    const subject = open()
    await subject.restore({ ...FRESH_START, scopes: ['solar'] })
    await playClaims(subject, steps, same)
  })

  test('a bucket starts full, refills at its rate, and never holds more than fits', async () => {
    const subject = open()
    const source = randomBytes(4).toString('hex')
    const take = (want: number, now: number) => subject.rate(source, want, 5, 7, now as never)
    const start = 1_772_000_000_000
    expect([await take(10, start), await take(10, start + 199), await take(10, start + 200)]).toEqual([7, 0, 1])
    expect([await take(2, start + 60_000), await take(10, start + 60_000), await take(1, start)]).toEqual([2, 5, 0])
  })

  test('warm only once it is restored, and under the epoch it was restored with', async () => {
    const subject = open()
    await subject.restore({ ...FRESH_START, epoch: 4 })
    expect([await subject.warm(), subject.epoch()]).toEqual([true, 4])
    subject.setEpoch(5)
    expect(await subject.warm()).toBe(false)
    subject.setEpoch(4)
    expect(await subject.warm()).toBe(true)
  })

  test('a cold answer is told to whoever listens', async () => {
    const subject = open()
    await subject.restore(FRESH_START)
    let told = 0
    subject.onCold(() => told++)
    const place = { key: 'x:day', amount: 1, limit: 1, version: 1, transient: false, forgetAt: 0 as never }
    expect(await subject.hold('t1', [{ tag: 'nobody', places: [place] }], 0 as never)).toEqual({ code: 'COLD' })
    expect(told).toBeGreaterThan(0)
  })
})

test('3,000 random histories: model, in-process store and Lua answer alike, nothing is oversold, nothing drifts', async () => {
  let calls = 0
  const said = new Set<string>()
  await fc.assert(
    fc.asyncProperty(HISTORY, async (history) => {
      const model = await playHistory(history, modelStore())
      expect(await playHistory(history, new MemoryStore('test'))).toEqual(model)
      expect(await playHistory(history, store)).toEqual(model)
      calls += history.calls.length
      for (const answer of model.answers) said.add(answer.split(' ')[0]!)
    }),
    { numRuns: 3_000 },
  )
  expect(calls).toBeGreaterThan(20_000)
  const every = ['COLD', 'COMMITTED', 'FULL', 'GONE', 'HELD', 'PACED', 'POSTING', 'RELEASED', 'UNKNOWN']
  expect([...said].sort()).toEqual(every)
}, 120_000)

test('500 random histories of claims: in-process store and Lua answer alike, one lead at a time is in flight', async () => {
  await fc.assert(
    fc.asyncProperty(claimHistory, async (steps) => {
      const fresh = { ...FRESH_START, scopes: ['solar'] }
      const memory = new MemoryStore('test')
      await memory.restore(fresh)
      await store.restore(fresh)
      const own = randomBytes(4).toString('hex')
      const said = await playClaims(memory, steps, () => undefined, own)
      expect(await playClaims(store, steps, () => undefined, own)).toEqual(said)
      expectOneInFlight(steps, said)
    }),
    { numRuns: 500 },
  )
})
