/** Recovery on a real Postgres: what a dead engine left is taken over and ended, and the hot store is what the ledger says. */
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { leadPage } from '../engine/admin/lead-page.ts'
import type { Ownership } from '../engine/ownership.ts'
import type { Recovered } from '../engine/reauction.ts'
import { Rebuild, readRestoration } from '../engine/rebuild.ts'
import { Recovery, type RecoverySettings } from '../engine/recovery.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { FinalStatus, HotStore } from '../engine/store/port.ts'
import { leadFile } from '../engine/store/queries.ts'
import { capsOf, placesOf } from '../rules/calendar.ts'
import type { PlaceGroup } from '../rules/caps.ts'
import { codeOf, readSightings } from '../rules/sightings.ts'
import { micros, wallMs } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { clock, final, intended, intent, LedgerKit, received, result, sealer, type TestEngine } from './ledger-kit.ts'

const HOUR_MS = 3_600_000
const GONE = { postBy: wallMs(Date.now() - 60_000), postMs: 1 }

let kit: LedgerKit
let engine: TestEngine
let hot: MemoryStore
let live: Set<string>
let again: Recovered[]
let snapshot: Snapshot

beforeAll(async () => {
  kit = await LedgerKit.open()
  engine = await kit.engine()
  snapshot = configured(1, {})
  hot = new MemoryStore('test')
  live = new Set()
  again = []
  await recovery().rebuild()
})
afterAll(() => kit.close())

/** Auctions nothing by itself: it notes what it was given. */
function recovery(given: Partial<RecoverySettings> = {}): Recovery {
  return new Recovery({
    db: kit.db,
    pool: kit.pool,
    hot,
    clock,
    ownership: engine.ownership,
    snapshot: () => snapshot,
    isLive: (leadId) => live.has(leadId),
    auctionAgain: async (lead) => {
      again.push(lead)
      live.add(lead.leadId)
      return Promise.resolve(true)
    },
    conceal: (_, text) => `sealed ${text}`,
    hotLater: (act) => void act().catch(() => {}),
    log: () => {},
    ...given,
  })
}

/** An engine that died after doing this. */
async function dead<T>(deed: (engine: TestEngine) => Promise<T>): Promise<T> {
  const dying = await kit.engine()
  const done = await deed(dying)
  await kit.ask('select fence_self($1)', [dying.id])
  return done
}

const statusOf = async (leadId: string) => (await engine.ledger.lead(leadId))!.status
const groupsAt = (contract: string, at: number, price = 20_000_000): PlaceGroup[] => {
  const campaign = snapshot.campaigns.get('solar')!
  const found = campaign.contracts.find(({ id }) => id === contract)!
  const rules = capsOf(snapshot.sources.get('demo')!, campaign, found)
  return placesOf(rules, found.buyer.id, micros(price), snapshot.version, wallMs(at))
}

async function post(store: HotStore, token: string, groups: readonly PlaceGroup[]): Promise<void> {
  const now = clock.wall()
  expect(await store.hold(token, groups, now)).toEqual({ code: 'HELD' })
  expect(await store.posting(token, groups, now)).toBe('POSTING')
}

const used = async (key: string) => (await hot.dump()).counters[key] ?? 0
const openTokens = async () => (await hot.dump()).tokens.map(({ token }) => token).sort()

test('the page of a lead that recovery ended tells of each seat what is known', async () => {
  const row = received()
  await dead(async (dying) => {
    await dying.ledger.received(row)
    await dying.ledger.intent(intent(row.leadId, { ...GONE, contract: 'acme' }), [])
  })
  await recovery().pass()
  const page = leadPage((await leadFile(kit.db, row.leadId))!, snapshot)
  expect(page.status).toBe('pending')
  expect(page.trace).toEqual([{ at: 0, arrow: '<', text: 'recovered' }])
  const ends = Object.fromEntries(page.seats.map(({ contract, outcome, reason }) => [contract, `${outcome} ${reason}`]))
  const others = snapshot.campaigns.get('solar')!.contracts.filter(({ id }) => id !== 'acme')
  expect(ends).toEqual({
    acme: 'in_doubt engine_lost',
    ...Object.fromEntries(others.map(({ id }) => [id, 'not_asked engine_lost'])),
  })
  await recovery({ doubtMs: 0 }).pass()
})

