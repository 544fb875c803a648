/** Reports: rebuilt from the ledger and equal to a recount of it, by any zone's days, quickly, and safe to open in a spreadsheet. */
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Versions } from '../engine/configuration/versions.ts'
import { resolveDoubt } from '../engine/doubts/resolve.ts'
import { makePartitions } from '../engine/partitions.ts'
import { type ReportQuery, reportOf } from '../engine/reports/report.ts'
import { Reporter } from '../engine/reports/reporter.ts'
import type { Dimension } from '../engine/reports/sums.ts'
import { Returns } from '../engine/returns/returns.ts'
import { addSums } from '../engine/store/migrations/0024_report_sums.ts'
import type { FinalRow } from '../engine/store/port.ts'
import { openPool } from '../engine/store/postgres.ts'
import { insertVersion } from '../engine/store/queries.ts'
import { leadJson } from '../rules/lead.ts'
import { micros, wallMs } from '../rules/units.ts'
import { goodConfig } from './admin-kit/configs.ts'
import { AdminKit } from './admin-kit/server.ts'
import { clock, intent, LedgerKit, received, sealer, type TestEngine } from './ledger-kit.ts'

/** `GAVEL_REPORTS=full`: a quarter of 1,000,000 leads; otherwise a tenth of it. */
const FULL = process.env['GAVEL_REPORTS'] === 'full'
const LEADS = FULL ? 1_000_000 : 100_000
const NOON = Date.UTC(2026, 2, 2, 12)
const query = (given: Partial<ReportQuery> = {}): ReportQuery => ({
  ...{ from: new Date(Date.now() - 86_400_000), to: new Date(Date.now() + 86_400_000), by: [], per: null, zone: 'UTC' },
  ...given,
})

