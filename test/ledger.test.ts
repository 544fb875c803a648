/** The ledger on a real Postgres: what it takes, what it refuses, and what it makes of failures. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LedgerAway, LedgerFull, LedgerRefused, PostgresLedger } from '../engine/ledger.ts'
import { Ownership } from '../engine/ownership.ts'
import { Partitions } from '../engine/partitions.ts'
import { migrate, openPool, queriesOver } from '../engine/store/postgres.ts'
import { doubtsByContract, latestLeads, leadFile, numberVersion, versionText } from '../engine/store/queries.ts'
import { micros, ms, wallMs } from '../rules/units.ts'
import {
  clock,
  final,
  idAt,
  intended,
  intent,
  LedgerKit,
  received,
  result,
  sealer,
  storedTrace,
  type TestEngine,
} from './ledger-kit.ts'
import { VirtualClock } from './world/clock.ts'

let kit: LedgerKit
let engine: TestEngine

beforeAll(async () => {
  kit = await LedgerKit.open()
  engine = await kit.engine()
})
afterAll(() => kit.close())

describe('a received lead', () => {
  it('is stored with its key apart, and nothing it says is readable', async () => {
    const row = received({ leadRef: 'S-1', mode: 'async' })
    expect(await engine.ledger.received(row)).toEqual({ code: 'STORED' })
    const file = (await leadFile(kit.db, row.leadId))!
    expect(file.lead).toMatchObject({ campaign: 'solar', lead_ref: 'S-1', mode: 'async', keyed: false, status: null })
    expect(file.lead).toMatchObject({ owner: engine.id, term: 1, fingerprints: row.fingerprints, currency: 'USD' })
    expect(file.lead.sealed.includes('Ada')).toBe(false)
    const stored = {
      sealed: file.lead.sealed.toString('base64'),
      wrappedKey: file.key!.wrapped.toString('base64'),
      keyVersion: file.key!.key_version,
    }
    expect(sealer.open(row.leadId, stored)).toBe('{"first_name":"Ada"}')
    expect(await engine.ledger.lead(row.leadId)).toMatchObject({ status: 'received', decided: false, leadRef: 'S-1' })
    expect(await engine.ledger.lead(uuidv7())).toBeNull()
    expect(await engine.ledger.lead('not an id')).toBeNull()
  })

  it('binds its key: another lead under it is not written, the same one written again is', async () => {
    const idempotency = { key: `key-${uuidv7()}`, bodyHash: 'h1' }
    const [first, second] = [received({ idempotency }), received({ idempotency: { ...idempotency, bodyHash: 'h2' } })]
    const answers = await Promise.all([first, second, first].map((row) => engine.ledger.received(row)))
    const bound = { code: 'BOUND', leadId: first.leadId, bodyHash: 'h1' }
    expect(answers).toEqual([{ code: 'STORED' }, bound, { code: 'STORED' }])
    expect(await engine.ledger.received(second)).toEqual(bound)
    expect(await engine.ledger.received(first)).toEqual({ code: 'STORED' })
    expect(await engine.ledger.lead(second.leadId)).toBeNull()
    expect(await engine.ledger.bound(idempotency.key)).toEqual({ leadId: first.leadId, bodyHash: 'h1' })
    expect(await engine.ledger.bound('nobody')).toBeNull()
  })

  it('that is invalid is kept sealed under an id that nobody is told', async () => {
    const id = uuidv7()
    const at = wallMs(Date.now())
    await engine.ledger.invalid({ id, campaign: 'solar', source: 'demo', at, issues: '[]', ...sealer.seal(id, 'x') })
    expect(await kit.ask('select campaign from invalid_attempts where id = $1', [id])).toEqual([{ campaign: 'solar' }])
    expect(await engine.ledger.lead(id)).toBeNull()
  })
})

describe('a sale', () => {
  it('is written with its money, sums, fingerprints and end, and once however often it is told', async () => {
    const leadId = await intended(engine, { campaign: 'sums' })
    const row = final(leadId, [result({ price: micros(18_000_000), priceCut: true })], {})
    for (let i = 0; i < 3; i++) await engine.ledger.result(row)
    const { lead, sales, entries, intents } = (await leadFile(kit.db, leadId))!
    expect(lead).toMatchObject({ status: 'sold', payout: 14_000_000, copies: 1, trace: storedTrace() })
    expect(intents).toMatchObject([{ state: 'accepted', reason: 'won', bid: 20_000_000, price: 18_000_000 }])
    expect(sales).toMatchObject([{ copy: 0, contract: 'acme', price: 18_000_000, payout: 14_000_000, price_cut: true }])
    expect(Object.fromEntries(entries.map(({ account, amount }) => [account, amount]))).toEqual({
      'buyer:acme': -18_000_000,
      'source:demo': 14_000_000,
      margin: 4_000_000,
    })
    const kept = { ...row.final!.sighting, campaign: 'sums', fingerprints: [`solar:p${leadId}`, `solar:m${leadId}`] }
    expect(await engine.ledger.sighting(leadId)).toEqual(kept)
    expect(await kit.ask(`select n, bid, price, payout from sold_sums where campaign = 'sums'`)).toEqual([
      { n: 1, bid: 20_000_000, price: 18_000_000, payout: 14_000_000 },
    ])
    expect(await kit.ask(`select contract, kind, reason, n from rollups where campaign = 'sums' order by 1`)).toEqual([
      { contract: '', kind: 'lead', reason: 'sold', n: 1 },
      { contract: 'acme', kind: 'sold', reason: 'won', n: 1 },
      { contract: 'bolt', kind: 'lost', reason: 'lower_bid', n: 1 },
    ])
    expect(await engine.ledger.lead(leadId)).toMatchObject({ status: 'sold', decided: true, payout: 14_000_000 })
  })

  it('of a test lead moves no money and counts nowhere', async () => {
    const leadId = await intended(engine, { campaign: 'trial', test: true })
    await engine.ledger.result(final(leadId, [result()], {}, { test: true }))
    const { lead, sales, entries } = (await leadFile(kit.db, leadId))!
    expect({ status: lead.status, sales, entries }).toEqual({ status: 'sold', sales: [], entries: [] })
    expect(await kit.ask(`select 1 from rollups where campaign = 'trial'`)).toEqual([])
    expect(await kit.ask(`select 1 from sold_sums where campaign = 'trial'`)).toEqual([])
    expect(await engine.ledger.sighting(leadId)).toBeNull()
  })

  it('of a shared lead is written copy by copy before the lead ends', async () => {
    const leadId = await intended(engine)
    expect(await engine.ledger.intent(intent(leadId, { contract: 'bolt', copy: 1 }), [])).toBe('INTENDED')
    await engine.ledger.result(final(leadId, [result()], null))
    expect(await engine.ledger.lead(leadId)).toMatchObject({ status: 'received', decided: false })
    await engine.ledger.result(
      final(leadId, [result({ contract: 'bolt', copy: 1 })], { copies: 2, payout: micros(28_000_000) }),
    )
    expect(await engine.ledger.lead(leadId)).toMatchObject({ status: 'sold', copies: 2, payout: 28_000_000 })
    expect((await leadFile(kit.db, leadId))!.sales).toHaveLength(2)
  })
})

describe('an INTENT', () => {
  it('is refused where the copy or the buyer is taken, and stored where a rejection comes first', async () => {
    const leadId = await intended(engine)
    expect(await engine.ledger.intent(intent(leadId, { contract: 'bolt' }), [])).toBe('CONFLICT')
    const sameBuyer = intent(leadId, { contract: 'acme2', buyer: 'acme', copy: 1 })
    expect(await engine.ledger.intent(sameBuyer, [])).toBe('CONFLICT')
    const rejected = result({ state: 'rejected' })
    expect(await engine.ledger.intent(intent(leadId, { contract: 'bolt' }), [rejected])).toBe('INTENDED')
    expect(await kit.states(leadId)).toEqual({ acme: 'rejected', bolt: 'open' })
    await engine.ledger.result(final(leadId, [result({ contract: 'bolt', state: 'in_doubt' })], { status: 'pending' }))
    expect(await doubtsByContract(kit.db)).toEqual(new Map([['bolt', 1]]))
    await expect(
      kit.ask(`update intents set state = 'accepted' where lead_id = $1 and contract = 'acme'`, [leadId]),
    ).rejects.toThrow(/unique/)
  })

  it('that was stored before is stored, whatever became of the epoch since', async () => {
    const leadId = await intended(engine, {}, { groups: GROUPS })
    await kit.ask('update hot_store set epoch = epoch + 1')
    expect(await engine.ledger.intent(intent(leadId, { groups: GROUPS }), [])).toBe('INTENDED')
  })

  it('of an older epoch is stale where it holds places, and only there', async () => {
    const [{ epoch }] = (await kit.ask<{ epoch: number }>(
      'update hot_store set epoch = epoch + 1 returning epoch',
    )) as [{ epoch: number }]
    const row = received()
    await engine.ledger.received(row)
    const ask = (given: object) => engine.ledger.intent(intent(row.leadId, given), [])
    expect(await ask({ groups: GROUPS, epoch: epoch - 1 })).toBe('STALE')
    expect(await ask({ groups: GROUPS, epoch, attempt: 2 })).toBe('INTENDED')
    expect(await ask({ contract: 'bolt', copy: 1, epoch: epoch - 1 })).toBe('INTENDED')
  })

  it('waits for a rebuild that has begun, and is stale after it', async () => {
    const row = received()
    await engine.ledger.received(row)
    const rebuilder = await kit.pool.connect()
    await rebuilder.query('begin; select pg_advisory_xact_lock(73, 0)')
    const { epoch } = (await rebuilder.query('select epoch from hot_store')).rows[0]
    const asked = engine.ledger.intent(intent(row.leadId, { groups: GROUPS, epoch }), [])
    await rebuilder.query('update hot_store set epoch = epoch + 1')
    await rebuilder.query('commit')
    rebuilder.release()
    expect(await asked).toBe('STALE')
  })

  it('is refused under another term, of an unknown lead, and of one that has ended', async () => {
    const row = received()
    await engine.ledger.received(row)
    expect(await engine.ledger.intent(intent(row.leadId, { term: 2 }), [])).toBe('FENCED')
    expect(await engine.ledger.intent(intent(uuidv7()), [])).toBe('FENCED')
    await engine.ledger.result(final(row.leadId, [], { status: 'duplicate', trace: '', sighting: null, outcomes: {} }))
    expect(await engine.ledger.intent(intent(row.leadId), [])).toBe('FENCED')
    expect(await engine.ledger.lead(row.leadId)).toMatchObject({ status: 'duplicate', decided: true })
  })
})

describe('a fenced engine', () => {
  it('writes no INTENT, and its results are taken all the same', async () => {
    const dead = await kit.engine()
    const [early, late] = [await intended(dead), await intended(dead)]
    await kit.ask('select fence_self($1)', [dead.id])
    const row = received()
    expect(await dead.ledger.received(row)).toEqual({ code: 'STORED' })
    expect(await dead.ledger.intent(intent(row.leadId), [])).toBe('FENCED')
    await dead.ledger.result(final(early, [result()], {}))
    expect(await dead.ledger.lead(early)).toMatchObject({ status: 'sold' })

    await kit.ask('select take_over($1, 10)', [engine.id])
    await dead.ledger.result(final(late, [result()], {}))
    expect(await kit.states(late)).toEqual({ acme: 'accepted' })
    expect((await leadFile(kit.db, late))!.sales).toHaveLength(1)
    const { owner, term, status } = (await leadFile(kit.db, late))!.lead
    expect({ owner, term, status }).toEqual({ owner: engine.id, term: 2, status: null })
    await kit.ask('select conclude_lead($1, $2, 2)', [engine.id, late])
    expect(await engine.ledger.lead(late)).toMatchObject({ status: 'sold', payout: 14_000_000, copies: 1 })
  })

  it('is fenced only after the batches that it has under way', async () => {
    const dying = await kit.engine()
    const leadId = await intended(dying)
    const batch = await kit.pool.connect()
    await batch.query('begin')
    await batch.query('select pg_advisory_xact_lock_shared(72, $1)', [dying.id])
    const fencing = kit.ask('select fence_self($1)', [dying.id])
    const stillAlive = await batch.query('select fenced_at from engines where id = $1', [dying.id])
    expect(stillAlive.rows).toEqual([{ fenced_at: null }])
    await batch.query('commit')
    batch.release()
    await fencing
    expect(await dying.ledger.intent(intent(leadId, { contract: 'bolt', copy: 1 }), [])).toBe('FENCED')
  })

  it('knows by its own clock when it must stop, and waits before it fences others', async () => {
    const time = new VirtualClock(Date.now())
    const other = await kit.engine()
    await kit.silence(other)
    let told = 0
    const ownership = await Ownership.register({ db: kit.db, clock: time, fenced: () => told++ })
    expect(await ownership.fenceSilent()).toEqual([])
    for (let beat = 1; beat <= 6; beat++) await nextBeat(time)
    expect(time.mono()).toBe(6_000)
    expect(await ownership.fenceSilent()).toContain(other.id)

    await kit.ask('select fence_self($1)', [ownership.engine])
    expect(ownership.mayAct()).toBe(true)
    time.goOn()
    while (told === 0) await new Promise((done) => setImmediate(done))
    expect({ told, fenced: ownership.isFenced, mayAct: ownership.mayAct() }).toEqual({
      told: 1,
      fenced: true,
      mayAct: false,
    })
  })

  it('is silent while it cannot beat, and fences nobody until its own heart was steady for as long', async () => {
    const time = new VirtualClock(Date.now())
    const road = await Road.open(kit.url)
    const pool = openPool({ url: road.url })
    const ownership = await Ownership.register({ db: queriesOver(pool), clock: time })
    for (let beat = 1; beat <= 6; beat++) await nextBeat(time)
    const other = await kit.engine()
    await kit.silence(other)
    road.shut()
    for (let beat = 1; beat <= 5; beat++) await nextBeat(time)
    expect(ownership.mayAct()).toBe(false)
    expect(await ownership.fenceSilent()).toEqual([])
    road.reopen()
    await nextBeat(time)
    expect(ownership.mayAct()).toBe(true)
    expect(await ownership.fenceSilent()).toEqual([])
    for (let beat = 1; beat <= 6; beat++) await nextBeat(time)
    expect(await ownership.fenceSilent()).toContain(other.id)
    await ownership.stop()
    await pool.end()
    await road.close()
  })
})

/** Fires the next heartbeat, and waits until the one after it is set: the ledger has answered. */
async function nextBeat(time: VirtualClock): Promise<void> {
  let set = false
  const { after } = time
  time.after = (delay, fire) => {
    set = true
    return after.call(time, delay, fire)
  }
  time.goOn()
  while (!set) await new Promise((done) => setImmediate(done))
  time.after = after
}