describe('a lead without an INTENT', () => {
  it('is auctioned again where it is fresh and asynchronous, or its source can ask by its key', async () => {
    const idempotency = { key: 'again', bodyHash: 'h' }
    const rows = [received({ mode: 'async' }), received({ idempotency }), received()]
    await dead((dying) => Promise.all(rows.map((row) => dying.ledger.received(row))))
    again = []
    await recovery().pass()
    expect(again.map(({ leadId, term }) => [leadId, term]).sort()).toEqual(
      [
        [rows[0]!.leadId, 2],
        [rows[1]!.leadId, 2],
      ].sort(),
    )
    const { sealed, receivedAt, fingerprints } = again.find(({ mode }) => mode === 'async')!
    expect(sealer.open(rows[0]!.leadId, sealed)).toBe('{"first_name":"Ada"}')
    expect({ receivedAt, fingerprints }).toEqual({
      receivedAt: rows[0]!.receivedAt,
      fingerprints: rows[0]!.fingerprints,
    })
    expect(await statusOf(rows[2]!.leadId)).toBe('expired')
    await engine.ledger.result(final(rows[0]!.leadId, [], UNSOLD, { term: 2 }))
    await engine.ledger.result(final(rows[1]!.leadId, [], UNSOLD, { term: 2 }))
  })

  it('expires where it is too old, its campaign is gone, or its person was erased', async () => {
    const old = received({ mode: 'async', receivedAt: wallMs(Date.now() - 61_000) })
    const [homeless, erased] = [received({ mode: 'async', campaign: 'gone' }), received({ mode: 'async' })]
    await dead((dying) => Promise.all([old, homeless, erased].map((row) => dying.ledger.received(row))))
    await kit.ask('delete from lead_keys where lead_id = $1', [erased.leadId])
    await recovery({ auctionAgain: async () => false }).pass()
    for (const { leadId } of [old, homeless, erased]) expect(await statusOf(leadId)).toBe('expired')
  })

  it('waits for the next pass where a twin is being decided, or the hot store is away', async () => {
    const row = received({ mode: 'async' })
    await dead((dying) => dying.ledger.received(row))
    await recovery({ auctionAgain: async () => 'later' }).pass()
    expect(await statusOf(row.leadId)).toBe('received')
    again = []
    await recovery().pass()
    expect(again.map(({ leadId }) => leadId)).toContain(row.leadId)
    await engine.ledger.result(final(row.leadId, [], UNSOLD, { term: 2 }))
  })

  it('gets a new term for each auction: one that was given up is not continued', async () => {
    const row = received({ mode: 'async' })
    await dead((dying) => dying.ledger.received(row))
    again = []
    const one = recovery()
    await one.pass()
    await one.pass()
    expect(again.map(({ term }) => term)).toEqual([2])
    live.delete(row.leadId)
    await one.pass()
    await one.pass()
    expect(again.map(({ term }) => term)).toEqual([2, 3])
    expect(await engine.ledger.intent(intent(row.leadId, { term: 2 }), [])).toBe('FENCED')
    expect(await engine.ledger.intent(intent(row.leadId, { term: 3 }), [])).toBe('INTENDED')
    await engine.ledger.result(final(row.leadId, [result()], SOLD, { term: 3 }))
    live.delete(row.leadId)
  })

  it('is taken over from an engine that is silent, at once where no other can be alive', async () => {
    const house = await LedgerKit.open()
    const [silent, alone] = [await house.engine(), await house.engine({}, { alone: true })]
    const row = received()
    await silent.ledger.received(row)
    await recovery({ db: house.db, pool: house.pool, ownership: alone.ownership }).pass()
    expect((await leadFile(house.db, row.leadId))!.lead).toMatchObject({ status: 'expired', owner: alone.id, term: 2 })
    expect(await house.ask('select fenced_by from engines order by id')).toEqual([
      { fenced_by: alone.id },
      { fenced_by: null },
    ])
    await house.close()
  })
})

