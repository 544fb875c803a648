/** Returns on a real ledger: each reverses one sale, by the terms under which it was sold, and never more than was paid. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { leadPage } from '../engine/admin/lead-page.ts'
import { answerOf, answerReply } from '../engine/answer.ts'
import { Balances } from '../engine/balances.ts'
import { Rebuild } from '../engine/rebuild.ts'
import type { ReturnGiven, Returns } from '../engine/returns/returns.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { HotStore } from '../engine/store/port.ts'
import { leadFile } from '../engine/store/queries.ts'
import { openRedisStore } from '../engine/store/redis.ts'
import { capsOf, placesOf } from '../rules/calendar.ts'
import { NO_REDIRECTS } from '../rules/onward.ts'
import { micros } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { clock, type LedgerKit, type TestEngine } from './ledger-kit.ts'
import { campaign, contract, ReturnsKit } from './returns-kit.ts'

const OPERATOR = { role: 'operator', label: 'ann' }
const BUYER = { role: 'buyer', label: 'acme' }
const DAY_MS = 86_400_000

const CONFIG = {
  sources: { demo: { pseudonym: 'S-1', status: 'active', campaigns: ['solar', 'fixed'], keys: [] } },
  campaigns: { solar: campaign({ share: 0.7 }), fixed: campaign({ fixed: '5.00' }) },
  buyers: {
    acme: { zone: 'America/New_York', balance: { credit: '5000.00' } },
    bolt: { zone: 'UTC' },
    casa: { zone: 'UTC' },
    eden: { zone: 'UTC' },
    dune: { zone: 'UTC' },
  },
  contracts: {
    acme: contract('acme', { share: 1, reason_codes: ['wrong_number', 'duplicate'] }),
    auto: contract('bolt', { share: 1, approval: 'automatic', clawback: 'us' }),
    casa: contract('casa', { share: 1 }),
    eden: contract('eden', { share: 0.1 }),
    dune: contract('dune', null),
    ...{ 'acme-fixed': contract('acme', { share: 1 }, 'fixed'), 'bolt-fixed': contract('bolt', { share: 1 }, 'fixed') },
  },
}

let house: ReturnsKit
let kit: LedgerKit
let engine: TestEngine
let snapshot: Snapshot
let returns: Returns
beforeAll(async () => {
  house = await ReturnsKit.open(CONFIG)
  ;({ kit, engine, snapshot, returns } = house)
})
afterAll(() => house.close())

const sold = (...lead: Parameters<ReturnsKit['lead']>) => house.lead(...lead)
const asked = (leadId: string, more: Partial<ReturnGiven> = {}): ReturnGiven => ({
  ...{ leadId, contract: 'acme', reasonCode: 'wrong_number', note: null, by: BUYER },
  ...more,
})
async function approved(leadId: string, more: Partial<ReturnGiven> = {}): Promise<string> {
  const answer = await returns.ask(asked(leadId, more))
  if (!answer.ok) throw new Error(answer.detail)
  await returns.decide({ id: answer.id, approve: true, note: null, by: OPERATOR })
  return answer.id
}
/** What each account has of a lead, in units, by cause. */
async function money(leadId: string) {
  const { lead, entries } = (await leadFile(kit.db, leadId))!
  expect(entries.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
  const of = (cause: string) =>
    Object.fromEntries(
      entries.filter((one) => one.cause === cause).map(({ account, amount }) => [account, amount / 1e6]),
    )
  return { status: lead.status, payout: lead.payout / 1e6, returned: lead.returned, return: of('return') }
}

describe('a return', () => {
  it('is asked for once a copy, decided once, and reverses the sale', async () => {
    const leadId = await sold([{ contract: 'acme' }])
    const first = await returns.ask(asked(leadId, { note: 'said 555-0142 is not hers' }))
    expect(first).toMatchObject({ ok: true, state: 'asked', why: null })
    const again = await Promise.all([returns.ask(asked(leadId)), returns.ask(asked(leadId, { buyer: 'acme' }))])
    expect(again).toEqual([first, first])
    expect(await returns.ask(asked(leadId, { reasonCode: 'duplicate' }))).toMatchObject({ code: 'already_returned' })
    expect(await money(leadId)).toMatchObject({ payout: 14, returned: 0, return: {} })
    const { id } = first as { id: string }
    const [stored] = await kit.ask<{ note: string }>('select note from returns where id = $1', [id])
    expect(stored!.note).not.toContain('555')
    const verdicts = await Promise.all([
      returns.decide({ id, approve: true, note: 'sorry', by: OPERATOR }),
      returns.decide({ id, approve: true, note: 'ok', by: { role: 'operator', label: 'bob' } }),
    ])
    expect(verdicts.map((one) => one.ok && [one.state, one.changed]).sort()).toEqual([
      ['approved', false],
      ['approved', true],
    ])
    expect(await money(leadId)).toEqual({
      ...{ status: 'sold', payout: 0, returned: 1 },
      return: { 'buyer:acme': 20, 'source:demo': -14, margin: -6 },
    })
    expect(await returns.decide({ id, approve: false, note: null, by: OPERATOR })).toEqual({
      ...{ ok: false, code: 'decided', state: 'approved' },
    })
    const read = (await returns.read(id))!
    expect(read).toMatchObject({ state: 'approved', note: 'said 555-0142 is not hers', clawback: 14_000_000 })
    expect(['sorry', 'ok']).toContain(read.verdictNote)
    const audit = await kit.ask(
      "select actor, role, action from audit where subject like '%' || $1 || '%' order by id",
      [leadId],
    )
    expect(audit).toMatchObject([
      { actor: 'acme', role: 'buyer', action: 'return asked' },
      { role: 'operator', action: 'return approved' },
    ])
  })

  it('that two operators decide differently at once is decided one way', async () => {
    const leadId = await sold([{ contract: 'acme' }])
    const { id } = (await returns.ask(asked(leadId))) as { id: string }
    const both = await Promise.all(
      [true, false].map((approve) => returns.decide({ id, approve, note: null, by: OPERATOR })),
    )
    expect(both.filter(({ ok }) => ok)).toHaveLength(1)
    const { state } = (await returns.read(id))!
    expect((await money(leadId)).payout).toBe(state === 'approved' ? 0 : 14)
  })

  it('is refused in words where the terms do not allow it, and granted beyond them by an operator', async () => {
    const [leadId, old] = [await sold([{ contract: 'acme' }, { contract: 'dune' }]), await sold([{ contract: 'acme' }])]
    const code = async (given: Partial<ReturnGiven>, lead = leadId) => {
      const answer = await returns.ask(asked(lead, given))
      return answer.ok ? answer.state : answer.code
    }
    expect(await code({ buyer: 'bolt' })).toBe('not_found')
    expect(await code({}, 'no-lead')).toBe('not_found')
    expect(await code({ contract: 'dune' })).toBe('no_returns')
    expect(await code({ reasonCode: 'bored' })).toBe('unknown_reason')
    await kit.ask('update sales set sold_at = sold_at - $2 * interval $$1 ms$$ where lead_id = $1', [
      old,
      7 * DAY_MS + 1,
    ])
    expect(await code({}, old)).toBe('too_old')
    expect(await code({ beyondTerms: true, reasonCode: 'bored', by: OPERATOR }, old)).toBe('asked')
    expect(await code({ contract: 'dune', beyondTerms: true, by: OPERATOR })).toBe('asked')
    expect(await returns.decide({ id: leadId, approve: true, note: null, by: OPERATOR })).toEqual({
      ...{ ok: false, code: 'not_found' },
    })
  })

  it('may be approved by nobody, and our margin may bear it', async () => {
    const leadId = await sold([{ contract: 'auto' }])
    expect(await returns.ask(asked(leadId, { contract: 'auto' }))).toMatchObject({ state: 'approved' })
    expect(await money(leadId)).toEqual({
      ...{ status: 'sold', payout: 14, returned: 1 },
      return: { 'buyer:bolt': 20, 'source:demo': 0, margin: -20 },
    })
  })
})

describe('whoever has to do with a lead that came back', () => {
  it('is told: its source by GET and postback, operators on its page', async () => {
    await kit.ask("insert into postback_routes values ('solar', 'demo') on conflict do nothing")
    const leadId = await sold([{ contract: 'acme' }, { contract: 'casa', price: 10, payout: 7 }])
    const read = async () => {
      const answer = answerOf((await engine.ledger.lead(leadId))!, (_, text) => text)
      return JSON.parse(answerReply(answer, NO_REDIRECTS).body)
    }
    const before = { lead_id: leadId, status: 'sold', payout: '21.00', currency: 'USD', copies: 2 }
    expect(await read()).toMatchObject(before)
    expect(await read()).not.toHaveProperty('returned')
    await approved(leadId)
    expect(await read()).toMatchObject({ ...before, payout: '7.00', returned: { copies: 1, payout: '14.00' } })
    const told = await kit.ask('select event, status, payout from postbacks where lead_id = $1 order by happened_at', [
      leadId,
    ])
    expect(told).toEqual([
      { event: 'sold', status: 'sold', payout: 21_000_000 },
      { event: 'returned', status: 'sold', payout: 7_000_000 },
    ])
    expect(leadPage((await leadFile(kit.db, leadId))!, null)).toMatchObject({
      ...{ status: 'sold', payout: '7.00', copies: 2 },
      returns: [
        { contract: 'acme', state: 'approved', reason_code: 'wrong_number', price: '20.00', clawback: '14.00' },
      ],
    })
  })

  it("hears of a doubt's end that changes what the lead earns as of an adjustment", async () => {
    const leadId = await sold([{ contract: 'acme' }, { contract: 'casa', price: 10, payout: 7, state: 'in_doubt' }])
    await kit.ask(`select resolve_doubt($1, $2, 1, null, 'accepted', 'won', 'won', null, null, null, 'test')`, [
      ...[engine.id, leadId],
    ])
    expect(
      await kit.ask('select event, payout from postbacks where lead_id = $1 order by happened_at', [leadId]),
    ).toEqual([
      { event: 'sold', payout: 14_000_000 },
      { event: 'adjusted', payout: 21_000_000 },
    ])
  })

  it('finds it in the list, the latest first, page by page', async () => {
    const leads = [await sold([{ contract: 'acme' }]), await sold([{ contract: 'acme' }])]
    for (const leadId of leads) await returns.ask(asked(leadId))
    const [first] = await returns.list({ buyer: 'acme', state: 'asked', limit: 1 })
    const [second] = await returns.list({ buyer: 'acme', after: first!.id, limit: 1 })
    expect([first!.lead_id, second!.lead_id]).toEqual(leads.toReversed())
    expect(await returns.list({ buyer: 'nobody', limit: 9 })).toEqual([])
    expect(await returns.list({ leadId: leads[0]!, limit: 9 })).toMatchObject([{ state: 'asked', clawback: 0 }])
  })
})

it('terms that leave nothing to give back, or to take back, are warned of', () => {
  const campaigns = { ...CONFIG.campaigns, solar: campaign({ fixed: '5.00', payout_on: 'accepted' }) }
  const contracts = {
    acme: contract('acme', { share: 0, clawback: 'us' }),
    casa: contract('casa', { clawback: 'source' }),
    eden: contract('eden', {}),
  }
  const compiled = compileVersion({ ...CONFIG, campaigns, contracts }, 1)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  expect(compiled.warnings.map(({ path }) => path).filter((path) => path.includes('returns'))).toEqual([
    'contracts.acme.returns.share',
    'contracts.casa.returns.clawback',
  ])
  const [terms] = compiled.snapshot.campaigns
    .get('solar')!
    .contracts.slice(-1)
    .map(({ returns: its }) => its)
  expect(terms).toMatchObject({ maxAgeDays: 7, share: 100_000, approval: 'operator', clawback: 'source' })
})

describe('a share of the month', () => {
  it('is never exceeded, however many ask at once; one that is refused makes room', async () => {
    const leads: string[] = []
    for (let n = 0; n < 11; n++) leads.push(await sold([{ contract: 'eden' }]))
    const askAll = () =>
      Promise.all(leads.map((leadId) => returns.ask(asked(leadId, { contract: 'eden', buyer: 'eden' }))))
    const first = await askAll()
    const granted = first.filter(({ ok }) => ok) as { id: string }[]
    expect(granted).toHaveLength(2)
    const over = first.find((one) => !one.ok)
    expect(over).toMatchObject({ code: 'over_share', detail: expect.stringContaining('of the 11 copies') })
    await returns.decide({ id: granted[0]!.id, approve: false, note: 'it rang', by: OPERATOR })
    expect((await askAll()).filter((one) => one.ok && one.state === 'asked')).toHaveLength(2)
    expect(
      await kit.ask("select state, count(*)::int as n from returns where contract = 'eden' group by 1 order by 1"),
    ).toEqual([
      { state: 'asked', n: 2 },
      { state: 'refused', n: 1 },
    ])
  })
})

describe('what the source gives back', () => {
  const give = async (leadId: string, contract: string, buyer: string) => {
    const before = (await money(leadId)).payout
    await approved(leadId, { contract, buyer })
    return before - (await money(leadId)).payout
  }

  it('of a payout that is fixed for the lead is nothing while a copy stays sold', async () => {
    const leadId = await sold([
      { contract: 'acme-fixed', payout: 5 },
      { contract: 'bolt-fixed', payout: 0 },
    ])
    expect(await give(leadId, 'acme-fixed', 'acme')).toBe(0)
    expect(await give(leadId, 'bolt-fixed', 'bolt')).toBe(5)
  })

  it('is the same where both copies come back at once', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const contracts = ['acme-fixed', 'bolt-fixed'] as const
        const leadId = await sold(contracts.map((id, nth) => ({ contract: id, payout: nth === 0 ? 5 : 0 })))
        const both = await Promise.all(contracts.map((id) => returns.ask(asked(leadId, { contract: id }))))
        return { leadId, ids: both.map((one) => (one as { id: string }).id) }
      }),
    )
    const decided = pairs.flatMap(({ ids }) =>
      ids.map((id) => returns.decide({ id, approve: true, note: null, by: OPERATOR })),
    )
    await Promise.all(decided)
    for (const { leadId } of pairs) expect(await money(leadId)).toMatchObject({ payout: 0, returned: 2 })
  })

  it('leaves what was promised for a sale, and what is owed in any case', async () => {
    const promise = { payout: micros(12_000_000), marginGives: true }
    const promised = await sold(
      [
        { contract: 'acme', payout: 14 },
        { contract: 'casa', price: 10, payout: 7 },
      ],
      { opening: { promise } },
    )
    expect(await give(promised, 'acme', 'acme')).toBe(9)
    expect((await money(promised)).payout).toBe(12)
    const owed = await sold([{ contract: 'acme-fixed', payout: 5 }], { owed: 5_000_000 })
    expect(await give(owed, 'acme-fixed', 'acme')).toBe(0)
    expect(await money(owed)).toMatchObject({ payout: 5, return: { 'buyer:acme': 20, 'source:demo': 0, margin: -20 } })
  })
})