describe('what is reported', () => {
  let kit: LedgerKit
  let engine: TestEngine
  let reporter: Reporter
  beforeAll(async () => {
    kit = await LedgerKit.open()
    await insertVersion(kit.db, { canonical: JSON.stringify(goodConfig()), by: 'root', note: null })
    engine = await kit.engine()
    reporter = new Reporter({ db: kit.db, sealer, clock, log: () => {} })
  })
  afterAll(() => kit.close())

  /** A lead of that state that is offered to acme, and how that ends. */
  async function lead(
    source: string,
    state: string,
    end: 'sold' | 'unsold' | 'pending' | 'duplicate',
    more: { test?: boolean; leadId?: string } = {},
  ): Promise<string> {
    const row = received({ source, ...more })
    const { leadId } = row
    const values = new Map([['state', { raw: state, normal: state }]])
    const said = {
      vertical: 'solar',
      receivedAt: row.receivedAt,
      values,
      unknown: {},
      leadRef: null,
      subs: { sub1: 'a' },
    }
    await engine.ledger.received({ ...row, ...sealer.seal(leadId, leadJson(said)) })
    if (end !== 'duplicate') expect(await engine.ledger.intent(intent(leadId), [])).toBe('INTENDED')
    await engine.ledger.result(finalRow(row, end))
    return leadId
  }

  const total = async (given: Partial<ReportQuery> = {}) => (await reportOf(kit.db, query(given)))![0]!

  it('is what a recount of the ledger gives, also when a doubt is resolved later', async () => {
    await lead('mill', 'TX', 'sold')
    await lead('mill', 'TX', 'unsold')
    const owed = await lead('mill', 'AZ', 'duplicate')
    await kit.ask(
      `insert into entries (lead_id, copy, cause, account, amount, currency) values
      ($1, 0, 'accepted', 'source:mill', 1000000, 'USD'), ($1, 0, 'accepted', 'margin', -1000000, 'USD')`,
      [owed],
    )
    await lead('forge', 'AZ', 'sold', { test: true })
    const doubted = await lead('forge', 'AZ', 'pending')
    await engine.ledger.invalid({
      ...received({ source: 'forge' }),
      id: received().leadId,
      at: wallMs(Date.now()),
      issues: '[]',
    })
    expect(await reporter.pass()).toBe(1)
    expect(await reporter.pass()).toBe(0)
    expect(await total()).toEqual({
      ...{ currency: 'USD', received: 5, valid: 4, invalid: 1, duplicates: 1, offers: 0, offered: 0 },
      ...{ sold: 1, unsold: 1, pending: 1, expired: 0, copies: 1, fill_rate: 0.25 },
      ...{ pinged: 1, bids: 1, bid_rate: 1, average_bid: '20.00', ping_timeouts: 0, ping_errors: 0, late_bids: 0 },
      ...{ wins: 1, posts: 3, not_sent: 0, rejects: 1, reject_rate: 0.3333, in_doubt: 1, doubts: 1 },
      ...{ price_cuts: 0, price_cut: '0.00', returns: 0, returned: '0.00' },
      ...{ revenue: '20.00', payout: '15.00', check_cost: '0.00', margin: '5.00', epl: '5.00' },
      ...{ disposed: 0, contacted: 0, contact_rate: 0, converted: 0, conversion_rate: 0, disposed_revenue: '0.00' },
      ...{ ping_p50: 20.5, ping_p90: 20.5, ping_p99: 20.5, post_p50: null, post_p90: null, post_p99: null },
    })
    const hot = new (await import('../engine/store/memory.ts')).MemoryStore('1')
    const verdict = { kind: 'sold', price: null, buyerReference: null, redirectUrl: null } as const
    await resolveDoubt(
      { db: kit.db, versions: new Versions(kit.db), hot, clock, engine: 0, hotLater: () => {} },
      doubted,
      { contract: 'acme' },
      verdict,
      'test',
    )
    expect(await reporter.pass()).toBe(1)
    expect(await total()).toMatchObject({
      sold: 2,
      pending: 0,
      in_doubt: 0,
      revenue: '40.00',
      payout: '29.00',
      epl: '10.00',
    })
    const [recount] = await kit.ask<{ n: number; sold: number; revenue: number }>(`
      select count(*)::int as n, count(*) filter (where status = 'sold')::int as sold,
        (select -sum(amount) from entries where account like 'buyer:%') as revenue from leads where not test`)
    expect(recount).toEqual({ n: 4, sold: 2, revenue: 40_000_000 })
  })

  it('is told by what a lead is, and by whom it was offered to', async () => {
    const by = async (...dimensions: Dimension[]) => (await reportOf(kit.db, query({ by: dimensions })))!
    const bySource = (await by('source', 'state')).map((row) =>
      ['source', 'state', 'valid', 'posts'].map((name) => row[name]),
    )
    expect(bySource).toEqual([
      ['forge', '', 0, 0],
      ['forge', 'AZ', 1, 1],
      ['mill', 'AZ', 1, 0],
      ['mill', 'TX', 2, 2],
    ])
    expect(await by('contract', 'tier', 'source')).toMatchObject([
      { contract: 'acme', tier: 'open', source: 'forge', posts: 1, received: null },
      { contract: 'acme', tier: 'open', source: 'mill', posts: 2, bids: 1, fill_rate: null },
    ])
    expect(await by('buyer', 'state', 'sub1')).toMatchObject([
      { buyer: 'acme', state: 'AZ', sub1: 'a', posts: 1, pinged: 0, received: null, ping_p50: null },
      { buyer: 'acme', state: 'TX', sub1: 'a', posts: 2, pinged: 1, received: null, ping_p50: null },
    ])
    expect(await reportOf(kit.db, query({ by: ['source'], of: { contract: 'acme', state: 'TX' } }))).toMatchObject([
      { source: 'mill', posts: 2, rejects: 1, reject_rate: 0.5 },
    ])
  })

  it('is counted again after a return, however late that is', async () => {
    const before = Date.now() - 30 * 86_400_000
    await makePartitions(kit.db, before)
    const leadId = await lead('late', 'TX', 'sold', { leadId: uuidv7({ msecs: before }) })
    await kit.ask('select count_again($1)', [leadId])
    const late = async () => {
      await reporter.pass()
      const span = { from: new Date(before - 86_400_000), to: new Date(before + 86_400_000) }
      const [leads] = (await reportOf(kit.db, query({ ...span, by: ['source'] })))!
      const [seats] = (await reportOf(kit.db, query({ ...span, by: ['contract'] })))!
      return { payout: leads!.payout, revenue: leads!.revenue, sold: leads!.sold, returns: seats!.returns }
    }
    expect(await late()).toEqual({ payout: '14.00', revenue: '20.00', sold: 1, returns: 0 })
    const returns = new Returns({ db: kit.db, sealer, versions: new Versions(kit.db) })
    const by = { role: 'operator', label: 'ann' }
    const asked = { leadId, contract: 'acme', reasonCode: 'goodwill', note: null, beyondTerms: true, by }
    const { id } = (await returns.ask(asked)) as { id: string }
    expect(await late()).toMatchObject({ revenue: '20.00', returns: 0 })
    await returns.decide({ id, approve: true, note: null, by })
    expect(await late()).toEqual({ payout: '0.00', revenue: '0.00', sold: 1, returns: 1 })
    expect(await kit.ask('select * from late_quarters')).toEqual([])
  })

  it('is counted again as a whole after an upgrade that sums something more, and says how far that is', async () => {
    const by = () => reportOf(kit.db, query({ by: ['contract', 'state', 'source'] }))
    const [before, said] = [await by(), [] as string[]]
    const dropped = new Date(Date.now() - 60 * 86_400_000).toISOString()
    await kit.ask(`
      insert into report_quarters (quarter, mark, undecided)
      select timestamptz '${dropped}' + n * interval '15 minutes' + (n > 0)::int * interval '31 days', '1 1', 0 from generate_series(0, 100) as n`)
    await kit.ask(`insert into report_leads (quarter, campaign, source, vertical, state, sub1, currency, valid)
      values ('${dropped}', 'solar', 'gone', 'solar', '', '', 'USD', 7)`)
    await addSums(kit.db as never, 'seats', 'probe integer')
    await kit.ask('delete from report_joined')
    const upgraded = new Reporter({ db: kit.db, sealer, clock, log: (text) => said.push(text) })
    await upgraded.pass()
    expect(said).toEqual([expect.stringMatching(/^reports are counted again: \d+ quarters of an hour are left$/)])
    expect(await by()).toEqual(before)
    await upgraded.pass()
    expect(said.slice(1)).toEqual(['reports are counted again: done'])
    // What was summed of leads that are gone stays.
    expect(await reportOf(kit.db, query({ from: new Date(0), of: { source: 'gone' } }))).toMatchObject([{ valid: 7 }])
  })

  it('is built by one process at a time', async () => {
    await lead('mill', 'TX', 'unsold')
    const others = Array.from({ length: 4 }, () => new Reporter({ db: kit.db, sealer, clock, log: () => {} }))
    const built = await Promise.all(others.map((one) => one.pass()))
    expect(built.reduce((sum, n) => sum + n, 0)).toBe(1)
  })
})

