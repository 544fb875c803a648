/** Twins in the instant in which the hot store is lost, on real Redis and Postgres: still only one of them is sold. */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { type IntakePorts, takeLead } from '../engine/intake.ts'
import { Rebuild } from '../engine/rebuild.ts'
import type { Ledger } from '../engine/store/port.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { LedgerKit } from './ledger-kit.ts'
import { compilePeople, JumpingClock, type PeopleStory, peoplePorts, requestOf } from './world/people.ts'

const STORY: PeopleStory = { why: '', buyers: { acme: { price: '20.00' }, bolt: { price: '15.00' } }, steps: [] }
const TWIN = requestOf({ lead: { phone: '1', email: '1' }, expect: [] })
const snapshot = compilePeople(STORY)
const clock = new JumpingClock()
const prefix = `t${randomBytes(4).toString('hex')}:`

/** One engine's process: its own connection, its own view of the epoch. */
interface Process {
  readonly ports: IntakePorts
  readonly hot: RedisStore
  readonly warm: () => Promise<boolean>
}

let kit: LedgerKit
let redis: Redis
const open: RedisStore[] = []

async function startProcess(change: (ledger: Ledger) => Partial<Ledger> = () => ({})): Promise<Process> {
  const hot = await openRedisStore({ url: inject('redisUrl'), prefix })
  open.push(hot)
  const { ledger } = await kit.engine()
  const changed = change(ledger)
  const rebuild = new Rebuild({ pool: kit.pool, hot, clock, snapshots: () => [snapshot], log: () => {} })
  const warm = () => rebuild.makeWarm().then(() => true)
  const stores = {
    hot,
    ledger: new Proxy(ledger, { get: (one, name) => changed[name as keyof Ledger] ?? bound(one, name) }),
  }
  await warm()
  return { ports: { ...peoplePorts(STORY, snapshot, clock, stores), warm }, hot, warm }
}

function bound(ledger: Ledger, name: string | symbol): unknown {
  const value = ledger[name as keyof Ledger]
  return typeof value === 'function' ? value.bind(ledger) : value
}

async function emptyRedis(): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    if (keys.length > 0) await redis.unlink(...keys)
  }
}

const statusOf = async (ports: IntakePorts): Promise<string> =>
  (JSON.parse(String((await takeLead(ports, TWIN)).body)) as { status: string }).status

const soldTo = async (): Promise<string[]> =>
  (await kit.ask<{ buyer: string }>('select buyer from sales order by 1')).map(({ buyer }) => buyer)

/** Something waits before it until it is opened. */
function gate() {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { promise: opened, resolve: openIt } = Promise.withResolvers<void>()
  return {
    reached,
    open: openIt,
    pass: () => {
      reach()
      return opened
    },
  }
}

beforeAll(async () => {
  kit = await LedgerKit.open()
  redis = new Redis(inject('redisUrl'))
})

beforeEach(async () => {
  await kit.ask('truncate leads, lead_keys, intents, sales, entries, sightings')
  await emptyRedis()
})

afterAll(async () => {
  await emptyRedis()
  for (const hot of open) await hot.close()
  await redis.quit()
  await kit.close()
})

test('a lead that was claimed before the loss and reaches the ledger after the rebuild claims again', async () => {
  const late = gate()
  const first = await startProcess((ledger) => ({
    received: async (row) => {
      await late.pass()
      return ledger.received(row)
    },
  }))
  const second = await startProcess()
  const firstEnds = statusOf(first.ports)
  await late.reached
  await emptyRedis()
  await second.warm()
  expect(await statusOf(second.ports)).toBe('sold')
  late.open()
  expect(await firstEnds).toBe('duplicate')
  expect(await soldTo()).toEqual(['acme'])
})

test('a lead that the ledger has as undecided keeps its person through the loss', async () => {
  const posting = gate()
  const first = await startProcess()
  const { wire } = first.ports
  const slow: IntakePorts = {
    ...first.ports,
    hot: first.hot,
    wire: {
      ping: wire.ping.bind(wire),
      close: () => wire.close(),
      post: (...args) => void posting.pass().then(() => wire.post(...args)),
    },
  }
  const second = await startProcess()
  const firstEnds = statusOf(slow)
  await posting.reached
  await emptyRedis()
  await second.warm()
  const secondEnds = statusOf(second.ports)
  posting.open()
  expect([await firstEnds, await secondEnds]).toEqual(['sold', 'duplicate'])
  expect(await soldTo()).toEqual(['acme'])
})