describe('a doubt', () => {
  const resolve = (leadId: string, state: string) =>
    kit
      .ask<{ answer: { code: string; status: string } }>(
        `select resolve_doubt($1, $2, 0, null, $3, $4, $4, null, null, null, 'test') as answer`,
        [engine.id, leadId, state, state === 'accepted' ? 'won' : 'unresolved'],
      )
      .then(([row]) => row!.answer)

  it('is settled by the first verdict; the lead follows, and later contrary evidence is a dispute', async () => {
    const leadId = await intended(engine, { campaign: 'doubts' })
    expect(await resolve(leadId, 'accepted')).toEqual({ code: 'OPEN' })
    const doubt = result({ state: 'in_doubt' })
    await engine.ledger.result(final(leadId, [doubt], { status: 'pending', outcomes: { 'acme|in_doubt|timeout': 1 } }))
    expect(await engine.ledger.lead(leadId)).toMatchObject({ status: 'pending', decided: true })
    expect(await resolve(leadId, 'rejected')).toMatchObject({ code: 'RESOLVED', status: 'unsold' })
    expect(await resolve(leadId, 'accepted')).toMatchObject({ code: 'SETTLED', status: 'unsold' })
    expect(await resolve(leadId, 'rejected')).toMatchObject({ code: 'SETTLED', status: 'unsold' })
    const { lead, sales, resolutions } = (await leadFile(kit.db, leadId))!
    expect({ status: lead.status, reasons: lead.reasons, sales }).toEqual({
      status: 'unsold',
      reasons: ['no_buyer'],
      sales: [],
    })
    expect(resolutions.map(({ verdict, applied, by }) => [verdict, applied, by])).toEqual([
      ['rejected', true, 'test'],
      ['accepted', false, 'test'],
    ])
    expect(await engine.ledger.sighting(leadId)).toBeNull()
    const sums = `select kind, reason, sum(n)::int as n from rollups where campaign = 'doubts' group by 1, 2 order by 1, 2`
    expect(await kit.ask(sums)).toEqual([
      { kind: 'in_doubt', reason: 'timeout', n: 0 },
      { kind: 'lead', reason: 'pending', n: 0 },
      { kind: 'lead', reason: 'unsold', n: 1 },
      { kind: 'rejected', reason: 'unresolved', n: 1 },
    ])
  })

  it('that turns out to be a sale is paid and sold', async () => {
    const leadId = await intended(engine)
    await engine.ledger.result(final(leadId, [result({ state: 'in_doubt' })], { status: 'pending' }))
    expect(await resolve(leadId, 'accepted')).toMatchObject({ code: 'RESOLVED', status: 'sold' })
    const { lead, entries } = (await leadFile(kit.db, leadId))!
    expect(lead).toMatchObject({ status: 'sold', copies: 1, payout: 14_000_000 })
    expect(entries.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
    expect(entries).toHaveLength(3)
  })

  it('of one copy raises what a lead is sold for', async () => {
    const leadId = await intended(engine)
    await engine.ledger.intent(intent(leadId, { contract: 'bolt', copy: 1 }), [])
    const ends = [result({ state: 'in_doubt' }), result({ contract: 'bolt', copy: 1 })]
    await engine.ledger.result(final(leadId, ends, { status: 'sold' }))
    expect(await resolve(leadId, 'accepted')).toMatchObject({ code: 'RESOLVED', status: 'sold' })
    expect(await engine.ledger.lead(leadId)).toMatchObject({ status: 'sold', copies: 2, payout: 28_000_000 })
  })
})

describe('what a source is owed for every lead that is taken', () => {
  const owed = micros(3_000_000)
  const ofSource = async (leadId: string) => {
    const { lead, entries } = (await leadFile(kit.db, leadId))!
    expect(entries.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
    const accounts = entries.filter(({ account }) => account === 'source:demo')
    return [lead.status, lead.payout, ...accounts.map(({ cause, amount }) => `${cause} ${amount}`).sort()]
  }
  const settle = (leadId: string, copy: number, state: string) =>
    kit.ask(`select resolve_doubt($1, $2, $3, null, $4, $4, $5, null, null, null, 'test')`, [
      ...[engine.id, leadId, copy, state, state === 'accepted' ? 'won' : 'unresolved'],
    ])

  it('is entered with an unsold lead, and not with one that was sold for it or is a duplicate', async () => {
    const [unsold, sold, twin] = [received({ owed }), received({ owed }), received({ owed })]
    await Promise.all([unsold, sold, twin].map((row) => engine.ledger.received(row)))
    await engine.ledger.intent(intent(sold.leadId, { payout: owed }), [])
    await engine.ledger.result(final(unsold.leadId, [], { status: 'unsold', payout: owed }))
    await engine.ledger.result(final(sold.leadId, [result({ payout: owed })], { payout: owed }))
    await engine.ledger.result(final(twin.leadId, [], { status: 'duplicate', payout: micros(0) }))
    expect(await ofSource(unsold.leadId)).toEqual(['unsold', 3_000_000, 'accepted 3000000'])
    expect(await ofSource(sold.leadId)).toEqual(['sold', 3_000_000, 'sale 3000000'])
    expect(await ofSource(twin.leadId)).toEqual(['duplicate', 0])
  })

  it('is entered where recovery ends a lead, offered to somebody or not', async () => {
    const never = received({ owed })
    await engine.ledger.received(never)
    await kit.ask('select conclude_lead($1, $2, 1)', [engine.id, never.leadId])
    expect(await ofSource(never.leadId)).toEqual(['expired', 3_000_000, 'accepted 3000000'])
  })

  /** The first doubt would earn all of it, the second nothing more. */
  const inDoubt = async () => {
    const { leadId } = await intendedTwice()
    const doubts = [
      result({ state: 'in_doubt', payout: owed }),
      result({ state: 'in_doubt', contract: 'bolt', copy: 1, payout: micros(0) }),
    ]
    await engine.ledger.result(final(leadId, doubts, { status: 'pending', payout: micros(0) }))
    return leadId
  }
  const intendedTwice = async () => {
    const row = received({ owed })
    await engine.ledger.received(row)
    await engine.ledger.intent(intent(row.leadId, { payout: owed }), [])
    await engine.ledger.intent(intent(row.leadId, { contract: 'bolt', buyer: 'bolt', copy: 1, payout: micros(0) }), [])
    return row
  }

  it.each([
    [
      ['rejected', 'rejected'],
      ['unsold', 3_000_000, 'accepted 3000000'],
    ],
    [
      ['accepted', 'rejected'],
      ['sold', 3_000_000, 'sale 3000000'],
    ],
    [
      ['rejected', 'accepted'],
      ['sold', 3_000_000, 'accepted 3000000', 'sale 0'],
    ],
    [
      ['accepted', 'accepted'],
      ['sold', 3_000_000, 'sale 0', 'sale 3000000'],
    ],
  ] as const)('is earned once, however its doubts end: %j', async (verdicts, earned) => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const leadId = await inDoubt()
      for (const copy of order) await settle(leadId, copy, verdicts[copy]!)
      expect(await ofSource(leadId)).toEqual(earned)
    }
  })
})