function finalRow(row: ReturnType<typeof received>, end: 'sold' | 'unsold' | 'pending' | 'duplicate'): FinalRow {
  const states = { sold: 'accepted', unsold: 'rejected', pending: 'in_doubt' } as const
  const result = {
    ...{
      seat: 0,
      contract: 'acme',
      buyer: 'acme',
      copy: 0,
      attempt: 1,
      price: micros(20_000_000),
      payout: micros(14_000_000),
    },
    ...{
      buyerReference: null,
      redirectUrl: null,
      priceCut: false,
      reason: end === 'sold' ? 'won' : end === 'pending' ? 'timeout' : 'rejected',
    },
  }
  const opening = { eligible: [0], dice: [0], excluded: {} }
  const rows =
    end === 'sold'
      ? [
          ['>ping', 0, [0], 300],
          ['bid', 20, 0, 20_000_000, null],
          ['>hold', 0, 1, 20_000_000],
        ]
      : []
  const { leadId, campaign, source, test, currency } = row
  return {
    ...{ leadId, term: 1, campaign, source, test, currency },
    results: end === 'duplicate' ? [] : [{ ...result, state: states[end] }],
    final: {
      ...{
        status: end,
        payout: micros(end === 'sold' ? 14_000_000 : 0),
        copies: end === 'sold' ? 1 : 0,
        reasons: [],
        redirectUrl: null,
      },
      trace: JSON.stringify({ machine: 1, version: 1, campaign, source, term: 1, opening, rows }),
      ...{ sighting: null, awaited: false, outcomes: {} },
    },
  }
}

/** Each lead is shown to so many buyers. */
const SEATS = Number(process.env['SEATS'] ?? 4)

const FILLED = ['report_leads', 'report_seats', 'report_joined', 'report_latencies'] as const