describe('an INTENT without a RESULT', () => {
  it('is left alone until its post can no longer be answered', async () => {
    const now = Date.now()
    const soon = { postBy: wallMs(now - 60_000), postMs: 59_000 }
    const leadId = await dead((dying) => intended(dying, {}, soon))
    await recovery().pass()
    expect(await kit.states(leadId)).toEqual({ acme: 'open' })
    expect(await statusOf(leadId)).toBe('received')
    await recovery({ graceMs: 0 }).pass()
    expect(await kit.states(leadId)).toEqual({ acme: 'in_doubt' })
    expect(await statusOf(leadId)).toBe('pending')
  })

  it('is a doubt that keeps its place, unless the hot store knows that the post never left', async () => {
    const groups = groupsAt('acme', Date.now())
    const ids = await dead((dying) =>
      Promise.all([1, 2, 3, 4].map(() => intended(dying, {}, { ...GONE, groups, epoch: hot.epoch() }))),
    )
    const [posting, released, held, lost] = ids.map((id) => `${id}:acme:1.1`) as [string, string, string, string]
    const before = await used('contract:acme:total:count:total')
    await post(hot, posting, groups)
    await post(hot, released, groups)
    await hot.release(released, groups, clock.wall())
    await hot.hold(held, groups, clock.wall())
    await recovery().pass()
    const states = await Promise.all(ids.map((id) => kit.states(id)))
    expect(states.map(({ acme }) => acme)).toEqual(['in_doubt', 'rejected', 'rejected', 'in_doubt'])
    const statuses = await Promise.all(ids.map(statusOf))
    expect(statuses).toEqual(['pending', 'unsold', 'unsold', 'pending'])
    expect(await openTokens()).toContain(posting)
    expect(await openTokens()).not.toContain(held)
    expect(await used('contract:acme:total:count:total')).toBe(before + 1)
    expect(lost).toBeDefined()
    const seen = await kit.ask('select lead_id from sightings where lead_id = any($1)', [ids])
    expect(seen.map((row) => row['lead_id']).sort()).toEqual([ids[0], ids[3]].sort())
  })

  it('waits while the hot store is away, and not for ever', async () => {
    const groups = groupsAt('acme', Date.now())
    const epoch = hot.epoch()
    const [young, old] = await dead((dying) =>
      Promise.all([
        intended(dying, {}, { postBy: wallMs(Date.now() - 20_000), postMs: 1, groups, epoch }),
        intended(dying, {}, { postBy: wallMs(Date.now() - 90_000), postMs: 1, groups, epoch }),
      ]),
    )
    const away = { ...asStore(hot), tokenState: () => Promise.reject(new Error('away')) } as HotStore
    await recovery({ hot: away }).pass()
    expect(await kit.states(young)).toEqual({ acme: 'open' })
    expect(await kit.states(old)).toEqual({ acme: 'in_doubt' })
    await recovery().pass()
    expect(await kit.states(young)).toEqual({ acme: 'in_doubt' })
  })

  it('whose dead engine speaks after all is what that engine says', async () => {
    const dying = await kit.engine()
    const [before, after] = [await intended(dying, {}, GONE), await intended(dying, {}, GONE)]
    await kit.ask('select fence_self($1)', [dying.id])
    await dying.ledger.result(final(before, [result()], SOLD))
    await recovery().pass()
    expect([await statusOf(before), await statusOf(after)]).toEqual(['sold', 'pending'])
    await dying.ledger.result(final(after, [result()], SOLD))
    expect(await statusOf(after)).toBe('sold')
    const { sales, resolutions } = (await leadFile(kit.db, after))!
    expect(sales).toHaveLength(1)
    expect(resolutions).toMatchObject([{ applied: true, verdict: 'accepted', by: `engine ${dying.id}` }])
  })
})