describe('a flush', () => {
  it('with one poisoned row refuses that row alone', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => received({ leadRef: i === 11 ? 'a\u0000b' : `S-${i}` }))
    const answers = await Promise.allSettled(rows.map((row) => engine.ledger.received(row)))
    expect(answers.map(({ status }) => status === 'fulfilled')).toEqual(rows.map((_, i) => i !== 11))
    expect((answers[11] as PromiseRejectedResult).reason).toBeInstanceOf(LedgerRefused)
    expect(await engine.ledger.lead(rows[12]!.leadId)).not.toBeNull()
    expect(engine.ledger.writable()).toBe(true)
  })

  it('carries what was queued while the one before was under way', async () => {
    const sizes: number[] = []
    const busy = await kit.engine({ flushed: (calls) => sizes.push(calls) })
    await Promise.all(Array.from({ length: 50 }, () => busy.ledger.received(received())))
    expect(sizes).toEqual([50])
    const small = await kit.engine({ batch: 20, flushed: (calls) => sizes.push(calls) })
    await Promise.all(Array.from({ length: 50 }, () => small.ledger.received(received())))
    expect(sizes).toEqual([50, 20, 20, 10])
  })

  it('that begins after a quiet hour is no slow one', async () => {
    let skipped = 0
    const later = { ...clock, mono: () => ms(clock.mono() + skipped) }
    const quiet = await kit.engine({ clock: later })
    await quiet.ledger.received(received())
    await new Promise((idle) => setImmediate(idle))
    skipped = 3_600_000
    const first = quiet.ledger.received(received())
    expect(quiet.ledger.writable()).toBe(true)
    await first
  })

  it('refuses new leads beyond its bound, and not the rows of leads under way', async () => {
    const tight = await kit.engine({ most: 2 })
    const leadId = await intended(tight)
    const waiting = [received(), received(), received()].map((row) => tight.ledger.received(row))
    const ended = tight.ledger.result(final(leadId, [result()], {}))
    expect(tight.ledger.writable()).toBe(false)
    await expect(waiting[2]).rejects.toBeInstanceOf(LedgerFull)
    await Promise.all([waiting[0], waiting[1], ended])
    expect(tight.ledger.writable()).toBe(true)
  })
})