/** Sums as leads would leave them whose sub-ids and states differ: hardly two are alike in what reports tell apart. */
async function fillSums(url: string, leads: number): Promise<void> {
  // Some of these take longer than a statement of the engine may.
  const pool = openPool({ url, connections: 1, statementTimeoutMs: 900_000 })
  const ask = async (text: string) => (await pool.query(text)).rows
  const quarter = `timestamptz '2026-01-01' + (n % 8640) * interval '15 minutes'`
  const lead = `'solar', 'source-' || n % 20, 'solar', 'S' || n % 51, 'sub-' || n / 8640`
  for (const table of FILLED) await ask(`drop index ${table}_quarter; alter table ${table} set unlogged`)
  for (let from = 1; from <= leads; from += 25_000) {
    const n = `generate_series(${from}, ${from + 24_999}) as n`
    await ask(`
      insert into report_leads (quarter, campaign, source, vertical, state, sub1, currency, valid, sold, unsold, pinged, bids, bid_sum, wins,
        posts, rejects, copies, revenue, payout)
      select ${quarter}, ${lead}, 'USD', 1, n % 2, 1 - n % 2, ${SEATS}, ${SEATS}, ${SEATS} * 15000000, 1,
        1, 1 - n % 2, n % 2, (n % 2) * 20000000, (n % 2) * 14000000
      from ${n}`)
    await ask(`
      insert into report_joined (quarter, campaign, source, vertical, state, sub1, sub2, sub3, sub4, sub5, tier, buyer, contract, currency, pinged, bids, bid_sum,
        wins, posts, rejects, copies, revenue, payout)
      select ${quarter}, ${lead}, '', '', '', '', 'open', 'buyer-' || s / 2, 'contract-' || s, 'USD', 1, 1, 15000000, nullif(i, 0), nullif(i, 0), nullif(i * (1 - n % 2), 0),
        nullif(i * (n % 2), 0), nullif(i * (n % 2) * 20000000, 0), nullif(i * (n % 2) * 14000000, 0)
      from ${n}, lateral (select (n + s) % 10 as s, (s = 0)::int as i from generate_series(0, ${SEATS - 1}) as s) as seat`)
  }
  await ask('create index report_joined_quarter on report_joined (quarter)')
  const sums = ['pinged', 'bids', 'bid_sum', 'wins', 'posts', 'rejects', 'copies', 'revenue', 'payout']
  for (let week = 0; week < 13; week++) {
    const of = `from report_joined where quarter >= date '2026-01-01' + ${week * 7} and quarter < date '2026-01-08' + ${week * 7}`
    await ask(`
      insert into report_seats (quarter, campaign, source, vertical, tier, buyer, contract, currency, ${sums})
      select quarter, campaign, source, vertical, tier, buyer, contract, currency, ${sums.map((sum) => `sum(${sum})`)}
      ${of} group by 1, 2, 3, 4, 5, 6, 7, 8`)
    await ask(`
      insert into report_latencies (quarter, campaign, vertical, tier, buyer, contract, kind, b30, b40, b41, b50, b60)
      select quarter, campaign, vertical, tier, buyer, contract, kind, sum(pinged), 1, 2, 1, 1
      ${of.replace('where', `cross join (values ('ping'), ('post')) as k(kind) where`)} group by 1, 2, 3, 4, 5, 6, 7`)
  }
  for (const table of FILLED.filter((one) => one !== 'report_joined'))
    await ask(`create index ${table}_quarter on ${table} (quarter)`)
  await ask(`analyze ${FILLED}`)
  for (const table of FULL ? FILLED : [])
    console.log(
      await ask(
        `select '${table}' as name, count(*)::int as rows, pg_size_pretty(pg_total_relation_size('${table}')) as size from ${table}`,
      ),
    )
  await pool.end()
}