describe('a RESULT without a commit', () => {
  it('is committed, and a rejection released, with the lead that it ended', async () => {
    const groups = groupsAt('bolt', Date.now())
    const ids = await dead(async (dying) => {
      const epoch = hot.epoch()
      const two = [
        await intended(dying, {}, { contract: 'bolt', groups, epoch }),
        await intended(dying, {}, { contract: 'bolt', groups, epoch }),
      ] as const
      for (const id of two) await post(hot, `${id}:bolt:1.1`, groups)
      await dying.ledger.result(final(two[0], [result({ contract: 'bolt' })], null))
      await dying.ledger.result(final(two[1], [result({ contract: 'bolt', state: 'rejected' })], null))
      return two
    })
    await recovery().pass()
    expect([await statusOf(ids[0]), await statusOf(ids[1])]).toEqual(['sold', 'unsold'])
    expect(await hot.tokenState(`${ids[0]}:bolt:1.1`, groups)).toBe('committed')
    expect(await hot.tokenState(`${ids[1]}:bolt:1.1`, groups)).toBe('released')
    expect(await used('contract:bolt:total:count:total')).toBe(1)
  })

  it('binds the fingerprints in the hot store too, which may not have heard of the sale', async () => {
    const silent = await kit.engine()
    const [sold, unsold] = [await intended(silent), await intended(silent)]
    const claims = [sold, unsold].map((leadId) => claimOf(leadId))
    for (const claim of claims) expect((await hot.claim(claim)).code).toBe('FRESH')
    await silent.ledger.result(final(sold, [result()], SOLD))
    await silent.ledger.result(final(unsold, [result({ state: 'rejected' })], UNSOLD))
    await kit.silence(silent)
    await kit.ask("update leads set decided_at = decided_at - interval '1 minute' where owner = $1", [silent.id])
    const steady = { mayAct: () => true, engine: engine.id } as unknown as Ownership
    const fenceSilent = async () => {
      const rows = await kit.ask<{ id: number }>('select fence_silent($1, 30000) as id', [engine.id])
      return rows.map(({ id }) => id)
    }
    await recovery({ ownership: Object.assign(steady, { fenceSilent }) }).pass()
    const again = claims.map((claim) => ({ ...claim, leadId: received().leadId }))
    const answers = [await hot.claim(again[0]!), await hot.claim(again[1]!)]
    const [soldTo, nobody] = answers.map((one) => (one.code === 'FRESH' ? one.seen.flatMap(readSightings) : one.code))
    expect(soldTo).toMatchObject([{ level: 3, sold: [codeOf('acme')] }, {}])
    expect(nobody).toEqual([])
  })

  it('of a lead that had ended is found in the hot store itself; so is a post without an INTENT', async () => {
    const groups = groupsAt('bolt', Date.now())
    const [sold, open, unintended] = await dead(async (dying) => {
      const epoch = hot.epoch()
      const ended = await intended(dying, {}, { contract: 'bolt', groups, epoch })
      await dying.ledger.result(final(ended, [result({ contract: 'bolt' })], SOLD))
      const row = received({ mode: 'sync' })
      await dying.ledger.received(row)
      return [ended, await intended(dying, {}, { contract: 'bolt', groups, epoch }), row.leadId]
    })
    for (const id of [sold, open, unintended]) await post(hot, `${id}:bolt:1.1`, groups)
    await kit.ask(`update intents set ended_at = now() - interval '1 minute' where lead_id = $1`, [sold])
    await recovery().pass()
    expect(await hot.tokenState(`${sold}:bolt:1.1`, groups)).toBe('committed')
    expect(await hot.tokenState(`${open}:bolt:1.1`, groups)).toBe('posting')
    expect(await hot.tokenState(`${unintended}:bolt:1.1`, groups)).toBe('released')
  })
})

