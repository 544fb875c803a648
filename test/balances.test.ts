/** Prepaid balances on real stores: nobody buys beyond balance and credit, and money is entered once. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Balances } from '../engine/balances.ts'
import { Rebuild } from '../engine/rebuild.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { HotStore } from '../engine/store/port.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { capsOf, placesOf } from '../rules/calendar.ts'
import { micros, wallMs } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { clock, final, intended, LedgerKit, result, type TestEngine } from './ledger-kit.ts'

const CREDIT = 50_000_000
let kit: LedgerKit
let engine: TestEngine
let stores: readonly RedisStore[]

beforeAll(async () => {
  kit = await LedgerKit.open()
  engine = await kit.engine()
  const prefix = `gp-balances-${process.pid}:`
  stores = await Promise.all([1, 2, 3].map(() => openRedisStore({ url: inject('redisUrl'), prefix })))
})
afterAll(async () => {
  await Promise.all(stores?.map((store) => store.close()) ?? [])
  await kit?.close()
})

function configured(balance: object | null, version = 1): Snapshot {
  const compiled = compileVersion(
    {
      sources: { demo: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [] } },
      campaigns: {
        solar: {
          vertical: 'solar',
          zone: 'UTC',
          payout: { share: 0.7 },
          plan: [{ tier: 'open', strategy: 'auction' }],
        },
      },
      buyers: { acme: { zone: 'UTC', ...(balance ? { balance } : {}) } },
      contracts: {
        acme: {
          buyer: 'acme',
          campaign: 'solar',
          status: 'active',
          price: '9.00',
          delivery: { post_url: 'https://acme.example/' },
        },
      },
    },
    version,
  )
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  return compiled.snapshot
}

function groupsOf(snapshot: Snapshot, price: number) {
  const campaign = snapshot.campaigns.get('solar')!
  const rules = capsOf(snapshot.sources.get('demo')!, campaign, campaign.contracts[0]!)
  return placesOf(rules, 'acme', micros(price), snapshot.version, clock.wall())
}

const balancesOn = (hot: HotStore, snapshot: Snapshot) =>
  new Balances({ db: kit.db, hot, clock, snapshot: () => snapshot, log: () => {} })
const rebuild = (hot: HotStore, snapshot: Snapshot) =>
  new Rebuild({ pool: kit.pool, hot, clock, log: () => {}, snapshots: () => [snapshot] }).makeWarm()
const deposit = (amount: number, reference: string | null = null) =>
  ({
    buyer: 'acme',
    currency: 'USD',
    cause: 'deposit',
    amount: micros(amount),
    reference,
    note: null,
    by: 'test',
  }) as const

/** A sale at `bid` for which `price` is paid. */
async function sell(hot: HotStore, snapshot: Snapshot, bid: number, price = bid): Promise<void> {
  const groups = groupsOf(snapshot, bid)
  const leadId = await intended(engine, {}, { groups, epoch: hot.epoch(), price: micros(bid) })
  const token = `${leadId}:acme:1.1`
  expect(await hot.hold(token, groups, clock.wall())).toEqual({ code: 'HELD' })
  await hot.posting(token, groups, clock.wall())
  const cut = { price: micros(price), priceCut: price < bid }
  await engine.ledger.result(final(leadId, [result({ contract: 'acme', ...cut })], { status: 'sold' }))
  await hot.commit(token, groups, clock.wall())
}

