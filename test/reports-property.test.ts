/** Reports of random worlds are what somebody finds who reads every row of the ledger and every trace without any of the engine's code. */
import fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { PostgresOffers } from '../engine/offers/ledger.ts'
import { offerRow } from '../engine/offers/offered.ts'
import { COLUMNS } from '../engine/reports/columns.ts'
import { reasonsOf } from '../engine/reports/reasons.ts'
import { reportOf } from '../engine/reports/report.ts'
import { Reporter } from '../engine/reports/reporter.ts'
import type { Dimension } from '../engine/reports/sums.ts'
import { leadJson } from '../rules/lead.ts'
import { clock, LedgerKit, sealer } from './ledger-kit.ts'
import { type Fact, factsOf, type Played, reasonsIn, reportFrom } from './reports-oracle.ts'
import { anyStory } from './world/random.ts'
import { RealHouse } from './world/real.ts'
import { playOnStage } from './world/stage.ts'
import type { Story } from './world/story.ts'

/** `GAVEL_REPORTS=full`: ten times as many. */
const FULL = process.env['GAVEL_REPORTS'] === 'full'
const WORLDS = FULL ? 200 : 20
/** Columns that were ever other than nothing. */
const met = new Set<string>()

let kit: LedgerKit
let house: RealHouse

beforeAll(async () => {
  kit = await LedgerKit.open()
  house = await RealHouse.open(inject('redisUrl'), kit.url)
})
afterAll(async () => {
  await house.close()
  await kit.close()
})

const word = fc.constantFrom('a', 'b', '=c', '')
/** What is known of a lead, and what befalls it afterwards. */
const fate = fc.record({
  state: fc.constantFrom('TX', 'CA', undefined),
  subs: fc.record({ sub1: word, sub3: word }),
  test: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  erased: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  doubts: fc.constantFrom('accepted', 'rejected', null),
  returned: fc.boolean(),
  checkCost: fc.constantFrom(0, 0, 20_000),
  disposed: fc.uniqueArray(
    fc.tuple(fc.constantFrom('attempted', 'quoted', 'sold', 'funded', 'bad_contact'), fc.constantFrom(null, 5, 7)),
    { maxLength: 3, selector: ([status]) => status },
  ),
})
type Fate = typeof fate extends fc.Arbitrary<infer F> ? F : never

const BY: readonly (readonly Dimension[])[] = [
  [],
  ...([['campaign', 'source'], ['vertical'], ['state', 'sub1'], ['sub3'], ['sub2', 'sub5']] as const),
  ...([['tier'], ['buyer', 'contract'], ['tier', 'vertical'], ['source', 'contract']] as const),
  ...([
    ['state', 'contract'],
    ['sub1', 'sub3', 'buyer'],
    ['source', 'state', 'sub1', 'sub3', 'tier', 'contract'],
  ] as const),
]
const EMPTIED = [
  ...[
    'leads',
    'lead_keys',
    'intents',
    'sales',
    'entries',
    'offers',
    'returns',
    'dispositions',
    'late_quarters',
    'report_quarters',
  ],
  ...['report_leads', 'report_seats', 'report_joined', 'report_latencies', 'report_reasons'],
]
const SPAN = { from: new Date('2020-01-01'), to: new Date('2100-01-01'), per: null, zone: 'UTC' } as const

test(`reports of ${WORLDS} random worlds are what their ledgers say`, { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(anyStory, fc.array(fate, { minLength: 1, maxLength: 4 }), async (story, fates) => {
      for (const table of EMPTIED) await kit.ask(`delete from ${table}`)
      const played: Played[] = []
      for (const one of fates) played.push(await play(story, one))
      await expectReports(played)
      await befall(played, fates)
      await expectReports(played)
    }),
    { numRuns: WORLDS },
  )
  const never = Object.keys(COLUMNS).filter((name) => !met.has(name))
  // Of few worlds not each has everything.
  if (FULL) expect(never).toEqual(['invalid', 'duplicates'])
})

async function expectReports(played: readonly Played[]): Promise<void> {
  const { snapshot } = played[0]!.cast
  const versions = { get: async () => snapshot }
  const reporter = new Reporter({ db: kit.db, sealer, clock, log: () => {}, versions })
  await reporter.pass()
  expect(await reporter.pass()).toBe(0)
  const facts: Fact[] = await factsOf(kit, played)
  for (const by of BY) {
    const shown = (await reportOf(kit.db, { ...SPAN, by }))!
    const { rows, times } = reportFrom(facts, by)
    expect(shown.map(withoutTimes), `by ${by}`).toEqual(rows)
    for (const [name, value] of shown.flatMap((row) => Object.entries(row))) if (Number(value) > 0) met.add(name)
    shown.forEach((row, at) => {
      for (const [name, exact] of Object.entries(times[at]!)) expectClose(row[name], exact, `${name} by ${by}`)
    })
  }
  const by = ['contract', 'kind', 'reason'] as const
  const reasons = (await reasonsOf(kit.db, { ...SPAN, by, of: {} }))!
  expect(new Map(reasons.map(({ contract, kind, reason, n }) => [`${contract} ${kind} ${reason}`, n]))).toEqual(
    await reasonsIn(kit, played),
  )
}

