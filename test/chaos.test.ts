/** Chaos with real processes: engines are killed and stopped, stores are emptied and taken away, and nothing is lost or sold twice. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { type EmbeddedPostgres, startPostgres } from '../engine/embedded.ts'
import { Arena, type ArenaOptions, type EngineSlot } from './chaos/arena.ts'
import { BIDDERS } from './chaos/market.ts'
import { freePort, killAll } from './chaos/processes.ts'
import { StoreProxy } from './chaos/proxy.ts'
import { until } from './chaos/until.ts'

/** GAVEL_CHAOS=full: as often and as long as promised; otherwise a short form of the same. */
const FULL = process.env['GAVEL_CHAOS'] === 'full'
const KILLS = FULL ? 20 : 3
const FLUSHES = FULL ? 10 : 3
const AWAY_MS = FULL ? 20_000 : 5_000
const LIMIT_MS = FULL ? 600_000 : 240_000
/** A silent engine is fenced after six seconds; a post nobody heard of is in doubt some seconds after it must have ended. */
const TAKEN_OVER_WITHIN_MS = 30_000

let folder = ''
let port = 0
let postgres: EmbeddedPostgres

const startServer = (): Promise<EmbeddedPostgres> =>
  startPostgres({ dataDir: join(folder, 'data'), port, log: () => {} })

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gavelpost-chaos-postgres-'))
  chmodSync(folder, 0o711)
  port = await freePort()
  postgres = await startServer()
})