describe('whatever is bought and paid at the same time', () => {
  const op = fc.record({
    kind: fc.constantFrom('buy', 'buy', 'buy', 'drop', 'pay'),
    amount: fc.integer({ min: 1, max: 60_000_000 }),
    by: fc.nat(2),
  })

  test('a balance never falls below its credit', { timeout: 60_000 }, async () => {
    const snapshot = configured({ credit: '50.00' })
    const key = groupsOf(snapshot, 0)[0]!.places[0]!.key
    let epoch = 1_000
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(op, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 }),
        async (rounds) => {
          epoch++
          await stores[0]!.restore({ ...NOTHING, epoch, tags: ['b:acme'] })
          for (const store of stores) store.setEpoch(epoch)
          for (const store of stores) await store.warm()
          let [seq, paid, bought] = [0, 0, 0]
          for (const [round, ops] of rounds.entries()) {
            const told: Promise<unknown>[] = []
            for (const [at, { kind, amount, by }] of ops.entries()) {
              const store = stores[by]!
              if (kind === 'pay') {
                paid += amount
                told.push(store.paidIn('b:acme', key, ++seq, paid))
                continue
              }
              const groups = groupsOf(snapshot, amount)
              const token = `lead${round}-${at}:acme:1.1`
              const buy = async () => {
                if ((await store.hold(token, groups, wallMs(1_000))).code !== 'HELD') return
                if (kind === 'drop') await store.release(token, groups, wallMs(1_000))
                else bought += amount
              }
              told.push(buy())
            }
            await Promise.all(told)
            const [usage] = await stores[0]!.usage([{ tag: 'b:acme', key }])
            expect(usage).toEqual({ used: bought, seq, paidIn: paid })
            expect(paid - bought).toBeGreaterThanOrEqual(-CREDIT)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

const NOTHING = { committed: [], tokens: [], scopes: [], locks: [], sightings: (async function* () {})() }

describe('money', () => {
  test('is entered once by its reference, told to the hot store, and found again by a rebuild', async () => {
    const snapshot = configured({ credit: '50.00', low: '20.00' })
    const hot = new MemoryStore('balances')
    await rebuild(hot, snapshot)
    const balances = balancesOn(hot, snapshot)
    expect(await balances.enter(deposit(100_000_000, 'wire 1'))).toMatchObject({ total: 100_000_000, entered: true })
    expect(await balances.enter(deposit(100_000_000, 'wire 1'))).toMatchObject({ total: 100_000_000, entered: false })
    await sell(hot, snapshot, 90_000_000, 80_000_000)
    await balances.look()
    // The cut of ten is the buyer's again.
    const line = { buyer: 'acme', currency: 'USD', paidIn: 110_000_000, used: 90_000_000, balance: 20_000_000 }
    expect(await balances.lines()).toEqual([{ ...line, credit: CREDIT, low: 20_000_000 }])
    expect((await hot.hold('t1', groupsOf(snapshot, 70_000_001), clock.wall())).code).toBe('FULL')
    expect(await hot.hold('t2', groupsOf(snapshot, 70_000_000), clock.wall())).toEqual({ code: 'HELD' })
    const again = new MemoryStore('again')
    await rebuild(again, snapshot)
    expect(await balancesOn(again, snapshot).lines()).toEqual(
      await balances.lines().then((lines) => lines.map((one) => ({ ...one, used: 90_000_000, balance: 20_000_000 }))),
    )
  })

  test('that nobody told the hot store of is found by the next look of any process', async () => {
    const snapshot = configured({ credit: '50.00' })
    const hot = new MemoryStore('deaf')
    await rebuild(hot, snapshot)
    const [before] = await balancesOn(hot, snapshot).lines()
    await kit.ask("select enter_balance('acme', 'USD', 'deposit', 7000000, null, null, null, 'console')")
    expect(await balancesOn(hot, snapshot).lines()).toEqual([before])
    await balancesOn(hot, snapshot).look()
    expect((await balancesOn(hot, snapshot).lines())[0]!.paidIn).toBe(before!.paidIn + 7_000_000)
  })

  test("of a buyer that does not pay in advance is nobody's concern", async () => {
    const snapshot = configured(null)
    const hot = new MemoryStore('none')
    await rebuild(hot, snapshot)
    expect(await balancesOn(hot, snapshot).lines()).toEqual([])
    await balancesOn(hot, snapshot).look()
  })
})