describe('a ledger that is away', () => {
  it('has rows written once although the answer to their commit was lost', async () => {
    const road = await Road.open(kit.url)
    const far = await kit.engine({ url: road.url })
    const leadId = await intended(far)
    road.loseNextAnswer()
    await far.ledger.result(final(leadId, [result()], {}))
    expect(road.lost).toBe(1)
    expect((await leadFile(kit.db, leadId))!.sales).toHaveLength(1)

    const row = received({ idempotency: { key: `key-${uuidv7()}`, bodyHash: 'h' } })
    road.loseNextAnswer()
    expect(await far.ledger.received(row)).toEqual({ code: 'STORED' })
    road.loseNextAnswer()
    expect(await far.ledger.intent(intent(row.leadId), [])).toBe('INTENDED')
    expect(road.lost).toBe(3)
    await far.ledger.close()
    await road.close()
  })

  it('says so, keeps what it has, and takes rows again by itself', async () => {
    const road = await Road.open(kit.url)
    const far = await kit.engine({ url: road.url })
    road.shut()
    const row = received()
    const written = far.ledger.received(row)
    await until(() => !far.ledger.writable())
    road.reopen()
    expect(await written).toEqual({ code: 'STORED' })
    expect(far.ledger.writable()).toBe(true)

    road.shut()
    await until(() => !far.ledger.writable())
    road.reopen()
    await until(() => far.ledger.writable())
    await far.ledger.close()
    await road.close()
  })

  it('gives a row up after its time, and refuses to open where nobody answers', async () => {
    const road = await Road.open(kit.url)
    const far = await kit.engine({ url: road.url, retryForMs: 100 })
    road.shut()
    await expect(far.ledger.received(received())).rejects.toBeInstanceOf(LedgerAway)
    await expect(PostgresLedger.open({ url: road.url, engine: far.id, clock })).rejects.toBeInstanceOf(LedgerAway)
    road.reopen()
    await far.ledger.close()
    await road.close()
  })
})

