/** What buyers and sources read and change by themselves: each sees its own, as the ledger has it, and nothing else. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { enterBalance } from '../engine/balances.ts'
import { switchesOn } from '../engine/configuration/switchboard.ts'
import { readCsv } from '../engine/csv.ts'
import { Gate } from '../engine/portal/gate.ts'
import { reportOf } from '../engine/reports/report.ts'
import { Reporter } from '../engine/reports/reporter.ts'
import { DISPOSITIONS } from '../rules/dispositions.ts'
import type { Lead } from '../rules/lead.ts'
import { Switches } from '../rules/switches.ts'
import { micros, wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import { clock, sealer } from './ledger-kit.ts'
import { PortalKit, withSub } from './portal-kit.ts'

let kit: PortalKit
beforeAll(async () => {
  kit = await PortalKit.open({ patient: true })
})
afterAll(() => kit.close())

const get = (path: string, key: string) => kit.read('GET', path, key)
const NOBODY = '0197cafe-0000-7000-8000-000000000001'

describe('sales', () => {
  it("are a buyer's own, in pages, in the order in which they were sold, and name no source, payout or margin", async () => {
    const mine: string[] = []
    for (let n = 0; n < 5; n++) {
      mine.push(await kit.sell('acme', n === 1 ? { source: 'forge' } : {}))
      if (n % 2 === 0) await kit.sell('bolt')
    }
    const first = await get('/v1/buyer/sales?limit=3', 'acme')
    expect(first.status).toBe(200)
    const second = await get(`/v1/buyer/sales?limit=3&after=${first.body.next}`, 'acme')
    const items = [...first.body.items, ...second.body.items]
    expect(items.map(({ lead_id }) => lead_id)).toEqual(mine)
    expect(second.body.next).toBeNull()
    expect(first.headers.get('link')).toContain(`after=${first.body.next}`)
    expect(items[1]).toEqual({
      ...{ lead_id: mine[1], contract: 'acme', campaign: 'solar', source: 'S-2', price: '20.00', currency: 'USD' },
      ...{ sold_at: expect.any(String), buyer_reference: 'B-77', returned: false, disposition: null },
    })
    expect(JSON.stringify(items)).not.toMatch(/mill|forge|"14\.00"|payout/)
  })

  it('come as CSV that no spreadsheet runs', async () => {
    const lead = await kit.sell('acme')
    await kit.kit.ask(`update sales set buyer_reference = '=cmd()' where lead_id = $1`, [lead])
    const { body, headers } = await get('/v1/buyer/sales?format=csv&limit=1000', 'acme')
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
    const rows = readCsv(body)
    const names = rows[0]!
    expect(rows.find((row) => row[0] === lead)![names.indexOf('buyer_reference')]).toBe("'=cmd()")
  })

  it('are of the time that is asked for', async () => {
    const past = '/v1/buyer/sales?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z'
    expect((await get(past, 'acme')).body).toEqual({ items: [], next: null })
    expect((await get('/v1/buyer/sales?from=2026-01-03T00:00:00Z&to=2026-01-02T00:00:00Z', 'acme')).status).toBe(422)
  })
})

describe('dispositions', () => {
  const say = (body: object, key = 'acme') => kit.read('POST', '/v1/buyer/dispositions', key, body)
  const rowsOf = (lead: string) =>
    kit.kit.ask('select status, value, at from dispositions where lead_id = $1 order by status', [lead])

  it('are kept once for each status; the same again changes nothing, a later word corrects', async () => {
    const lead_id = await kit.sell('acme')
    const at = '2026-03-02T20:00:00.000Z'
    const said = { lead_id, status: 'funded', at, value: '1200.00' }
    const results = []
    for (const body of [
      said,
      said,
      { lead_id, status: 'funded', value: '1200.00' },
      { ...said, value: '1250.00' },
      { ...said, at: '2026-03-01T20:00:00Z' },
      { lead_id, status: 'contacted' },
      { lead_id, status: 'contacted' },
    ])
      results.push((await say(body)).body.result)
    expect(results).toEqual(['recorded', 'same', 'same', 'corrected', 'older', 'recorded', 'same'])
    expect(await rowsOf(lead_id)).toEqual([
      { status: 'contacted', value: null, at: expect.any(Date) },
      { status: 'funded', value: 1_250_000_000, at: new Date(at) },
    ])
  })

  it('are only of leads that it bought, alone and in a batch', async () => {
    const [mine, theirs] = [await kit.sell('acme'), await kit.sell('bolt')]
    expect((await say({ lead_id: theirs, status: 'contacted' })).status).toBe(404)
    expect((await say({ lead_id: NOBODY, status: 'contacted' })).status).toBe(404)
    const dispositions = [
      { lead_id: mine, status: 'appointment' },
      { lead_id: theirs, status: 'sold', value: '9.00' },
      { lead_id: mine, status: 'appointment' },
    ]
    const { status, body } = await kit.read('POST', '/v1/buyer/dispositions:batch', 'acme', { dispositions })
    expect([status, body.results.map(({ result }: { result: string }) => result)]).toEqual([
      200,
      ['recorded', 'not_found', 'same'],
    ])
    expect(await rowsOf(theirs)).toEqual([])
  })

  it('say what is wrong with them, all at once', async () => {
    const lead_id = await kit.sell('acme')
    expect((await say({ lead_id, status: 'eaten' })).status).toBe(422)
    expect((await say({ lead_id, status: 'sold', value: '-1' })).status).toBe(422)
    const late = { lead_id, status: 'sold', at: '2090-01-01T00:00:00Z' }
    const { status, body } = await kit.read('POST', '/v1/buyer/dispositions:batch', 'acme', {
      dispositions: [late, { lead_id, status: 'sold' }, late],
    })
    expect([status, body.faults.map(({ path }: { path: string }) => path)]).toEqual([
      422,
      ['body.dispositions.0.at', 'body.dispositions.2.at'],
    ])
    expect(await rowsOf(lead_id)).toEqual([])
  })

  it('of one status said by many at once are one', async () => {
    const lead_id = await kit.sell('acme')
    const dispositions = DISPOSITIONS.map((status) => ({ lead_id, status, at: '2026-03-02T20:00:00Z' }))
    const batch = () => kit.read('POST', '/v1/buyer/dispositions:batch', 'acme', { dispositions })
    const answers = await Promise.all(Array.from({ length: 6 }, batch))
    const recorded = answers.flatMap(({ body }) => body.results).filter(({ result }) => result === 'recorded')
    expect(recorded).toHaveLength(DISPOSITIONS.length)
    expect(await rowsOf(lead_id)).toHaveLength(DISPOSITIONS.length)
  })
})

describe('returns', () => {
  const giveBack = (body: object, key = 'acme') => kit.read('POST', '/v1/buyer/returns', key, body)

  it('are asked for once, by the terms of the sale, and told in the sales', async () => {
    const lead_id = await kit.sell('acme')
    const asked = { lead_id, reason_code: 'wrong_number', note: 'nobody there' }
    const [first, again] = [await giveBack(asked), await giveBack(asked)]
    expect([first.status, first.body.state]).toEqual([200, 'approved'])
    expect(again.body).toEqual(first.body)
    const { body } = await get(`/v1/buyer/returns/${first.body.id}`, 'acme')
    expect(body).toMatchObject({ lead_id, contract: 'acme', price: '20.00', note: 'nobody there', why: null })
    expect(JSON.stringify(body)).not.toMatch(/mill|"14\.00"|clawback/)
    const sold = (await get('/v1/buyer/sales?limit=1000', 'acme')).body.items
    expect(sold.find((one: { lead_id: string }) => one.lead_id === lead_id).returned).toBe(true)
    expect((await get('/v1/buyer/returns', 'acme')).body.items).toMatchObject([{ lead_id, state: 'approved' }])
    const [row] = (await get('/v1/source/leads?limit=1000&status=sold', 'mill')).body.items.filter(
      (one: { lead_id: string }) => one.lead_id === lead_id,
    )
    expect(row).toMatchObject({ returned: true, payout: '14.00', earned: '0.00' })
  })

  it('of others, of unknown leads and beyond the terms are refused', async () => {
    const [mine, theirs] = [await kit.sell('acme'), await kit.sell('bolt')]
    const reason_code = 'wrong_number'
    expect((await giveBack({ lead_id: theirs, reason_code })).status).toBe(404)
    expect((await giveBack({ lead_id: theirs, contract: 'bolt', reason_code })).status).toBe(404)
    expect((await giveBack({ lead_id: NOBODY, reason_code })).status).toBe(404)
    expect((await giveBack({ lead_id: mine, reason_code: 'eaten' })).body.detail).toMatch(/There is no reason "eaten"/)
    expect((await giveBack({ lead_id: theirs, reason_code }, 'bolt')).status).toBe(409)
    const given = (await giveBack({ lead_id: mine, reason_code })).body.id
    expect((await get(`/v1/buyer/returns/${given}`, 'bolt')).status).toBe(404)
    expect((await get('/v1/buyer/returns', 'bolt')).body.items).toEqual([])
  })
})

describe('the closed loop', () => {
  it('leads from what buyers say of their leads back to the channels that they came by', async () => {
    const own = await PortalKit.open()
    try {
      const reporter = new Reporter({ db: own.kit.db, sealer, clock, log: () => {} })
      const leads = [await own.sell('acme', withSub('fb')), await own.sell('acme', withSub('fb'))]
      leads.push(await own.sell('bolt', withSub('tv')), await own.refuse(withSub('tv')))
      await reporter.pass()
      const span = { from: new Date(Date.now() - 86_400_000), to: new Date(Date.now() + 86_400_000) }
      const report = async () => {
        const rows = await reportOf(own.kit.db, { ...span, by: ['source', 'sub1'], per: null, zone: 'UTC' })
        return rows!.map(({ sub1, copies, contact_rate, disposed_revenue }) => [
          ...[sub1, copies, contact_rate, disposed_revenue],
        ])
      }
      expect(await report()).toEqual([
        ['fb', 2, 0, '0.00'],
        ['tv', 1, 0, '0.00'],
      ])
      const say = (lead_id: string, status: string, key: string, more = {}) =>
        own.read('POST', '/v1/buyer/dispositions', key, { lead_id, status, ...more })
      await say(leads[0]!, 'contacted', 'acme')
      await say(leads[0]!, 'sold', 'acme', { value: '900.00' })
      await say(leads[0]!, 'funded', 'acme', { value: '950.00' })
      await say(leads[1]!, 'bad_contact', 'acme')
      await say(leads[2]!, 'not_interested', 'bolt')
      expect(await reporter.pass()).toBe(1)
      expect(await reporter.pass()).toBe(0)
      expect(await report()).toEqual([
        ['fb', 2, 0.5, '950.00'],
        ['tv', 1, 1, '0.00'],
      ])
      // Said again it changes nothing; a correction is counted.
      await say(leads[0]!, 'funded', 'acme', { value: '950.00' })
      expect(await reporter.pass()).toBe(0)
      await say(leads[0]!, 'funded', 'acme', { value: '960.00' })
      expect(await reporter.pass()).toBe(1)
      const range = `from=${span.from.toISOString()}&to=${span.to.toISOString()}`
      const { body } = await own.read('GET', `/v1/source/report?${range}`, 'mill')
      expect(body.rows).toMatchObject([
        { campaign: 'solar', sub1: 'fb', received: 2, sold: 2, payout: '28.00', contacted: 1, converted: 1 },
        { campaign: 'solar', sub1: 'tv', received: 2, sold: 1, payout: '14.00', contact_rate: 1, converted: 0 },
      ])
      expect(JSON.stringify(body)).not.toMatch(/"960|revenue|margin|acme|bolt|"40\.00"/)
      expect((await own.read('GET', `/v1/source/report?${range}`, 'forge')).body.rows).toEqual([])
      expect((await own.read('GET', `/v1/source/report?${range}&by=buyer`, 'mill')).status).toBe(422)
      expect((await own.read('GET', `/v1/source/report?${range}`, 'mill-test')).status).toBe(403)
    } finally {
      await own.close()
    }
  })
})

describe('contracts', () => {
  const patch = (id: string, body: object, key = 'acme') => kit.read('PATCH', `/v1/buyer/contracts/${id}`, key, body)

  it("are a buyer's own, with what remains of their caps", async () => {
    const { body } = await get('/v1/buyer/contracts', 'acme')
    expect(body.contracts).toHaveLength(1)
    expect(body.contracts[0]).toMatchObject({
      ...{ id: 'acme', campaign: 'solar', state: 'active', paused_by: null, price: '18.00' },
      caps: [{ scope: 'contract', owner: 'acme', window: 'day', limit: 50, remaining: 50 }],
      self_service: {
        pause: true,
        caps: { day: { min: 10, max: 100 }, hour: { min: null, max: null }, 'spend.day': { min: null, max: '500.00' } },
      },
    })
  })

  it('are paused and resumed by the buyer, which lifts its own pause alone', async () => {
    expect((await patch('acme', { paused: true, note: 'full' })).body).toMatchObject({ id: 'acme', paused: true })
    expect((await patch('acme', { paused: true })).body.paused).toBe(true)
    const state = async () => {
      const { state, paused_by } = (await get('/v1/buyer/contracts', 'acme')).body.contracts[0]
      return [state, paused_by]
    }
    expect(await state()).toEqual(['paused', 'buyer'])
    const [set] = await kit.kit.ask('select count(*)::int as n from switches where lifted_at is null')
    expect(set).toEqual({ n: 1 })
    await kit.kit.ask(
      `insert into switches (kind, contract, set_by, set_role) values ('pause', 'acme', 'eve', 'operator')`,
    )
    expect((await patch('acme', { paused: false })).body.paused).toBe(true)
    expect(await state()).toEqual(['paused', 'operator'])
    await kit.kit.ask(`update switches set lifted_at = now() where set_by = 'eve'`)
    expect(await state()).toEqual(['active', null])
    const audit = await kit.kit.ask(
      `select actor, role, action, subject from audit where subject = 'contract acme' order by id`,
    )
    expect(audit).toEqual([
      { actor: 'acme', role: 'buyer', action: 'pause', subject: 'contract acme' },
      { actor: 'acme', role: 'buyer', action: 'resume', subject: 'contract acme' },
    ])
  })

  it('have their caps changed within what the operator allows, all or nothing', async () => {
    const wrong = await patch('acme', { caps: { day: 5, month: 10, hour: 3, spend: { day: '500.01' } } })
    expect([wrong.status, wrong.body.faults]).toEqual([
      422,
      [
        { path: 'body.caps.day', message: 'may not be under 10.' },
        { path: 'body.caps.month', message: 'is for your operator to change.' },
        { path: 'body.caps.spend.day', message: 'may not be over 500.00.' },
      ],
    ])
    expect((await patch('acme', { caps: { day: null } })).status).toBe(422)
    const right = await patch('acme', { caps: { day: 60, hour: 3, spend: { day: '400.00' } }, note: 'more' })
    expect([right.status, right.body]).toEqual([
      200,
      { id: 'acme', paused: false, caps: { day: 60, hour: 3, spend: { day: '400.00' } } },
    ])
    expect((await patch('acme', { caps: { day: 60, hour: null } })).body.caps.hour).toBeUndefined()
    expect((await patch('acme', { caps: { day: 60 } })).status).toBe(200)
    await kit.refresh()
    const { caps } = (await get('/v1/buyer/contracts', 'acme')).body.contracts[0]
    expect(caps).toMatchObject([
      { window: 'day', limit: 60 },
      { window: 'day', kind: 'spend', limit: '400.00' },
    ])
    const [last] = await kit.kit.ask(`select actor, role, action from audit where version is not null order by id desc`)
    expect(last).toEqual({ actor: 'acme', role: 'buyer', action: 'caps of contracts.acme' })
  })

  it('of others are not there, and what is not allowed is refused', async () => {
    expect((await patch('bolt', { paused: true })).status).toBe(404)
    expect((await patch('nobody', { paused: true })).status).toBe(404)
    expect((await patch('bolt', { paused: true }, 'bolt')).status).toBe(403)
    expect((await patch('bolt', { caps: { day: 1 } }, 'bolt')).status).toBe(422)
  })
})

describe('blocks', () => {
  const set = (body: object, key = 'acme') => kit.read('POST', '/v1/buyer/blocks', key, body)

  it('are set by the name under which the buyer knows the source, seen and lifted by who set them', async () => {
    const { status, body } = await set({ source: 'S-2', sub: 'sub1', value: 'fb', note: 'wrong numbers' })
    expect([status, body]).toMatchObject([201, { source: 'S-2', sub: 'sub1', value: 'fb', contract: null }])
    const [row] = await kit.kit.ask('select source, buyer, set_by, set_role from switches where id = $1', [body.id])
    expect(row).toEqual({ source: 'forge', buyer: 'acme', set_by: 'acme', set_role: 'buyer' })
    const on = (await switchesOn(kit.kit.db)).map((one) => ({ ...one, until: null }))
    const [acme, bolt] = kit.snapshot.campaigns.get('solar')!.contracts
    const denied = (contract: Contract, source: string, sub1: string) =>
      new Switches(on).deny(contract, 'solar', source, { subs: { sub1 } } as unknown as Lead, wallMs(Date.now()))
    expect(denied(acme!, 'forge', 'fb')).toMatch(/^blocked/)
    expect([denied(acme!, 'forge', 'tv'), denied(acme!, 'mill', 'fb'), denied(bolt!, 'forge', 'fb')]).toEqual([
      ...[null, null, null],
    ])
    expect((await get('/v1/buyer/blocks', 'acme')).body.items).toEqual([body])
    expect((await get('/v1/buyer/blocks', 'bolt')).body.items).toEqual([])
    expect((await kit.read('DELETE', `/v1/buyer/blocks/${body.id}`, 'bolt')).status).toBe(404)
    expect((await kit.read('DELETE', `/v1/buyer/blocks/${body.id}`, 'acme')).status).toBe(204)
    expect((await kit.read('DELETE', `/v1/buyer/blocks/${body.id}`, 'acme')).status).toBe(404)
  })

  it('name only sources that it buys from, and its own contracts', async () => {
    const { status, body } = await set({ source: 'mill', contract: 'bolt', value: 'x' })
    expect([status, body.faults.map(({ path }: { path: string }) => path)]).toEqual([
      422,
      ['body.sub', 'body.source', 'body.contract'],
    ])
  })
})

describe('statements', () => {
  const ALL = 'from=2026-01-01T00:00:00Z&to=2090-01-01T00:00:00Z'

  it('are what a recount of the ledger gives, whatever the period', async () => {
    const pay = (cause: 'deposit' | 'withdrawal' | 'adjustment', amount: number, reference: string) =>
      enterBalance(kit.kit.db, {
        ...{ buyer: 'acme', currency: 'USD', cause, amount: micros(amount), reference, note: null, by: 'test' },
      })
    const leads = [await kit.sell('acme', {}, 31, 20), await kit.sell('acme', { source: 'forge' }, 7, 3)]
    await pay('deposit', 500e6, 'w1')
    await pay('withdrawal', -20.5e6, 'w2')
    await pay('adjustment', 1e6, 'w3')
    await kit.kit.ask(
      `insert into entries (lead_id, copy, cause, account, amount, currency) values
        ($1, 0, 'return', 'buyer:acme', 31000000, 'USD'), ($1, 0, 'return', 'source:mill', -20000000, 'USD'),
        ($1, 0, 'return', 'margin', -11000000, 'USD')`,
      [leads[0]],
    )
    await kit.kit.ask(
      `select enter_balance('acme', 'USD', 'return', 31000000, 'return of a lead', $1::uuid, null, 'ledger')`,
      [leads[0]],
    )
    const micro = (text: string) => Math.round(Number(text) * 1e6)
    for (const [key, account] of [
      ['acme', 'buyer:acme'],
      ['bolt', 'buyer:bolt'],
      ['mill', 'source:mill'],
      ['forge', 'source:forge'],
    ] as const) {
      const side = account.split(':')[0]
      const [entered] = await kit.kit.ask<{ n: number }>(
        `select coalesce(sum(amount), 0) as n from entries where account = $1`,
        [account],
      )
      const [paid] = await kit.kit.ask<{ n: number }>(
        `select coalesce(sum(amount), 0) as n from balance_entries where 'buyer:' || buyer = $1 and lead_id is null`,
        [account],
      )
      const { body } = await get(`/v1/${side}/statement?${ALL}`, key)
      const [whole] = body.accounts
      expect(micro(whole.closing), key).toBe(entered!.n + paid!.n)
      const [middle] = await kit.kit.ask<{ at: Date }>(
        'select entered_at as at from entries where account = $1 order by entered_at offset 1 limit 1',
        [account],
      )
      const at = middle!.at.toISOString()
      const [before] = (await get(`/v1/${side}/statement?from=2026-01-01T00:00:00Z&to=${at}`, key)).body.accounts
      const [after] = (await get(`/v1/${side}/statement?from=${at}&to=2090-01-01T00:00:00Z`, key)).body.accounts
      expect(after.opening).toBe(before.closing)
      expect(after.closing).toBe(whole.closing)
      expect(before.sales.count + after.sales.count).toBe(whole.sales.count)
      const lines = Object.values(whole).filter((line) => typeof line === 'object') as { amount: string }[]
      expect(lines.reduce((sum, { amount }) => sum + micro(amount), micro(whole.opening))).toBe(micro(whole.closing))
    }
    const [acme] = (await get(`/v1/buyer/statement?${ALL}`, 'acme')).body.accounts
    expect(acme).toMatchObject({
      returns: { count: 3, amount: '71.00' },
      deposits: { count: 1, amount: '500.00' },
      withdrawals: { count: 1, amount: '-20.50' },
      adjustments: { count: 1, amount: '1.00' },
    })
    const csv = readCsv((await get(`/v1/buyer/statement?${ALL}&format=csv`, 'acme')).body)
    expect(csv.at(-1)).toEqual(['USD', 'closing', '', acme.closing])
  })

  it('of a test key are refused, and so is a period of which the days are gone', async () => {
    expect((await get(`/v1/source/statement?${ALL}`, 'mill-test')).status).toBe(403)
    await kit.kit.ask(`update retention set kept_from = '2026-02-01'`)
    expect((await get(`/v1/buyer/statement?${ALL}`, 'acme')).status).toBe(422)
    await kit.kit.ask('update retention set kept_from = null')
  })
})

describe('leads of a source', () => {
  it('are its own, in pages, with what became of them and without who bought them', async () => {
    const own = await PortalKit.open()
    try {
      const mine = [await own.sell('acme', { leadRef: 'R-1' }), await own.refuse(), await own.sell('bolt', {}, 40, 30)]
      await own.sell('acme', { source: 'forge' })
      const test = await own.sell('acme', { test: true })
      await own.read('POST', '/v1/buyer/dispositions', 'acme', { lead_id: mine[0], status: 'contacted' })
      const first = (await own.read('GET', '/v1/source/leads?limit=2', 'mill')).body
      const rest = (await own.read('GET', `/v1/source/leads?limit=2&after=${first.next}`, 'mill')).body
      const items = [...first.items, ...rest.items]
      expect(items.map(({ lead_id }) => lead_id)).toEqual(mine)
      expect(rest.next).toBeNull()
      expect(items[0]).toEqual({
        ...{ lead_id: mine[0], lead_ref: 'R-1', campaign: 'solar', status: 'sold', reasons: [], copies: 1 },
        ...{ payout: '14.00', earned: '14.00', currency: 'USD', returned: false, dispositions: ['contacted'] },
        ...{ received_at: expect.any(String), decided_at: expect.any(String) },
      })
      expect(items[1]).toMatchObject({ status: 'unsold', reasons: ['no_buyer'], earned: '0.00', copies: 0 })
      expect(JSON.stringify(items)).not.toMatch(/acme|bolt|"20\.00"|"40\.00"|forge/)
      const tested = (await own.read('GET', '/v1/source/leads', 'mill-test')).body
      expect(tested.items.map(({ lead_id }: { lead_id: string }) => lead_id)).toEqual([test])
      expect((await own.read('GET', '/v1/source/leads?lead_ref=R-1', 'mill')).body.items).toHaveLength(1)
      expect((await own.read('GET', '/v1/source/leads?lead_ref=R-1', 'forge')).body.items).toHaveLength(0)
    } finally {
      await own.close()
    }
  })
})

describe('keys', () => {
  it("are noted as used, and a key that is no longer in force is nobody's", async () => {
    expect(new Set(kit.used).size).toBeGreaterThanOrEqual(4)
    await kit.publishing.urgent({ label: 'root', role: 'admin' }, 'test', null, (config) => {
      const next = structuredClone(config) as { buyers: { bolt: { keys?: unknown } } }
      delete next.buyers.bolt.keys
      return next as never
    })
    await kit.refresh()
    expect((await get('/v1/buyer/sales', 'bolt')).status).toBe(401)
  })

  it('that ask too fast are told to wait', async () => {
    const own = await PortalKit.open()
    onTestFinished(() => own.close())
    const statuses = await Promise.all(
      Array.from({ length: 150 }, async () => (await own.read('GET', '/v1/buyer/blocks', 'acme')).status),
    )
    expect(new Set(statuses)).toEqual(new Set([200, 429]))
    expect((await own.read('GET', '/v1/source/leads', 'forge')).status).toBe(200)
  })
})

describe('too many requests at once', () => {
  it('wait for each other, as many as may, and the rest are told to come again', async () => {
    const own = await PortalKit.open({ patient: true })
    const holder = await own.kit.pool.connect()
    try {
      await holder.query('begin')
      await holder.query('lock table switches in access exclusive mode')
      // Three have a connection, 64 wait.
      const asked = Array.from({ length: 80 }, () => own.read('GET', '/v1/buyer/blocks', 'acme'))
      const refused: number[] = []
      await new Promise<void>((enough) => {
        for (const one of asked)
          void one.then(({ status }) => {
            refused.push(status)
            if (refused.length === 13) enough()
          })
      })
      expect(refused).toEqual(Array(13).fill(503))
      await holder.query('commit')
      const statuses = (await Promise.all(asked)).map(({ status }) => status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(67)
      const { status, body } = await own.read('GET', '/v1/openapi.json', null)
      expect([status, body.openapi]).toEqual([200, '3.1.0'])
    } finally {
      holder.release()
      await own.close()
    }
  })

  it('heavy ones are done one after the other', async () => {
    const gate = new Gate(1, 2)
    const done: number[] = []
    const release: (() => void)[] = []
    const work = (n: number) => () =>
      new Promise<number>((end) =>
        release.push(() => {
          done.push(n)
          end(n)
        }),
      )
    const runs = [1, 2, 3, 4].map((n) => gate.run(work(n)))
    expect(await runs[3]).toBeNull()
    for (const n of [0, 1, 2]) {
      expect(release).toHaveLength(n + 1)
      release[n]!()
      await runs[n]
      await new Promise(setImmediate)
    }
    expect(done).toEqual([1, 2, 3])
    const failed = gate.run(() => Promise.reject(new Error('no')))
    await expect(failed).rejects.toThrow('no')
    const last = gate.run(work(5))
    release[3]!()
    expect(await last).toBe(5)
  })
})
