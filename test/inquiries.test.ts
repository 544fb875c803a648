/** Doubts that are settled by asking: the same post again, the buyer's status address, and a signed callback; the first evidence wins. */
import { createHmac } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { headerOf, jsonOf, type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { acceptBody, reply } from '../bench/mock-temper.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { Versions } from '../engine/configuration/versions.ts'
import { Inquiries } from '../engine/doubts/inquiries.ts'
import { resolveDoubt, type Verdict, type Which } from '../engine/doubts/resolve.ts'
import type { EdgeRequest } from '../engine/edge.ts'
import { takeCallback } from '../engine/inbound/callbacks.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import { leadJson } from '../rules/lead.ts'
import { wallMs } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { LOOPBACK, wireLead } from './buyers-kit.ts'
import { configWith } from './delivery-kit.ts'
import { clock, final, intended, LedgerKit, received, result, sealer, type TestEngine } from './ledger-kit.ts'

const SECRET_BYTES = Buffer.alloc(32, 5)
const SECRET = `whsec_${SECRET_BYTES.toString('base64')}`
const ACCEPT = acceptBody('B-99', null, null)
const REJECT = '{"accept":false,"reason":"bad zip"}'

let kit: LedgerKit
let engine: TestEngine
let mock: MockBuyers
let wire: OpenBuyersWire
let script: Script

beforeAll(async () => {
  kit = await LedgerKit.open()
  engine = await kit.engine()
})
afterAll(() => kit?.close())
beforeEach(async () => {
  mock = await startMockBuyers({ script: (request) => script(request), keep: true })
  wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK })
})
afterEach(async () => {
  await wire.close()
  await mock.close()
})

function snapshotWith(contract: object, delivery: object = {}): Snapshot {
  const to = { ping_url: undefined, post_url: `${mock.url}/acme/post`, secrets: [SECRET], ...delivery }
  const sources = { demo: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [] } }
  const compiled = compileVersion({ ...configWith(to, { price: '20.00', ...contract }), sources }, 1)
  if (!compiled.ok) throw new Error(compiled.faults.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return compiled.snapshot
}

/** A lead whose post to acme is in doubt for longer than it could take. */
async function doubtful(): Promise<string> {
  const row = received()
  const lead = { ...row, ...sealer.seal(row.leadId, leadJson(wireLead().lead)) }
  const leadId = await intended(engine, lead, { postBy: wallMs(Date.now() + 4_000) })
  await engine.ledger.result(final(leadId, [result({ state: 'in_doubt' })], { status: 'pending' }))
  await kit.ask(`update intents set post_by = now() - interval '1 minute' where lead_id = $1`, [leadId])
  return leadId
}

const resolve = (leadId: string, which: Which, verdict: Verdict, by: string) => {
  const settings = {
    db: kit.db,
    versions: new Versions(kit.db),
    hot: new MemoryStore('1'),
    clock,
    engine: engine.id,
    hotLater: () => {},
  }
  return resolveDoubt(settings, leadId, which, verdict, by)
}
const conceal = (_: string, text: string) => text

function inquiries(snapshot: Snapshot): Inquiries {
  const settings = { db: kit.db, clock, wire, seal: sealer, resolve, conceal, log: () => {}, firstMs: 60_000 }
  return new Inquiries({ ...settings, snapshot: () => snapshot, mayAct: () => true })
}

/** How the lead and its post stand, and every verdict that was given. */
async function standing(leadId: string) {
  const [lead] = await kit.ask<{ status: string; payout: string }>('select status, payout from leads where id = $1', [
    leadId,
  ])
  const verdicts = await kit.ask<{ verdict: string; applied: boolean; by: string }>(
    'select verdict, applied, by from resolutions where lead_id = $1 order by id',
    [leadId],
  )
  const sales = await kit.ask('select 1 from sales where lead_id = $1', [leadId])
  const said = verdicts.map(({ verdict, applied, by }) => `${verdict} by ${by}${applied ? '' : ', disputed'}`)
  return { status: lead!.status, state: (await kit.states(leadId))['acme'], sales: sales.length, verdicts: said }
}

/** No doubt of an earlier test is asked about. */
const forgetOthers = () => kit.ask(`update intents set state = 'rejected' where state = 'in_doubt'`)
beforeEach(forgetOthers)