describe('beside the hot path', () => {
  it('versions are numbered: the same text keeps its number, a text that returns gets a new one', async () => {
    const [a, b] = ['{"a":1}', '{"b":2}']
    expect(await Promise.all([numberVersion(kit.db, a), numberVersion(kit.db, a)])).toEqual([1, 1])
    expect(await numberVersion(kit.db, b)).toBe(2)
    expect(await numberVersion(kit.db, a)).toBe(3)
    expect(await versionText(kit.db, 2)).toBe(b)
    expect(await versionText(kit.db, 9)).toBeNull()
  })

  it('the latest leads come first', async () => {
    const row = received({ campaign: 'latest' })
    await engine.ledger.received(row)
    expect(await latestLeads(kit.db, 5, { campaign: 'latest' })).toMatchObject([{ id: row.leadId, status: null }])
  })

  it('migrations may run again, from several processes at once', async () => {
    await Promise.all([migrate(kit.pool), migrate(kit.pool)])
  })

  it('functions of another engine are replaced by those of the one that starts', async () => {
    const { rows } = await kit.pool.query(
      'select count(*)::int as n from pg_proc where pronamespace = $1::regnamespace',
      ['public'],
    )
    await kit.pool.query(`drop function take_back(integer, uuid)`)
    await kit.pool.query(`create function of_before() returns integer language sql as 'select 1'`)
    await migrate(kit.pool)
    expect(
      await kit.ask(`select count(*)::int as n, count(*) filter (where proname = 'take_back')::int as back
        from pg_proc where pronamespace = 'public'::regnamespace`),
    ).toEqual([{ n: rows[0].n, back: 1 }])
  })

  it('partitions reach a week ahead, or the engine is not ready', async () => {
    const now = Date.UTC(2031, 4, 6, 23)
    const time = new VirtualClock(now)
    const partitions = new Partitions(kit.db, time, () => {})
    expect(partitions.ready()).toBe(false)
    await partitions.start()
    expect(partitions.ready()).toBe(true)
    const days = await kit.ask<{ n: number }>(
      `select count(*)::int as n from pg_class where relname ~ '^leads_203105(05|06|13|14)$'`,
    )
    expect(days).toEqual([{ n: 4 }])
    partitions.stop()
    time.at(48 * 3_600_000, () => {})
    while (time.mono() < 48 * 3_600_000) time.goOn()
    expect(partitions.ready()).toBe(false)
    const lead = received({ leadId: `${idAt(now + 20 * 86_400_000)}` })
    await expect(engine.ledger.received(lead)).rejects.toThrow(/no partition/)
  })
})