describe('two doubts of one lead under a fixed payout', () => {
  const settle = (...doubt: Parameters<ReturnsKit['settle']>) => house.settle(...doubt)
  const doubts = () =>
    sold([
      { contract: 'acme-fixed', payout: 5, state: 'in_doubt' },
      { contract: 'bolt-fixed', payout: 0, state: 'in_doubt' },
    ])

  it('earn it once, whichever of them was a sale', async () => {
    const second = await doubts()
    await settle(second, 'acme-fixed', false)
    await settle(second, 'bolt-fixed', true)
    expect(await money(second)).toMatchObject({ status: 'sold', payout: 5 })
    const both = await doubts()
    await Promise.all([settle(both, 'bolt-fixed', true), settle(both, 'acme-fixed', true)])
    expect(await money(both)).toMatchObject({ status: 'sold', payout: 5 })
    const none = await doubts()
    await Promise.all([settle(none, 'bolt-fixed', false), settle(none, 'acme-fixed', false)])
    expect(await money(none)).toMatchObject({ status: 'unsold', payout: 0 })
  })

  it('earn it although the copy that had earned it came back', async () => {
    const leadId = await sold([
      { contract: 'acme-fixed', payout: 5 },
      { contract: 'bolt-fixed', payout: 0, state: 'in_doubt' },
    ])
    await approved(leadId, { contract: 'acme-fixed' })
    expect((await money(leadId)).payout).toBe(0)
    await settle(leadId, 'bolt-fixed', true)
    expect(await money(leadId)).toMatchObject({ status: 'sold', payout: 5, returned: 1 })
  })
})

