/** The hot store on a Redis that is killed, emptied, paused and restored: it forgets loudly and never oversells. */
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RedisLink, StoreAway } from '../engine/store/link.ts'
import type { Restoration } from '../engine/store/port.ts'
import { KeyNames, openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { type PlaceGroup, tagImages } from '../rules/caps.ts'
import { wallMs } from '../rules/units.ts'
import { type RedisServer, startRedis } from './redis.ts'

const DAY_MS = 86_400_000

const now = wallMs(1_772_000_000_000)
const day = (amount: number, limit = 1_000_000, buyer = 'acme'): PlaceGroup => ({
  tag: `b:${buyer}`,
  places: [
    { key: `buyer:${buyer}:day:count:2026-03-02`, amount, limit, version: 1, transient: false, forgetAt: wallMs(0) },
  ],
})
const used = async (store: RedisStore, buyer = 'acme'): Promise<number | undefined> =>
  (await store.dump()).counters[`buyer:${buyer}:day:count:2026-03-02`]
const restoration = (epoch: number, more: Partial<Restoration> = {}): Restoration => ({
  epoch,
  committed: [],
  tokens: [],
  scopes: ['solar'],
  locks: [],
  sightings: [],
  tags: ['b:acme', 'c:solar'],
  ...more,
})

let server: RedisServer
const open: RedisStore[] = []

async function openStore(options: { commandTimeoutMs?: number } = {}): Promise<RedisStore> {
  const store = await openRedisStore({ url: server.url, ...options })
  open.push(store)
  return store
}

/** Resolves when the store says that it may have lost its memory. */
const nextCold = (store: RedisStore): Promise<void> => new Promise((resolve) => store.onCold(resolve))

beforeEach(async () => {
  server = await startRedis({ aof: true })
})

afterEach(async () => {
  server.resume()
  await Promise.all(open.splice(0).map((store) => store.close()))
  await server.stop()
})

test('a Redis that comes back with its data is cold all the same: a second of it may be missing', async () => {
  const store = await openStore()
  await store.restore(restoration(1))
  expect(await store.hold('t1', [day(1)], now)).toEqual({ code: 'HELD' })
  const before = await store.runId()
  const cold = nextCold(store)
  await server.kill9()
  await server.start()
  await cold
  expect(await store.hold('t2', [day(1)], now)).toEqual({ code: 'COLD' })
  expect(await store.commit('t1', [day(1)], now)).toBe('COLD')
  const claim = { leadId: 'L1', idempotency: null, bodyHash: '', fingerprints: ['solar:x'], keepMs: DAY_MS, now }
  expect(await store.claim(claim)).toEqual({ code: 'COLD' })
  expect(await store.warm()).toBe(false)
  expect(await store.runId()).not.toBe(before)
  await store.restore(restoration(2, { committed: [day(5, 6)] }))
  expect(await store.warm()).toBe(true)
  expect(await store.hold('t3', [day(1, 6)], now)).toEqual({ code: 'HELD' })
  expect(await store.hold('t4', [day(1, 6)], now)).toMatchObject({ code: 'FULL' })
})

test('a Redis that was emptied under a standing connection is cold', async () => {
  const store = await openStore()
  await store.restore(restoration(1))
  const client = new Redis(server.url)
  await client.flushall()
  await client.quit()
  const cold = nextCold(store)
  expect(await store.hold('t1', [day(1)], now)).toEqual({ code: 'COLD' })
  await cold
  expect(await store.warm()).toBe(false)
})

test('a process finds by itself that another one has restored the store under its epoch', async () => {
  const [rebuilder, other] = [await openStore(), await openStore()]
  other.setEpoch(7)
  expect(await other.hold('t1', [day(1)], now)).toEqual({ code: 'COLD' })
  await rebuilder.restore(restoration(7))
  await expect.poll(() => other.hold('t1', [day(1)], now), { interval: 20 }).toEqual({ code: 'HELD' })
})

test('a process of an older epoch sells nothing after a rebuild', async () => {
  const [outdated, rebuilder] = [await openStore(), await openStore()]
  await outdated.restore(restoration(1))
  expect(await outdated.hold('t1', [day(1)], now)).toEqual({ code: 'HELD' })
  await rebuilder.restore(restoration(2))
  expect(await outdated.hold('t2', [day(1)], now)).toEqual({ code: 'COLD' })
  expect(await outdated.posting('t1', [day(1)], now)).toBe('COLD')
  expect(await used(rebuilder)).toBeUndefined()
  outdated.setEpoch(2)
  expect(await outdated.hold('t3', [day(1)], now)).toEqual({ code: 'HELD' })
})

test('a call that got no answer is sent again and acts once', async () => {
  const store = await openStore({ commandTimeoutMs: 100 })
  await store.restore(restoration(1))
  await store.hold('t1', [day(1)], now)
  server.pause()
  const answers = Promise.all([
    store.hold('t2', [day(1)], now),
    store.posting('t1', [day(1)], now),
    store.hold('t1', [day(1)], now),
  ])
  setTimeout(() => server.resume(), 250)
  expect(await answers).toEqual([{ code: 'HELD' }, 'POSTING', { code: 'HELD' }])
  expect(await used(store)).toBe(2)
})

test('a store that stays away rejects within bounds, says what to do, and comes back by itself', async () => {
  const store = await openStore({ commandTimeoutMs: 100 })
  await store.restore(restoration(1))
  server.pause()
  const askedAt = performance.now()
  const failure = await store.hold('t1', [day(1)], now).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(StoreAway)
  expect((failure as Error).message).toMatch(/127\.0\.0\.1:\d+ is out of reach .*check that it runs there/)
  expect(performance.now() - askedAt).toBeLessThan(2_000)
  server.resume()
  await expect.poll(() => store.hold('t1', [day(1)], now).catch(() => null)).toEqual({ code: 'HELD' })
  await server.kill9()
  await expect(store.hold('t2', [day(1)], now)).rejects.toThrow(StoreAway)
  expect(await store.warm()).toBe(false)
  await server.start()
  await expect.poll(() => store.hold('t2', [day(1)], now).catch(() => null)).toEqual({ code: 'COLD' })
})

test('opening a store that is not there fails with what to do, and never shows a password', async () => {
  const url = server.url.replace('redis://', 'redis://user:secret@')
  await server.kill9()
  const failure = await openRedisStore({ url, connectTimeoutMs: 200 }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(StoreAway)
  expect(String(failure)).not.toContain('secret')
})

test('scripts that Redis forgot are sent anew', async () => {
  const store = await openStore()
  await store.restore(restoration(1))
  await store.hold('t1', [day(1)], now)
  const client = new Redis(server.url)
  await client.script('FLUSH')
  await client.quit()
  expect(await store.posting('t1', [day(1)], now)).toBe('POSTING')
  expect(await store.hold('t2', [day(1)], now)).toEqual({ code: 'HELD' })
  expect(await used(store)).toBe(2)
})

test('a rebuild under fire: what is held at the end was held under the new epoch', async () => {
  const [store, other] = [await openStore(), await openStore()]
  await store.restore(restoration(1))
  other.setEpoch(1)
  const buyers = Array.from({ length: 200 }, (_, i) => `buyer${i}`)
  const committed = buyers.map((buyer) => day(3, 1_000_000, buyer))
  let restored = false
  const held: Record<'old' | 'new', number> = { old: 0, new: 0 }
  const fire = async (caller: RedisStore, epoch: 'old' | 'new'): Promise<void> => {
    for (let i = 0; !restored || i < 50; i++) {
      const answer = await caller.hold(`${epoch}${i}`, [day(1)], now)
      if (answer.code === 'HELD') held[epoch]++
    }
  }
  const firing = fire(other, 'old')
  await expect.poll(() => held.old).toBeGreaterThan(10)
  await store.restore(
    restoration(2, { committed: [...committed, day(3)], tags: ['b:acme', ...buyers.map((b) => `b:${b}`)] }),
  )
  const underNew = fire(store, 'new')
  restored = true
  await Promise.all([firing, underNew])
  expect(held.new).toBe(50)
  expect(await used(store)).toBe(3 + held.new)
  expect(await used(store, 'buyer199')).toBe(3)
})

test('of two restorations the later one wins, and the one that it overtook throws', async () => {
  const store = await openStore()
  await store.restore(restoration(1))
  const link = await RedisLink.open({ url: server.url })
  const keys = new KeyNames('gp:')
  await link.script('shut', [...keys.of('b:acme'), 'overtaken'])
  await store.restore(restoration(2, { committed: [day(4)] }))
  const [caps] = keys.of('b:acme')
  const [place] = tagImages(restoration(1, { committed: [day(9)] }))
    .get('b:acme')!
    .used.keys()
  for (const name of ['overtaken', '2.someone']) {
    expect(await link.script('install', [caps, caps, name, 'HSET', place!, '9'])).toBe(0)
    expect(await link.script('open', [caps, name, '1'])).toBe(0)
  }
  expect(await used(store)).toBe(4)
  const other = await openStore()
  const tags = Array.from({ length: 500 }, (_, i) => `b:${i}`)
  const both = await Promise.allSettled([
    store.restore(restoration(3, { tags })),
    other.restore(restoration(4, { tags })),
  ])
  expect(both.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []))).toContain(
    'Error: another restoration of the same Redis has overtaken this one',
  )
  await store.restore(restoration(5))
  expect(await store.warm()).toBe(true)
  await link.close()
})