describe('a lead of this engine itself', () => {
  it('that was given up is taken back under a new term once nobody works on it', async () => {
    const leadId = await intended(engine, {}, GONE)
    const own = recovery()
    live.add(leadId)
    own.givenUp({ leadId })
    await own.pass()
    expect((await leadFile(kit.db, leadId))!.lead.term).toBe(1)
    live.delete(leadId)
    await own.pass()
    expect((await leadFile(kit.db, leadId))!.lead).toMatchObject({ term: 2, status: 'pending' })
  })

  it('that nobody knows any more is found by its age, and one that is worked on is not', async () => {
    const [lost, busy] = [received({ receivedAt: AGO }), received({ receivedAt: AGO })]
    await Promise.all([lost, busy].map((row) => engine.ledger.received(row)))
    live.add(busy.leadId)
    await recovery().pass()
    expect([await statusOf(lost.leadId), await statusOf(busy.leadId)]).toEqual(['expired', 'received'])
    live.delete(busy.leadId)
  })
})

describe('a doubt', () => {
  const doubted = async (given: Parameters<typeof intent>[1] = {}) => {
    const leadId = await intended(engine, {}, given)
    await engine.ledger.result(final(leadId, [result({ state: 'in_doubt' })], { ...SOLD, status: 'pending' }))
    return leadId
  }

  it('is settled by its policy after its time', async () => {
    const ids = [
      await doubted(),
      await doubted({ inDoubt: 'assume_sold' }),
      await doubted({ inDoubt: 'timeout_is_no_sale' }),
      await doubted(),
    ]
    const old = ids.slice(0, 3)
    await kit.ask(`update intents set doubted_at = now() - interval '73 hours' where lead_id = any($1)`, [old])
    await recovery().pass()
    expect(await Promise.all(ids.map(statusOf))).toEqual(['unsold', 'sold', 'unsold', 'pending'])
    const said = await kit.ask('select by, verdict from resolutions where lead_id = any($1) order by by', [old])
    expect(said).toEqual([
      { by: 'policy assume_sold', verdict: 'accepted' },
      { by: 'policy hold_unbilled', verdict: 'rejected' },
      { by: 'policy timeout_is_no_sale', verdict: 'rejected' },
    ])
  })

  it('is resolved once; its place is committed or released with it', async () => {
    const groups = groupsAt('acme', Date.now())
    const given = { groups, epoch: hot.epoch() }
    const [no, yes] = [await doubted(given), await doubted(given)]
    for (const id of [no, yes]) await post(hot, `${id}:acme:1.1`, groups)
    const own = recovery()
    const sold = { kind: 'sold', price: micros(15_000_000), buyerReference: 'B-9', redirectUrl: null } as const
    const noSale = { kind: 'no_sale', reason: 'rejected:dead_phone' } as const
    expect(await own.resolve(no, { copy: 0 }, noSale, 'operator')).toEqual({
      code: 'RESOLVED',
      state: 'rejected',
      status: 'unsold',
    })
    expect(await own.resolve(yes, { contract: 'acme' }, sold, 'callback')).toMatchObject({ status: 'sold' })
    expect(await own.resolve(yes, { contract: 'acme' }, noSale, 'operator')).toMatchObject({
      code: 'SETTLED',
      state: 'accepted',
    })
    expect(await own.resolve(received().leadId, { copy: 0 }, noSale, 'operator')).toMatchObject({ code: 'UNKNOWN' })
    expect((await leadFile(kit.db, yes))!.sales).toMatchObject([{ price: 15_000_000, price_cut: true }])
    expect(await hot.tokenState(`${no}:acme:1.1`, groups)).toBe('released')
    expect(await hot.tokenState(`${yes}:acme:1.1`, groups)).toBe('committed')
  })

  it('is settled by a late reply, as soon as the ledger knows that it is one', async () => {
    const leadId = await intended(engine)
    live.add(leadId)
    const own = recovery()
    const campaign = snapshot.campaigns.get('solar')!
    const lead = { leadId, campaign, opening: { eligible: [0], dice: [0], excluded: {} } } as never
    own.lateReply(lead, 0, { kind: 'unknown', reason: 'reset' })
    own.lateReply(lead, 0, { kind: 'accepted', price: null, buyerReference: 'B-1', redirectUrl: 'https://x.test/' })
    await own.pass()
    expect(await kit.states(leadId)).toEqual({ acme: 'open' })
    await engine.ledger.result(final(leadId, [result({ state: 'in_doubt' })], { ...SOLD, status: 'pending' }))
    live.delete(leadId)
    await own.pass()
    const { lead: settled, resolutions } = (await leadFile(kit.db, leadId))!
    expect(settled).toMatchObject({ status: 'sold', redirect_url: 'sealed https://x.test/' })
    expect(resolutions).toMatchObject([{ by: 'late reply', applied: true }])
  })
})