afterAll(async () => {
  killAll()
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function enter({ onTestFinished }: TestContext, options: Omit<ArenaOptions, 'server'> = {}): Promise<Arena> {
  const arena = await Arena.open({ server: postgres.url, ...options })
  onTestFinished(() => arena.close())
  return arena
}

async function standIn(
  { onTestFinished }: TestContext,
  target: string,
): Promise<{ readonly proxy: StoreProxy; readonly url: string }> {
  const opened = await StoreProxy.open(target)
  onTestFinished(() => opened.proxy.close())
  return opened
}

async function engines(
  world: Arena,
  count: number,
  stores: Parameters<Arena['engine']>[0] = {},
): Promise<EngineSlot[]> {
  const slots: EngineSlot[] = []
  for (let n = 0; n < count; n++) {
    slots.push(await world.engine(stores))
    await slots[n]!.ready()
  }
  return slots
}

const isReady = async (slot: EngineSlot): Promise<boolean> => (await fetch(`${slot.origin}/readyz`)).status === 200

/** The ledger, the hot store, and the clients' and buyers' own records agree on every invariant. */
async function expectInOrder(world: Arena): Promise<void> {
  await world.drained(TAKEN_OVER_WITHIN_MS)
  await world.reportsAgree(TAKEN_OVER_WITHIN_MS)
  const { code, invariants, text } = await world.verify()
  if (FULL) console.log(invariants.map(({ number, counts }) => ({ number, ...counts })))
  expect(code, `${text}\n${world.said()}`).toBe(0)
  expect(invariants.map(({ verdict }) => verdict)).toEqual(new Array(7).fill('holds'))
}

describe('an engine', () => {
  test('is killed under load, again and again, while the other goes on', { timeout: LIMIT_MS }, async (context) => {
    const world = await enter(context, { standing: FULL ? 90 : 20 })
    const slots = await engines(world, 2)
    const stop = new AbortController()
    const crowds = slots.map((slot) => world.crowd(slot, 12, stop.signal))
    const cut: string[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      const victim = slots[kill % 2]!
      const engine = await world.engineOf(victim)
      const before = world.sent.size
      await until('it has posts under way', 10_000, () =>
        world.ask("select count(*) from intents where state = 'open' and engine = $1", [engine]),
      )
      await victim.program.kill9()
      cut.push(...world.unanswered(before))
      const sold = await world.sales()
      await until('the other goes on selling', 10_000, async () => (await world.sales()) >= sold + 20)
      if (kill % 2 === 0) await takenOver(world, engine)
      await victim.again()
    }
    stop.abort()
    await Promise.all(crowds)
    await sendAgain(world, slots, cut)
    await expectInOrder(world)
    const taken = await world.ask('select count(*) from leads where term > 1')
    expect(taken).toBeGreaterThan(0)
    if (FULL) console.log({ kills: KILLS, takenOver: taken, sentAgain: cut.length })
  })

  /** The other one finds out, under load, that this one is dead, and takes every lead of it over. */
  async function takenOver(world: Arena, engine: number): Promise<void> {
    await until('it is fenced', TAKEN_OVER_WITHIN_MS, () =>
      world.ask('select count(*) from engines where id = $1 and fenced_at is not null', [engine]),
    )
    await until('it owns no undecided lead any more', TAKEN_OVER_WITHIN_MS, async () => {
      return (await world.ask('select count(*) from leads where status is null and owner = $1', [engine])) === 0
    })
  }

  /** Sources post again what was cut off, as often as they are told to: the same key never makes a second sale. */
  async function sendAgain(world: Arena, slots: readonly EngineSlot[], bodies: readonly string[]): Promise<void> {
    const send = (body: string, n: number) =>
      until('a lead that is sent again is answered', 30_000, async () => {
        const { http, title } = await world.post(slots[n % slots.length]!, body)
        if (http === 503) throw new Error(title ?? '')
        return [200, 202, 422].includes(http)
      })
    await Promise.all(bodies.map(send))
  }
})

/** Both wait most of their time for the other engine to take the silent one for dead. */
describe.concurrent('an engine that stood still', () => {
  /** What an engine was told while it stood still reaches it when it goes on: by then its lead is another's. */
  async function stopsBetweenIntentAndPost(
    world: Arena,
    stores: Parameters<Arena['engine']>[0],
    answer: Held,
  ): Promise<void> {
    const [other] = await engines(world, 1)
    const [stopped] = await engines(world, 1, stores)
    const held = answer.proxy.keepAnswersOf(answer.isAsked)
    const posted = world.post(stopped!).catch(() => null)
    await held
    const leadId = await until('its INTENT is durable', 900, async () => {
      const { rows } = await world.database.query("select lead_id from intents where state = 'open'")
      return rows[0]?.lead_id as string | undefined
    })
    stopped!.program.signal('SIGSTOP')
    const engine = await world.engineOf(stopped!)
    answer.proxy.release()
    await until('it is fenced', TAKEN_OVER_WITHIN_MS, () =>
      world.ask('select count(*) from engines where id = $1 and fenced_at is not null', [engine]),
    )
    stopped!.program.signal('SIGCONT')
    await until('it finds that it is fenced, and ends', 10_000, () => stopped!.program.isGone)
    expect(await stopped!.program.gone()).toBe(3)
    await posted
    expect(world.posts(leadId)).toEqual([])
    expect((await world.post(other!)).http).toBe(200)
    await expectInOrder(world)
    expect(world.posts(leadId)).toEqual([])
  }

  interface Held {
    readonly proxy: StoreProxy
    /** True of what is sent when the engine asks for what will be kept from it. */
    readonly isAsked: (sent: string) => boolean
  }

  test('before it heard that its hold is a post does not post', { timeout: LIMIT_MS }, async (context) => {
    const world = await enter(context, { calm: true })
    const { proxy, url } = await standIn(context, world.redis.url)
    // `posting` is the first script with a token and nothing behind its moment.
    const isAsked = (sent: string): boolean => /^\*9\r\n\$\d+\r\neval(?:sha)?\r\n/im.test(sent)
    await stopsBetweenIntentAndPost(world, { redisUrl: url }, { proxy, isAsked })
  })

  test('before it heard of its INTENT does not post', { timeout: LIMIT_MS }, async (context) => {
    const world = await enter(context, { calm: true })
    const { proxy, url } = await standIn(context, world.databaseUrl)
    const isAsked = (sent: string): boolean => sent.includes('"postBy":')
    await stopsBetweenIntentAndPost(world, { databaseUrl: url }, { proxy, isAsked })
  })
})

describe('a hot store', () => {
  test('is emptied under load: no cap is exceeded, and every place is sold in the end', {
    timeout: LIMIT_MS,
  }, async (context) => {
    const cap = FULL ? 1_000 : 100
    const world = await enter(context, { calm: true, cap })
    const slots = await engines(world, 2)
    const stop = new AbortController()
    const crowds = slots.map((slot) => world.crowd(slot, 8, stop.signal))
    const redis = new Redis(world.redis.url)
    const bought = () => world.ask('select count(*) from sales where contract = any($1)', [BIDDERS])
    for (let flush = 1; flush <= FLUSHES; flush++) {
      const share = (flush * cap * BIDDERS.length) / (FLUSHES + 1)
      await until('a good part is sold', 60_000, async () => (await bought()) >= share)
      await redis.flushall()
    }
    await redis.quit()
    await until('every place is sold', 60_000, async () => (await bought()) === cap * BIDDERS.length)
    const sold = await world.sales()
    await until('the others are sold to', 20_000, async () => (await world.sales()) >= sold + 50)
    stop.abort()
    await Promise.all(crowds)
    await expectInOrder(world)
    for (const bidder of BIDDERS) {
      const taken = world.posts().filter(({ contract, answer }) => contract === bidder && answer === 'accepted')
      expect(taken.length, bidder).toBe(cap)
    }
  })
})

describe('a ledger', () => {
  /** Leads are refused with a moment to come back at, and taken again once the ledger is there. */
  async function goesAway(world: Arena, slots: readonly EngineSlot[], away: () => Promise<void>): Promise<void> {
    const stop = new AbortController()
    const streams = slots.map((slot) => world.stream(slot, 40, stop.signal))
    await until('leads are sold', 10_000, async () => (await world.sales()) >= 40)
    await away()
    await until('every engine is ready again', 20_000, async () => {
      return (await Promise.all(slots.map(isReady))).every(Boolean)
    })
    const sold = await world.sales()
    await until('leads are sold again', 10_000, async () => (await world.sales()) >= sold + 40)
    stop.abort()
    const results = await Promise.all(streams)
    for (const { answers } of results) {
      expect(Object.keys(answers).filter((name) => /^5/.test(name) && !name.startsWith('503'))).toEqual([])
    }
    await expectInOrder(world)
  }

  /** Behind a proxy that `takeAway` takes away for so long. */
  async function isAway(context: TestContext, takeAway: (proxy: StoreProxy) => void): Promise<void> {
    const world = await enter(context)
    const { proxy, url } = await standIn(context, world.databaseUrl)
    const slots = await engines(world, 2, { databaseUrl: url })
    await goesAway(world, slots, async () => {
      takeAway(proxy)
      const back = performance.now() + AWAY_MS
      const refused = await until('leads are refused', AWAY_MS, async () => {
        // What was taken before the ledger was found to be away waits for it.
        const said = await world.post(slots[0]!, undefined, AbortSignal.timeout(500)).catch(() => null)
        return said?.http === 503 && said
      })
      expect(Number(refused.retryAfter)).toBeGreaterThan(0)
      expect(await isReady(slots[0]!)).toBe(false)
      await until('the time is over', AWAY_MS + 1_000, () => performance.now() > back)
      proxy.allow()
    })
  }

  test('is away for a while under load', { timeout: LIMIT_MS }, (context) => isAway(context, (proxy) => proxy.refuse()))

  if (FULL)
    test('is silent for a while under load', { timeout: LIMIT_MS }, (context) =>
      isAway(context, (proxy) => proxy.silence()),
    )

  test('is restarted the hard way under load', { timeout: LIMIT_MS }, async (context) => {
    const world = await enter(context)
    const slots = await engines(world, 2)
    await goesAway(world, slots, async () => {
      process.kill(postgres.pid, 'SIGQUIT')
      await postgres.exited
      postgres = await startServer()
    })
  })
})