const TIMES = /_p\d\d$/
const withoutTimes = (row: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(row).filter(([name]) => !TIMES.test(name)))

function expectClose(shown: unknown, exact: number | null, why: string): void {
  if (exact === null) expect(shown, why).toBeNull()
  else expect(Math.abs((shown as number) - exact), why).toBeLessThanOrEqual(exact / 16)
}

/** One lead, or one source's ping, of the story's world. */
async function play(story: Story, { state, subs, test: isTest, erased }: Fate): Promise<Played> {
  const stores = await house.stores()
  const leadId = uuidv7()
  try {
    const { cast, lead } = await playOnStage(story, stores, leadId)
    const isOffer = lead.opening.asks === true
    if (isOffer) {
      await kit.ask('delete from leads where id = $1', [leadId])
      const ports = { clock, seal: sealer, offers: new PostgresOffers(kit.db) }
      const row = offerRow(ports, lead, lead.offered!, lead.offered!.payout, null)
      await ports.offers.keep({ ...row, test: isTest })
    } else {
      const values = new Map(cast.lead.values)
      values.delete('state')
      if (state !== undefined) values.set('state', { raw: state, normal: state })
      const { sealed, wrappedKey } = sealer.seal(leadId, leadJson({ ...cast.lead, values, subs }))
      await kit.ask('update leads set sealed = $2, test = $3 where id = $1', [
        leadId,
        Buffer.from(sealed, 'base64'),
        isTest,
      ])
      await kit.ask('update lead_keys set wrapped = $2 where lead_id = $1', [leadId, Buffer.from(wrappedKey, 'base64')])
      if (erased) await kit.ask('delete from lead_keys where lead_id = $1', [leadId])
    }
    const said = erased || isOffer ? {} : { state, ...subs }
    return { leadId, cast, lead, said, isOffer, isTest }
  } finally {
    await stores.close()
  }
}

/** Dead engines' leads are taken over and ended, doubts are resolved, copies are returned. */
async function befall(played: readonly Played[], fates: readonly Fate[]): Promise<void> {
  const [other] = await kit.ask<{ id: number }>("insert into engines (host, pid) values ('other', 1) returning id")
  await kit.ask('update engines set fenced_at = now() where id <> $1', [other!.id])
  await kit.ask('select take_over($1, 100)', [other!.id])
  for (const [at, { leadId, isOffer }] of played.entries()) {
    if (isOffer) continue
    await kit.ask(
      `select write_results($1, $2, $2, json_build_array(json_build_object('leadId', $2::uuid, 'term', term, 'contract', contract,
        'attempt', attempt, 'state', 'in_doubt', 'reason', 'engine_lost', 'reasonName', 'engine_lost', 'price', price, 'payout', payout,
        'priceCut', false)), 'other') from intents where lead_id = $2 and state = 'open'`,
      [other!.id, leadId],
    )
    await kit.ask('select conclude_lead($1, $2, term) from leads where id = $2 and status is null and owner = $1', [
      other!.id,
      leadId,
    ])
    const { doubts, returned, disposed, checkCost } = fates[at]!
    const why = doubts === 'accepted' ? 'won' : 'unresolved'
    if (doubts !== null)
      await kit.ask(
        `select resolve_doubt($1, lead_id, copy, contract, $3, $4, $4, bid * 3 / 4, null, null, 'other')
        from intents where lead_id = $2 and state = 'in_doubt' order by copy`,
        [other!.id, leadId, doubts, why],
      )
    if (returned) await giveBack(leadId)
    if (checkCost > 0)
      await kit.ask(
        `insert into entries (lead_id, copy, cause, account, amount, currency)
        select $1, 0, 'check', account, amount, 'USD' from (values ('check:dnc', $2::bigint), ('margin', -$2::bigint)) as e (account, amount)
        where not exists (select 1 from entries where lead_id = $1 and cause = 'check')`,
        [leadId, checkCost],
      )
    for (const [status, value] of disposed)
      await kit.ask(
        `insert into dispositions (lead_id, copy, contract, buyer, status, value, at)
        select lead_id, copy, contract, buyer, $2, $3::bigint * 1000000, now() from sales where lead_id = $1`,
        [leadId, status, value],
      )
    await kit.ask('select count_again($1)', [leadId])
  }
}

async function giveBack(leadId: string): Promise<void> {
  const sales = await kit.ask<{ contract: string; payout: number }>(
    `select s.contract, least(s.payout, l.payout) as payout from sales s join leads l on l.id = s.lead_id
    where s.lead_id = $1 and l.status = 'sold' order by copy limit 1`,
    [leadId],
  )
  for (const { contract, payout } of sales) {
    const id = uuidv7()
    await kit.ask(
      `select ask_return($1, $2, $3, 'bad_phone', null, 'buyer', 864000000, null, now(), now(), 'source')`,
      [id, leadId, contract],
    )
    await kit.ask(`select decide_return($1, true, $2, null, 'root')`, [id, payout])
  }
}