describe('the same post again, where the contract is idempotent', () => {
  it('settles by the buyer’s answer, under the same key, with the same words', async () => {
    const leadId = await doubtful()
    script = () => reply(0, ACCEPT)
    expect(await inquiries(snapshotWith({ idempotent: true })).pass()).toBe(1)
    const [request] = mock.requests
    expect(headerOf(request!, 'idempotency-key')).toBe(`${leadId}:acme`)
    expect(jsonOf(request!)).toMatchObject({ lead_id: leadId, price: '20.00', buyer_reference: 'B-77' })
    expect(await standing(leadId)).toEqual({
      ...{ status: 'sold', state: 'accepted', sales: 1, verdicts: ['accepted by same-key retry'] },
    })
  })

  it('or by a rejection in the buyer’s words', async () => {
    const leadId = await doubtful()
    script = () => reply(0, REJECT)
    expect(await inquiries(snapshotWith({ idempotent: true })).pass()).toBe(1)
    expect(await standing(leadId)).toMatchObject({ status: 'unsold', state: 'rejected', sales: 0 })
  })

  it.each<[string, Script]>([
    ['a duplicate, which is no rejection', () => reply(0, '{"accept":false,"reason":"duplicate"}')],
    ['a key that was changed since', () => reply(0, '', 401)],
    ...(['500', 'reset', 'half_body', 'garbage'] as const).map((fault: Fault): [string, Script] => [
      fault,
      () => faulty(fault, reply(0, ACCEPT)),
    ]),
  ])('stays in doubt after %s', async (_, said) => {
    const leadId = await doubtful()
    script = said
    expect(await inquiries(snapshotWith({ idempotent: true })).pass()).toBe(0)
    expect(await standing(leadId)).toMatchObject({ status: 'pending', state: 'in_doubt', sales: 0, verdicts: [] })
  })

  it('is tried again ever more rarely, by one engine at a time, and never before the post can have ended', async () => {
    const leadId = await doubtful()
    script = () => reply(0, '', 503)
    const [one, two] = [inquiries(snapshotWith({ idempotent: true })), inquiries(snapshotWith({ idempotent: true }))]
    await Promise.all([one.pass(), two.pass()])
    await one.pass()
    expect(mock.counts.post).toBe(1)
    const dueIn = () =>
      kit.ask<{ tries: number; s: number }>(
        'select tries, round(extract(epoch from due_at - now()))::int as s from inquiries where lead_id = $1',
        [leadId],
      )
    expect((await dueIn())[0]).toMatchObject({ tries: 1 })
    expect(Math.abs((await dueIn())[0]!.s - 60)).toBeLessThanOrEqual(2)
    await kit.ask('update inquiries set due_at = now() where lead_id = $1', [leadId])
    await two.pass()
    expect(mock.counts.post).toBe(2)
    expect(Math.abs((await dueIn())[0]!.s - 240)).toBeLessThanOrEqual(2)
    const fresh = await doubtful()
    await kit.ask(`update intents set post_by = now() + interval '2 s' where lead_id = $1`, [fresh])
    await one.pass()
    expect(mock.counts.post).toBe(2)
  })

  it('never where the contract does not say so', async () => {
    const leadId = await doubtful()
    script = () => reply(0, ACCEPT)
    expect(await inquiries(snapshotWith({})).pass()).toBe(0)
    expect([mock.counts.post, (await standing(leadId)).state]).toEqual([0, 'in_doubt'])
  })
})

describe('the buyer’s status address', () => {
  const asked = { status_url: 'STATUS', status: undefined }

  it('is asked for the lead alone, and its answer settles', async () => {
    const leadId = await doubtful()
    script = () => reply(0, ACCEPT)
    const snapshot = snapshotWith({}, { ...asked, status_url: `${mock.url}/acme/status` })
    expect(await inquiries(snapshot).pass()).toBe(1)
    expect(mock.requests[0]!.path).toBe('/acme/status')
    expect(jsonOf(mock.requests[0]!)).toEqual({ lead_id: leadId, contract: 'acme', buyer_reference: 'B-77' })
    expect(await standing(leadId)).toMatchObject({ status: 'sold', verdicts: ['accepted by status query'] })
  })

  it('is asked after a retry that said nothing, by GET and in the buyer’s own shape', async () => {
    const leadId = await doubtful()
    script = ({ path }) =>
      path.startsWith('/state') ? reply(0, '{"state":"REFUSED","why":"no capacity"}') : reply(0, '', 503)
    const status = {
      ...{ method: 'GET', format: 'query', body: { id: '{lead_id}' } },
      reply: { accept: { path: 'state', equals: 'TAKEN' }, reason: 'why' },
    }
    const snapshot = snapshotWith({ idempotent: true }, { status_url: `${mock.url}/state/post`, status })
    expect(await inquiries(snapshot).pass()).toBe(1)
    expect(mock.requests.map(({ path }) => path)).toEqual(['/acme/post', `/state/post?id=${leadId}`])
    expect(await standing(leadId)).toMatchObject({ status: 'unsold', verdicts: ['rejected by status query'] })
  })
})