describe('a prepaid balance', () => {
  const stores: Readonly<Record<string, (name: string) => Promise<HotStore>>> = {
    'the process': async (name) => new MemoryStore(name),
    Redis: async (name) => openRedisStore({ url: inject('redisUrl'), prefix: `gp-returns-${process.pid}-${name}:` }),
  }
  const warmed = async (hot: HotStore) => {
    const rebuild = new Rebuild({ pool: kit.pool, hot, clock, log: () => {}, snapshots: () => [snapshot] })
    await rebuild.makeWarm()
    return new Balances({ db: kit.db, hot, clock, snapshot: () => snapshot, log: () => {} })
  }

  it.each(Object.keys(stores))('in %s gets the money back, as in the ledger, and its caps stay used', async (of) => {
    const leadId = await sold([{ contract: 'acme', price: 18 }])
    const [first, second] = [await stores[of]!('first'), await stores[of]!('second')]
    const balances = await warmed(first)
    const [line] = await balances.lines()
    const campaign = snapshot.campaigns.get('solar')!
    const rules = capsOf(snapshot.sources.get('demo')!, campaign, campaign.contracts[0]!)
    const all = placesOf(rules, 'acme', micros(line!.balance + line!.credit + 1), 1, clock.wall())
    expect((await first.hold('t1', all, clock.wall())).code).toBe('FULL')
    await approved(leadId)
    await balances.look()
    const [after] = await balances.lines()
    expect(after).toEqual({ ...line, paidIn: line!.paidIn + 18e6, balance: line!.balance + 18e6 })
    expect(await (await warmed(second)).lines()).toEqual([after])
    expect((await second.hold('t2', all, clock.wall())).code).toBe('HELD')
    await first.close()
    await second.close()
  })
})