const GROUPS = [
  {
    tag: 'b:acme',
    places: [
      {
        key: 'contract:acme:total:count:total',
        amount: 1,
        limit: 9,
        version: 1,
        transient: false,
        forgetAt: wallMs(0),
      },
    ],
  },
]

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((done) => setTimeout(done, 5))
}

/** A road to Postgres that can be cut: at once, or right before the next answer to a batch would arrive. */
class Road {
  readonly url: string
  lost = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing = false
  #shut = false

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  static async open(to: string): Promise<Road> {
    const target = new URL(to)
    const server = createServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const url = new URL(to)
    url.port = String((server.address() as { port: number }).port)
    const road = new Road(server, url.href)
    server.on('connection', (near) => road.#pass(near, connect(Number(target.port), target.hostname)))
    return road
  }

  loseNextAnswer(): void {
    this.#losing = true
  }

  shut(): void {
    this.#shut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  reopen(): void {
    this.#shut = false
  }

  async close(): Promise<void> {
    this.shut()
    await new Promise((done) => this.#server.close(done))
  }

  #pass(near: Socket, far: Socket): void {
    if (this.#shut) {
      near.destroy()
      far.destroy()
      return
    }
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (bytes) => {
      if (this.#losing) {
        this.#losing = false
        this.lost++
        near.destroy()
      } else near.write(bytes)
    })
  }
}