describe('the hot store', () => {
  it('is restored to what the ledger counts: windows, zones, spends, doubts, prints', async () => {
    await reopen()
    snapshot = configured(2, { day: 50, hour: 20, week: 90, month: 200, total: 300 })
    const now = Date.now()
    const ages = [
      0,
      HOUR_MS / 12,
      HOUR_MS / 3,
      HOUR_MS / 2,
      2 * HOUR_MS,
      20 * HOUR_MS,
      30 * HOUR_MS,
      6 * 24 * HOUR_MS,
      40 * 24 * HOUR_MS,
    ]
    for (const [i, age] of ages.flatMap((one) => [one, one]).entries()) {
      const contract = i % 2 === 0 ? 'acme' : 'bolt'
      const sale = { contract, at: now - age - i * 1_000, price: 10_000_000 + i }
      const groups = groupsAt(contract, sale.at, sale.price)
      const given = { contract, groups, epoch: hot.epoch(), heldAt: wallMs(sale.at), price: micros(sale.price) }
      const leadId = await intended(engine, {}, given)
      // The buyer pays less than was held: the caps count what was held.
      const end = result({ contract, price: micros(sale.price - 5), priceCut: true })
      await engine.ledger.result(final(leadId, [end], SOLD))
    }
    const groups = groupsAt('acme', now)
    const open = await intended(engine, {}, { groups, epoch: hot.epoch() })

    await recovery().rebuild()
    const expected = new Map<string, number>()
    const sold = await kit.ask<{ contract: string; at: Date; price: number }>(
      `select contract, held_at as at, bid as price from intents i join leads l on l.id = i.lead_id
       where state = 'accepted' and not test`,
    )
    for (const { contract, at, price } of sold) {
      for (const { places } of groupsAt(contract, at.getTime(), price)) {
        for (const place of places.filter(({ transient }) => !transient)) {
          expected.set(place.key, (expected.get(place.key) ?? 0) + place.amount)
        }
      }
    }
    const waiting = await kit.ask<{ token: string; places: PlaceGroup[] }>(
      `select lead_id || ':' || contract || ':1.1' as token, places from intents where state in ('open', 'in_doubt')`,
    )
    for (const { places } of waiting.flatMap((one) => one.places)) {
      for (const { key, amount } of places) expected.set(key, (expected.get(key) ?? 0) + amount)
    }
    const dump = await hot.dump()
    const present = new Set(
      ['acme', 'bolt'].flatMap((one) => groupsAt(one, now).flatMap((g) => g.places.map((p) => p.key))),
    )
    for (const key of present) expect([key, dump.counters[key] ?? 0]).toEqual([key, expected.get(key) ?? 0])
    expect(present.size).toBeGreaterThan(15)
    const rolling = (counters: Iterable<readonly [string, number]>, minutes: number, bucketMs: number) =>
      [...counters].filter(([key]) => {
        const [, , word, , bucket] = key.split(':')
        return word === `${minutes}m` && (Number(bucket) + 60) * bucketMs >= now
      })
    for (const [minutes, bucketMs] of [
      [30, 30_000],
      [1_440, 1_440_000],
    ] as const) {
      const right = rolling(expected, minutes, bucketMs)
      expect(right.length).toBeGreaterThan(4)
      for (const [key, amount] of right) expect([key, dump.counters[key]]).toEqual([key, amount])
      expect(rolling(Object.entries(dump.counters), minutes, bucketMs)).toHaveLength(right.length)
    }
    expect(await openTokens()).toEqual(
      waiting
        .filter(({ places }) => places.length > 0)
        .map(({ token }) => token)
        .sort(),
    )
    expect(await openTokens()).toContain(`${open}:acme:1.1`)
    const claim = { idempotency: null, bodyHash: '', keepMs: 90 * 86_400_000, now: clock.wall() }
    const [kept] = await kit.ask<{ fingerprints: string[] }>('select fingerprints from sightings limit 1')
    const later = { ...claim, leadId: received().leadId, fingerprints: kept!.fingerprints }
    expect(await hot.claim(later)).toMatchObject({ code: 'FRESH', seen: [expect.any(String), expect.any(String)] })
  })

  it('is left as it is while it is the one that was restored, and restored where a version counts more', async () => {
    const settings = { pool: kit.pool, hot, clock, log: () => {} }
    const versions = [configured(10, { day: 5 })]
    const rebuild = new Rebuild({ ...settings, snapshots: () => versions })
    await rebuild.makeWarm()
    const epoch = hot.epoch()
    await rebuild.makeWarm()
    versions.push(configured(11, { day: 9 }))
    await rebuild.makeWarm()
    expect(hot.epoch()).toBe(epoch)
    versions.push(configured(12, { day: 9, week: 30 }))
    await rebuild.makeWarm()
    expect(hot.epoch()).toBe(epoch + 1)
    expect(await kit.ask('select run_id, versions::text from hot_store')).toEqual([
      { run_id: await hot.runId(), versions: '{10,11,12}' },
    ])
    const other = new MemoryStore('other')
    await new Rebuild({ ...settings, hot: other, snapshots: () => versions }).makeWarm()
    expect([other.epoch(), await other.warm()]).toEqual([epoch + 2, true])
  })

  it('counts what was sold already where a cap is added, or its window renamed, in the middle of the day', async () => {
    const at = Date.now()
    await reopen()
    const before = snapshot
    const given = { groups: groupsAt('acme', at, 7_000_000), epoch: hot.epoch(), price: micros(7_000_000) }
    const leadId = await intended(engine, {}, given)
    await engine.ledger.result(final(leadId, [result({ price: micros(7_000_000) })], SOLD))
    const sales = await kit.ask<{ at: Date; bid: number }>(
      "select held_at as at, bid from intents where contract = 'acme' and state = 'accepted'",
    )
    const added: readonly (readonly [object, prefix: string])[] = [
      [{ rolling: [{ minutes: 10_080, count: 5_000 }] }, 'contract:acme:10080m:count:'],
      [{ day: 5_000 }, 'contract:acme:day:count:'],
      [{ day: 5_000, day_starts: '0:15' }, 'contract:acme:day:count:'],
      [{ spend: { day: '9000.00', week: '9000.00' }, day_starts: '23:45' }, 'contract:acme:week:spend:'],
      [{}, 'source_contract:demo/acme:day:count:'],
    ]
    for (const [version, [caps, prefix]] of added.entries()) {
      snapshot = configured(30 + version, caps)
      await recovery().rebuild()
      const places = (moment: number, price: number) => groupsAt('acme', moment, price).flatMap((group) => group.places)
      const key = places(at, 0).find((place) => place.key.startsWith(prefix))!.key
      const counted = sales.flatMap((sale) => places(sale.at.getTime(), sale.bid).filter((place) => place.key === key))
      expect(counted.length).toBeGreaterThan(0)
      const open = (await hot.dump()).tokens.reduce((sum, token) => sum + (token.places[key] ?? 0), 0)
      expect([key, await used(key)]).toEqual([key, counted.reduce((sum, { amount }) => sum + amount, open)])
    }
    snapshot = before
    await reopen()
  })

  it('is restored by one of several that find it cold', async () => {
    const shared = new MemoryStore('shared')
    const versions = [configured(20, { day: 5 })]
    const [{ epoch }] = (await kit.ask<{ epoch: number }>('select epoch from hot_store')) as [{ epoch: number }]
    const rebuilders = [1, 2, 3].map(
      () => new Rebuild({ pool: kit.pool, hot: shared, clock, log: () => {}, snapshots: () => versions }),
    )
    await Promise.all(rebuilders.map((one) => one.makeWarm()))
    expect(shared.epoch()).toBe(epoch + 1)
  })

  it('refuses the holds of the epoch before, and forgets no sale that comes while it is read', async () => {
    const at = Date.now()
    const groups = groupsAt('acme', at)
    await reopen()
    const row = received()
    await engine.ledger.received(row)
    const leadId = await intended(engine, {}, { groups, epoch: hot.epoch() })
    const before = hot.epoch()
    await reopen()
    expect(await engine.ledger.intent(intent(row.leadId, { groups, epoch: before }), [])).toBe('STALE')
    await engine.ledger.result(final(leadId, [result()], SOLD))
    await hot.commit(`${leadId}:acme:1.1`, groups, clock.wall())
    const client = await kit.pool.connect()
    const restoration = await readRestoration(client, [snapshot], 99, wallMs(at))
    client.release()
    for (const { places } of restoration.committed) {
      for (const { key, amount } of places) {
        const tokens = restoration.tokens.flatMap((token) => token.groups.flatMap((group) => group.places))
        const open = tokens.filter((place) => place.key === key).reduce((sum, place) => sum + place.amount, 0)
        if (groups.some((group) => group.places.some((place) => place.key === key))) {
          expect([key, await used(key)]).toEqual([key, amount + open])
        }
      }
    }
  })
})

