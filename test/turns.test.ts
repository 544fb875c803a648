/** Lines by weight: draws are exact and replay, turns come round evenly in every store and over several processes. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { ConductPorts } from '../engine/conduct.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { drawByWeight } from '../rules/strategy.ts'
import { type TurnCandidate, Turns } from '../rules/turns.ts'
import { randomFrom } from './world/conditions.ts'
import { playOnPaper } from './world/stage.ts'
import { readStories } from './world/story.ts'

const prefix = `t${randomBytes(4).toString('hex')}:`
const freshTier = () => `solar:${randomBytes(6).toString('hex')}`
const candidate = (contract: string, weight: number, group = contract): TurnCandidate => ({ contract, weight, group })
let redis: RedisStore

beforeAll(async () => {
  redis = await openRedisStore({ url: inject('redisUrl'), prefix })
})

afterAll(async () => {
  await redis.close()
  const client = new Redis(inject('redisUrl'))
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 }))
    if (keys.length > 0) await client.unlink(...keys)
  await client.quit()
})

describe('a draw by weight', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 40 })
  const die = fc.integer({ min: 0, max: 65_535 })

  test('takes the ticket that the die names, of those that are left', () => {
    fc.assert(
      fc.property(weights, fc.array(die, { minLength: 40, maxLength: 40 }), (hat, dice) => {
        let tickets = hat.flatMap((weight, at) => new Array<number>(weight).fill(at))
        const drawn = hat.map((_, draw) => {
          const winner = tickets[Math.floor((dice[draw]! * tickets.length) / 65_536)]!
          tickets = tickets.filter((ticket) => ticket !== winner)
          return winner
        })
        expect(drawByWeight(hat, dice)).toEqual(drawn)
      }),
    )
  })

  test('is exact for the most and the heaviest there may be', () => {
    const heavy = new Array<number>(10_000).fill(10_000)
    const line = drawByWeight(heavy, new Array<number>(10_000).fill(65_535))
    expect(line[0]).toBe(9_999)
    expect(new Set(line).size).toBe(10_000)
  })

  test('gives each its part of the first places', () => {
    const random = randomFrom(7)
    const hat = [5, 3, 1, 1]
    const firsts = [0, 0, 0, 0]
    const draws = 100_000
    for (let i = 0; i < draws; i++) {
      const dice = hat.map(() => Math.floor(random() * 65_536))
      firsts[drawByWeight(hat, dice)[0]!]!++
    }
    for (const [at, weight] of hat.entries())
      expect(Math.abs(firsts[at]! / draws - weight / 10), `${weight} of 10`).toBeLessThan(0.005)
  })
})

const CASES: readonly {
  readonly why: string
  readonly who: readonly TurnCandidate[]
  readonly copies?: number
  readonly turns: readonly string[]
}[] = [
  { why: 'equals take turns', who: [candidate('a', 1), candidate('b', 1)], turns: ['a', 'b', 'a', 'b'] },
  {
    why: 'a heavy one is spread out',
    who: [candidate('a', 5), candidate('b', 1), candidate('c', 1)],
    turns: ['a', 'a', 'b', 'a', 'c', 'a', 'a'],
  },
  {
    why: 'two copies are two turns of two contracts',
    who: [candidate('a', 1), candidate('b', 1), candidate('c', 1)],
    copies: 2,
    turns: ['a b', 'c a', 'b c', 'a b'],
  },
  {
    why: 'a group has one turn with one lead',
    who: [candidate('a', 2, 'blue'), candidate('b', 1, 'blue'), candidate('c', 1)],
    copies: 3,
    turns: ['a c', 'b c', 'a c'],
  },
]

describe.each([
  ['in-process', () => new MemoryStore('test')],
  ['Redis', () => redis],
] as const)('turns, %s', (_, open) => {
  test.each(CASES)('$why', async ({ who, copies = 1, turns }) => {
    const [store, tier] = [open(), freshTier()]
    const had: string[] = []
    for (const _ of turns) {
      const places = await store.turn(tier, who, copies)
      had.push(places.map((place) => who[place]!.contract).join(' '))
    }
    expect(had).toEqual(turns)
  })

  test('a thousand candidates fit into one call', async () => {
    const who = Array.from({ length: 1_000 }, (_, at) => candidate(`c${at}`, 1))
    const [store, tier] = [open(), freshTier()]
    expect(await store.turn(tier, who, 2)).toEqual([0, 1])
    expect(await store.turn(tier, who, 2)).toEqual([2, 3])
  })
})

const crowd = fc.uniqueArray(
  fc.record({
    contract: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    weight: fc.integer({ min: 1, max: 10_000 }),
    group: fc.constantFrom('a', 'b', 'c', 'd', 'blue'),
  }),
  { selector: (one) => one.contract, minLength: 1, maxLength: 6 },
)

test('a store that is away costs a round-robin tier nothing: it sells by the dice at once', async () => {
  const story = readStories('auctions').find(({ name }) => name === 'round-robin-weighs-its-turns')!.story
  const away = (ports: ConductPorts): ConductPorts => ({
    ...ports,
    hot: new Proxy(ports.hot, {
      get: (store, name) => {
        const member = Reflect.get(store, name)
        if (name === 'turn') return () => Promise.reject(new Error('away'))
        return typeof member === 'function' ? member.bind(store) : member
      },
    }),
  })
  const { trace, outcomes } = await playOnPaper(story, away)
  expect(trace.slice(0, 3)).toEqual(['   0 > turn main', '   0 < turn of nobody', '   0 > hold acme'])
  expect(outcomes).toEqual({ acme: 'sold 8.00', bolt: 'not_asked not_reached' })
})

test('300 random histories: the model and the Lua say the same', async () => {
  const leads = fc.array(fc.record({ who: crowd, copies: fc.integer({ min: 1, max: 3 }) }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(leads, async (history) => {
      const [model, tier] = [new Turns(), freshTier()]
      const right = history.map(({ who, copies }) => model.take(tier, who, copies))
      expect(await Promise.all(history.map(({ who, copies }) => redis.turn(tier, who, copies)))).toEqual(right)
    }),
    { numRuns: 300 },
  )
})

/** Where no weight asks for more than one turn a lead. */
test('after every lead each has had its part of the turns, but for a few', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 4 }), (each, copies) => {
      const all = each.reduce((sum, weight) => sum + weight, 0)
      fc.pre(each.every((weight) => weight * copies <= all))
      const turns = new Turns()
      const who = each.map((weight, at) => candidate(`c${at}`, weight))
      const had = each.map(() => 0)
      for (let lead = 1; lead <= 500; lead++) {
        for (const place of turns.take('main', who, copies)) had[place]!++
        for (const [at, weight] of each.entries())
          expect(Math.abs(had[at]! - (lead * copies * weight) / all)).toBeLessThan(each.length)
      }
    }),
    { numRuns: 60 },
  )
})

test('four processes on one Redis give each its weight of 10,000 leads, within 1 %', { timeout: 60_000 }, async () => {
  const who = [17, 11, 5, 3, 1].map((weight, at) => candidate(`c${at}`, weight))
  const worker = new URL('turns-worker.ts', import.meta.url).pathname
  const args = [inject('redisUrl'), prefix, freshTier(), JSON.stringify(who), '2500']
  const told = await Promise.all(Array.from({ length: 4 }, async () => (await once(fork(worker, args), 'message'))[0]))
  const had = who.map((_, at) => (told as number[][]).reduce((sum, got) => sum + got[at]!, 0))
  expect(had.reduce((sum, turns) => sum + turns, 0)).toBe(10_000)
  for (const [at, { weight }] of who.entries()) {
    const right = (10_000 * weight) / 37
    expect(Math.abs(had[at]! - right) / right, `${had[at]} turns of weight ${weight}`).toBeLessThan(0.01)
  }
})