test('a rebuild removes the tags that nobody asks for any more, and leaves no key of theirs', async () => {
  const store = await openStore()
  await store.restore(restoration(1, { tags: ['b:acme', 'b:bolt', 'c:solar', 'c:auto'] }))
  await store.hold('t1', [day(1)], now)
  await store.hold('t2', [day(1, 9, 'bolt')], now)
  await store.restore(restoration(2))
  const client = new Redis(server.url)
  expect((await client.keys('*')).sort()).toEqual([
    'gp:caps:{b:acme}',
    'gp:caps:{c:solar}',
    'gp:claims:{f:solar}',
    'gp:meta',
    'gp:tags',
  ])
  await client.quit()
})

test('claims expire on their own, whatever clock the engine reads', async () => {
  const store = await openStore()
  await store.restore(restoration(1))
  const request = {
    leadId: 'L1',
    idempotency: 's:demo:k',
    bodyHash: 'b',
    fingerprints: ['solar:abcd'],
    keepMs: DAY_MS,
    now,
  }
  await store.claim(request)
  const client = new Redis(server.url)
  expect(await client.pttl('gp:lock:{f:solar}:abcd')).toBeGreaterThan(290_000)
  expect(await client.pttl('gp:hint:{f:solar}:s:demo:k')).toBeGreaterThan(86_000_000)
  const sighting = { leadId: 'L1', campaign: 'solar', level: 3, sold: ['acme'], asked: [], at: now } as const
  await store.unclaim('L1', ['solar:abcd'], { ...sighting, keepMs: 30 * DAY_MS })
  expect(await client.exists('gp:lock:{f:solar}:abcd')).toBe(0)
  expect(await client.pttl('gp:seen:{f:solar}:ab3')).toBeGreaterThan(29.9 * DAY_MS)
  await store.rate('demo', 1, 5, 10, now)
  expect(await client.pttl('gp:rate:{r:demo}')).toBeGreaterThan(50_000)
  await client.quit()
})