const SOLD: Partial<FinalStatus> = { status: 'sold' }
const UNSOLD: Partial<FinalStatus> = { status: 'unsold', outcomes: {} }
const AGO = wallMs(Date.now() - 300_000)

/** Loses what the hot store knows, and restores it. */
async function reopen(): Promise<void> {
  hot = new MemoryStore(`test-${Math.random()}`)
  await recovery().rebuild()
}

const claimOf = (leadId: string) => ({
  leadId,
  idempotency: null,
  bodyHash: '',
  fingerprints: received({ leadId }).fingerprints,
  keepMs: 90 * 86_400_000,
  now: clock.wall(),
})

function asStore(store: MemoryStore): HotStore {
  const bound = (name: keyof HotStore) => (store[name] as (...args: never[]) => unknown).bind(store)
  const names = ['epoch', 'hold', 'posting', 'commit', 'release', 'unclaim', 'warm', 'dump'] as const
  return Object.fromEntries(names.map((name) => [name, bound(name)])) as unknown as HotStore
}

/** Two contracts under caps of every scope; `caps` are those of each contract, beside a few that it always has. */
function configured(version: number, caps: object): Snapshot {
  const contract = (buyer: string) => ({
    buyer,
    campaign: 'solar',
    tier: 'main',
    status: 'active',
    price_from: 'reply',
    caps: { total: 1_000, concurrency: 50, spend: { day: '9000.00' }, rolling: [{ minutes: 30, count: 90 }], ...caps },
    source_caps: {
      demo: { day: 800, day_starts: '6:00', rolling: [{ minutes: 1_440, count: 900, spend: '9000.00' }] },
    },
    delivery: { ping_url: 'https://buyer.example/ping', post_url: 'https://buyer.example/post' },
  })
  const compiled = compileVersion(
    {
      sources: {
        demo: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [], caps: { hour: 500, total: 900 } },
      },
      campaigns: {
        solar: {
          vertical: 'solar',
          zone: 'America/New_York',
          payout: { share: 0.7 },
          plan: [{ tier: 'main', strategy: 'auction', copies: 1 }],
          caps: { week: 700 },
        },
      },
      buyers: {
        acme: { zone: 'America/Chicago', caps: { month: 400, spend: { total: '9000.00' } } },
        bolt: { zone: 'Asia/Kolkata' },
      },
      contracts: { acme: contract('acme'), bolt: contract('bolt') },
    },
    version,
  )
  if (!compiled.ok) throw new Error(compiled.faults.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return compiled.snapshot
}