describe('a quarter of many leads', () => {
  let kit: AdminKit
  beforeAll(async () => {
    kit = await AdminKit.open()
    await fillSums(kit.kit.url, LEADS)
  }, 900_000)
  afterAll(() => kit.close())
  const SPAN = 'from=2026-01-01T00:00:00Z&to=2026-04-01T00:00:00Z'

  /** Best of three, in milliseconds. What a machine that does other things beside needs says little. */
  async function bestOf(more: string): Promise<number> {
    const took: number[] = []
    for (let run = 0; run < (FULL ? 3 : 1); run++) {
      const began = performance.now()
      const { rows } = await kit.get(`/admin/v1/reports?${SPAN}${more}`)
      took.push(performance.now() - began)
      expect(rows.reduce((sum: number, row: { copies: number }) => sum + row.copies, 0)).toBe(LEADS / 2)
    }
    if (FULL) console.log(`${LEADS} leads${more}: ${took.map(Math.round).join(', ')} ms`)
    return FULL ? Math.min(...took) : 0
  }

  it.each([
    ...['', '&per=day&zone=America/Chicago', '&by=source,state&per=month', '&by=source,sub1'],
    ...['&by=contract&per=week', '&by=buyer,source&per=month'],
  ])('answers within a second: %s', async (more) => {
    expect(await bestOf(more)).toBeLessThan(1_000)
  })

  it.each(['&by=state,contract', '&by=sub1,buyer'])(
    'answers, where seats are told by what their leads are, within a second for each seat of a lead: %s',
    async (more) => {
      expect(await bestOf(more)).toBeLessThan(1_000 * SEATS)
    },
  )

  it('has days of the zone that is asked for', async () => {
    const days = async (zone: string) => (await kit.get(`/admin/v1/reports?${SPAN}&per=day&zone=${zone}`)).rows
    const [utc, chicago] = [await days('UTC'), await days('America/Chicago')]
    expect(utc[0]).toMatchObject({ period: '2026-01-01' })
    expect(chicago[0]).toMatchObject({ period: '2025-12-31' })
    expect(chicago[0].valid / chicago[1].valid).toBeCloseTo(6 / 24, 1)
    const night = 'from=2026-11-01T04:00:00Z&to=2026-11-01T09:00:00Z&per=hour&zone=America/Chicago'
    await kit.kit.ask(`insert into report_leads (quarter, campaign, source, vertical, state, sub1, currency, valid)
      select timestamptz '2026-11-01 04:00Z' + n * interval '1 hour', 'solar', 's', 'solar', '', '', 'USD', 1 from generate_series(0, 4) as n`)
    const hours = (await kit.get(`/admin/v1/reports?${night}`)).rows.map(({ period }: { period: string }) => period)
    expect(hours).toEqual([
      '2026-10-31 23:00 -05:00',
      '2026-11-01 00:00 -05:00',
      '2026-11-01 01:00 -05:00',
      '2026-11-01 01:00 -06:00',
      '2026-11-01 02:00 -06:00',
    ])
  })

  it('is a file for spreadsheets that runs no formula', async () => {
    await kit.kit.ask(`
      insert into report_leads (quarter, campaign, source, vertical, state, sub1, currency, valid, sold, copies, revenue, payout)
      values (timestamptz '${new Date(NOON).toISOString()}' + interval '1 year', 'solar', '=cmd()', 'solar', '', '-2+3', 'USD', 1, 1, 1, 5000000, 9000000)`)
    const reply = await kit.ask({
      method: 'GET',
      path: '/admin/v1/reports?from=2027-03-01T00:00:00Z&to=2027-04-01T00:00:00Z&by=source,sub1&format=csv',
    })
    const [head, row] = (await reply.text()).split('\r\n')
    expect(reply.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(head).toMatch(/^source,sub1,currency,received,valid,/)
    expect(row).toMatch(/^'=cmd\(\),'-2\+3,USD,1,1,0,0,0,0,1,0,0,0,1,1,/)
    expect(row).toMatch(/,5\.00,9\.00,0\.00,-4\.00,5\.00,0,0,0,0,0,0\.00,,,,,,$/)
  })

  it('says what it does not have', async () => {
    const faults = async (more: string) => {
      const reply = await kit.ask({ method: 'GET', path: `/admin/v1/reports?${more}` })
      return [reply.status, ((await reply.json()) as { faults: { path: string }[] }).faults.map(({ path }) => path)]
    }
    expect(await faults(`${SPAN}&by=state,contract,source,sub1,sub2,sub3,buyer`)).toEqual([422, ['query.by']])
    expect(await faults(`${SPAN}&by=colour&zone=Mars`)).toEqual([422, ['query.by', 'query.zone']])
    expect(await faults('from=2026-02-31T00:00:00Z&to=2026-01-01T00:00:00Z')).toEqual([422, ['query.to']])
    expect(await faults(`${SPAN}&by=sub1,source,state&per=hour`)).toEqual([422, ['query']])
  })
})
