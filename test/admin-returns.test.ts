/** Returns and postbacks in an operator's hands: asked for, decided, found, told again, each with its line in the audit. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AdminKit } from './admin-kit/server.ts'
import { final, intent, received, result, type TestEngine } from './ledger-kit.ts'

let kit: AdminKit
let engine: TestEngine
beforeAll(async () => {
  kit = await AdminKit.open()
  engine = await kit.kit.engine()
  await kit.kit.ask("insert into postback_routes values ('solar', 'mill')")
})
afterAll(() => kit.close())

async function sold(): Promise<string> {
  const row = received({ source: 'mill' })
  await engine.ledger.received(row)
  await engine.ledger.intent(intent(row.leadId), [])
  await engine.ledger.result(final(row.leadId, [result()], { trace: '' }, { source: 'mill' }))
  return row.leadId
}

async function post(path: string, body: object, key = 'operator') {
  const reply = await kit.ask({ method: 'POST', path: `/admin/v1/${path}`, key, body })
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what they expect
  return [reply.status, (await reply.json()) as any] as const
}
const audited = async (subject: string) =>
  (await kit.get('/admin/v1/audit')).items
    .filter((one: { subject: string }) => one.subject.includes(subject))
    .map(({ actor, action }: Record<string, string>) => `${actor}: ${action}`)

it('a return is asked for on behalf of its buyer, found, and decided once', async () => {
  const leadId = await sold()
  const asked = { contract: 'acme', reason_code: 'wrong_number', note: 'the buyer called' }
  const [refused, problem] = await post(`leads/${leadId}:return`, asked)
  expect([refused, problem.detail]).toEqual([409, 'Contract acme agreed on no returns.'])
  expect((await post(`leads/${leadId}:return`, { ...asked, contract: 'bolt' }))[0]).toBe(404)
  expect((await post('leads/nobody:return', asked))[0]).toBe(404)
  const [status, { id, state }] = await post(`leads/${leadId}:return`, { ...asked, beyond_terms: true })
  expect([status, state]).toEqual([200, 'asked'])
  expect(await post(`leads/${leadId}:return`, { ...asked, beyond_terms: true })).toMatchObject([200, { id }])
  const found = async (query: string) => (await kit.get(`/admin/v1/returns?${query}`, 'viewer')).items
  expect(await found('state=asked&buyer=acme')).toMatchObject([
    { id, lead_id: leadId, price: '20.00', clawback: '0.00' },
  ])
  expect(JSON.stringify(await found(''))).not.toContain('called')
  expect(await kit.get(`/admin/v1/returns/${id}`, 'operator')).toMatchObject({ note: 'the buyer called' })
  expect((await kit.ask({ method: 'GET', path: `/admin/v1/returns/${id}`, key: 'viewer' })).status).toBe(403)
  const decide = (approve: boolean, key = 'operator') =>
    post(`returns/${id}:decide`, { approve, note: 'she is right' }, key)
  expect((await decide(true, 'viewer'))[0]).toBe(403)
  expect(await decide(true)).toEqual([200, { id, state: 'approved', why: 'she is right' }])
  expect(await decide(true)).toEqual([200, { id, state: 'approved', why: 'she is right' }])
  expect((await decide(false))[0]).toBe(409)
  expect((await post(`returns/${leadId}:decide`, { approve: true }))[0]).toBe(404)
  expect(await audited(leadId)).toEqual(['operator: return approved', 'operator: return asked'])
  expect(await found('state=approved')).toMatchObject([{ clawback: '14.00', decided_by: 'operator operator' }])
  const page = await kit.get(`/admin/v1/leads/${leadId}`)
  expect(page).toMatchObject({ status: 'sold', payout: '0.00', returns: [{ id, state: 'approved' }] })
  const text = await kit.ask({ method: 'GET', path: `/admin/v1/leads/${leadId}?format=text` })
  expect(await text.text()).toContain('gives back 20.00 USD')
})

it('postbacks that were given up are listed and told again', async () => {
  const [first, second] = [await sold(), await sold()]
  const listed = async (query: string) => (await kit.get(`/admin/v1/postbacks?${query}`, 'viewer')).items
  expect(await listed('source=mill')).toEqual([])
  await kit.kit.ask("update postbacks set dead_at = now(), failure = 'http_503' where lead_id = any($1)", [
    [first, second],
  ])
  const dead = await listed('source=mill&limit=1')
  expect(dead).toMatchObject([{ state: 'dead', failure: 'http_503', event: 'sold', source: 'mill' }])
  expect(await post('postbacks:replay', { ids: [dead[0].id] })).toEqual([200, { replayed: 1 }])
  expect(await post('postbacks:replay', { source: 'mill' })).toEqual([200, { replayed: 1 }])
  expect(await post('postbacks:replay', { source: 'forge' })).toEqual([200, { replayed: 0 }])
  expect((await post('postbacks:replay', {}))[0]).toBe(422)
  expect((await post('postbacks:replay', { source: 'mill' }, 'viewer'))[0]).toBe(403)
  expect(await listed(`lead_id=${first}`)).toMatchObject([{ state: 'waiting', attempts: 0 }])
  expect((await listed('state=waiting&source=mill')).length).toBeGreaterThanOrEqual(2)
  expect(await audited('source mill')).toEqual(['operator: replay', 'operator: replay'])
})