describe('a configuration that asks wrongly', () => {
  it.each([
    [{ status: { method: 'GET' } }, 'delivery.status says how to ask, and status_url is missing'],
    [{ status_url: 'ftp://acme.example/' }, 'delivery.status_url "ftp://acme.example/" is no absolute http or https'],
    [{ status_url: 'http://10.0.0.1/' }, 'delivery.status_url leads to 10.0.0.1, where buyers may not be'],
    [{ status_url: 'https://acme.example/', status: { body: { id: '{leed_id}' } } }, 'delivery.status.body'],
  ])('%j', (delivery, says) => {
    expect(() => snapshotWith({}, delivery)).toThrow(says)
  })
})

describe('a signed callback', () => {
  const send = (
    leadId: string,
    body: string,
    more: { id?: string; at?: number; secret?: Buffer; token?: string } = {},
  ) => {
    const {
      id = `${leadId}:acme`,
      at = Math.floor(Date.now() / 1000),
      secret = SECRET_BYTES,
      token = `${leadId}:acme`,
    } = more
    const signature = `v1,${createHmac('sha256', secret).update(`${id}.${at}.${body}`).digest('base64')}`
    const webhook = [id, String(at), signature] as const
    const request = { params: [token], headers: { webhook }, body: Buffer.from(body) } as unknown as EdgeRequest
    return takeCallback({ clock, snapshot: snapshotWith({}), resolve, conceal }, request)
  }

  it('settles a doubt, at the address that the post named; said again it changes nothing', async () => {
    const leadId = await doubtful()
    expect(await send(leadId, ACCEPT)).toEqual({ status: 200, body: '{"settled":true,"state":"accepted"}' })
    expect(await send(leadId, ACCEPT)).toEqual({ status: 200, body: '{"settled":false,"state":"accepted"}' })
    expect(await standing(leadId)).toEqual({
      ...{ status: 'sold', state: 'accepted', sales: 1, verdicts: ['accepted by callback'] },
    })
  })

  it('that contradicts what stands opens a dispute, once, and never sells', async () => {
    const leadId = await doubtful()
    await send(leadId, REJECT)
    for (let i = 0; i < 2; i++) expect((await send(leadId, ACCEPT)).body).toBe('{"settled":false,"state":"rejected"}')
    expect(await standing(leadId)).toEqual({
      ...{ status: 'unsold', state: 'rejected', sales: 0 },
      verdicts: ['rejected by callback', 'accepted by callback, disputed'],
    })
  })

  it('is refused where it is not by the contract’s secret, stale, or about another lead', async () => {
    const leadId = await doubtful()
    const other = await doubtful()
    const now = Math.floor(Date.now() / 1000)
    const forged = [
      { secret: Buffer.alloc(32, 6) },
      { at: now - 301 },
      { at: now + 301 },
      { id: `${other}:acme` },
      { token: `${other}:acme` },
      { token: `${leadId}:nobody`, id: `${leadId}:nobody` },
      { token: 'nonsense', id: 'nonsense' },
    ]
    for (const more of forged) expect((await send(leadId, ACCEPT, more)).status, JSON.stringify(more)).toBe(401)
    expect((await standing(leadId)).state).toBe('in_doubt')
    expect((await standing(other)).state).toBe('in_doubt')
  })

  it('says what to do where it says nothing, or comes too early, or is about no post', async () => {
    const leadId = await doubtful()
    for (const body of ['', '{}', '{"accept":"perhaps"}', '{"accept":false,"reason":"duplicate"}'])
      expect((await send(leadId, body)).status, body).toBe(400)
    const open = await intended(engine)
    expect(await send(open, ACCEPT)).toMatchObject({ status: 409, headers: { 'retry-after': '5' } })
    expect((await send('0197a0b0-1111-7222-8333-944455556666', ACCEPT)).status).toBe(404)
  })
})
