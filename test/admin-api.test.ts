/** The admin plane's API: its document, every operation as the document says, ETags, keys. */
import { Validator } from '@seriousme/openapi-schema-validator'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../engine/clock.ts'
import { Lists } from '../engine/lists/lists.ts'
import { goodConfig, sha256, TOKEN } from './admin-kit/configs.ts'
import { type Described, describedIn, faultOf, requestOf, SPOILERS } from './admin-kit/requests.ts'
import { AdminKit } from './admin-kit/server.ts'
import { fuzzRuns } from './fuzz.ts'
import { intent, received, sealer } from './ledger-kit.ts'

let kit: AdminKit
let operations: readonly Described[]
// biome-ignore lint/suspicious/noExplicitAny: the document as it comes
let document: any
beforeAll(async () => {
  kit = await AdminKit.open()
  document = await (await kit.ask({ method: 'GET', path: '/admin/v1/openapi.json', key: null })).json()
  operations = describedIn(document)
})
afterAll(() => kit.close())

/** What is there for sure, by the name of the parameter. */
const NAMES = ['id', 'version', 'key', 'lead_id', 'ping_id', 'switch']
const REPORT = { from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z', by: 'source,state', zone: 'UTC' }
const KNOWN = {
  ...{ id: 'acme', version: '1', from: '1', to: '1', format: 'json', 'If-None-Match': '*' },
  lead_id: '0197cafe-0000-7000-8000-000000000001',
  ping_id: 'pg_0197cafe-0000-7000-8000-000000000002',
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into what they expect
const bodyOf = async (reply: Response | Promise<Response>): Promise<any> => (await reply).json()

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(document)
    expect(result.errors).toBeUndefined()
    expect(result.valid).toBe(true)
  })

  it('names each operation once, and every status that it may answer', () => {
    const ids = operations.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBe(kit.operations.length)
    for (const { id, responses, open } of operations) {
      expect(Object.keys(responses), id).toEqual(expect.arrayContaining(open ? ['200', '503'] : ['401', '403', '503']))
    }
  })
})

describe('requests made from the document', () => {
  const runs = fuzzRuns(6, 200)

  it('are answered as it says, good ones and bad ones', async () => {
    // What is made up may well be published: that is nobody else's ledger.
    const own = await AdminKit.open()
    const answered = new Map<string, Set<number>>()
    for (const operation of operations) {
      const statuses = new Set<number>()
      answered.set(operation.id, statuses)
      const known = { ...KNOWN, ...(operation.id === 'report' ? REPORT : {}) }
      const good = requestOf(operation, known)
      const send = async (request: { path: string; headers: object; body: string | undefined }) => {
        const reply = await own.ask({ method: operation.method, ...request, headers: { ...request.headers } })
        statuses.add(reply.status)
        expect(await faultOf(operation, reply), JSON.stringify(request).slice(0, 600)).toBeNull()
      }
      await fc.assert(fc.asyncProperty(good, send), { numRuns: runs })
      if (operation.path.includes('{')) {
        const [strange] = fc.sample(
          requestOf(operation, Object.fromEntries(NAMES.map((name) => [name, '\u0000\u{1f600}/..']))),
          1,
        )
        await send(strange!)
      }
      for (const spoil of Object.values(SPOILERS)) {
        // Nothing else is wrong with it, so that what is spoilt is what is refused.
        const [sample] = fc.sample(requestOf(operation, known, true), 1)
        await send(operation.body ? spoil(sample!) : { ...spoil(sample!), body: undefined })
      }
    }
    await own.close()
    const bodied = operations.filter(({ body }) => body).map(({ id }) => id)
    for (const id of bodied) expect([...answered.get(id)!], id).toEqual(expect.arrayContaining([400, 415]))
  }, 300_000)
})

describe('a lost update', () => {
  it('is refused, and what is there now is told', async () => {
    await kit.ask({ method: 'DELETE', path: '/admin/v1/draft' })
    const path = '/admin/v1/contracts/acme'
    const etag = await kit.etag(path)
    const patch = (price: string, seen: string) =>
      kit.ask({ method: 'PATCH', path, headers: { 'if-match': seen }, body: { price } })
    const both = await Promise.all([patch('19.00', etag), patch('21.00', etag)])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412])
    const now = both.find(({ status }) => status === 412)!.headers.get('etag')!
    expect(now).toBe(await kit.etag(path))
    expect((await patch('22.00', now)).status).toBe(200)
    expect((await kit.ask({ method: 'PATCH', path, body: { price: '1.00' } })).status).toBe(428)
    const draft = await kit.etag('/admin/v1/draft')
    expect(
      (await kit.ask({ method: 'PUT', path: '/admin/v1/draft', headers: { 'if-match': draft }, body: goodConfig() }))
        .status,
    ).toBe(200)
    expect(
      (await kit.ask({ method: 'PUT', path: '/admin/v1/draft', headers: { 'if-match': draft }, body: {} })).status,
    ).toBe(412)
  })
})

describe('a day of an operator', () => {
  it('makes a buyer and its contract, retunes the plan, sees what changes, publishes, goes back', async () => {
    await kit.ask({ method: 'DELETE', path: '/admin/v1/draft' })
    const make = (path: string, body: object) =>
      kit.ask({ method: 'PUT', path, key: 'operator', headers: { 'if-none-match': '*' }, body })
    expect((await make('/admin/v1/buyers/crane', { zone: 'UTC' })).status).toBe(201)
    expect((await make('/admin/v1/buyers/crane', { zone: 'UTC' })).status).toBe(412)
    const contract = { ...goodConfig().contracts.acme, buyer: 'crane', price: '25.00' }
    expect((await make('/admin/v1/contracts/crane', contract)).status).toBe(201)
    const faulty = await make('/admin/v1/contracts/drake', { ...contract, pryce: '1.00' })
    expect(faulty.status).toBe(422)
    expect((await bodyOf(faulty)).faults).toEqual([
      { path: 'contracts.drake.pryce', message: 'is not a known key: Did you mean "price"?' },
    ])
    const plan = '/admin/v1/campaigns/solar/plan'
    const tiers = [{ tier: 'open', strategy: 'auction', ping_ms: 500 }]
    const tuned = await kit.ask({
      method: 'PUT',
      path: plan,
      headers: { 'if-match': await kit.etag(plan) },
      body: tiers,
    })
    expect(tuned.status).toBe(200)
    const check = await kit.get('/admin/v1/draft/check')
    expect(check).toMatchObject({ base: 1, faults: [], touched_leads: 0 })
    expect(check.changes.map(({ words }: { words: string }) => words)).toEqual([
      'buyer crane was added: {"zone":"UTC"}',
      'campaign solar: plan.open.ping_ms 300 -> 500',
      expect.stringMatching(/^contract crane was added: /),
    ])
    const published = await kit.ask({
      method: 'POST',
      path: '/admin/v1/publish',
      key: 'operator',
      body: { note: 'crane joins' },
    })
    expect([published.status, await published.json()]).toMatchObject([201, { version: 2 }])
    expect((await kit.get('/admin/v1/versions')).items[0]).toMatchObject({
      version: 2,
      published_by: 'operator',
      note: 'crane joins',
    })
    expect((await kit.ask({ method: 'POST', path: '/admin/v1/rollback/1', body: {} })).status).toBe(201)
    expect(await kit.get('/admin/v1/diff?from=1&to=3')).toEqual({ changes: [] })
    expect((await kit.get('/admin/v1/diff?from=2&to=3')).changes).toHaveLength(3)
    expect((await kit.get('/admin/v1/audit')).items[0]).toMatchObject({
      actor: 'admin',
      action: 'rollback to 1',
      version: 3,
    })
    expect((await kit.ask({ method: 'POST', path: '/admin/v1/rollback/99', body: {} })).status).toBe(404)
  })

  it('pages through many', async () => {
    const first = await kit.get('/admin/v1/contracts?limit=1')
    expect(first).toMatchObject({ items: [{ id: 'acme', value: { price: '18.00' } }], next: 'acme' })
    expect(first.items[0].value.delivery.headers.Authorization).toMatch(/^sealed:/)
    expect(JSON.stringify(first)).not.toContain(TOKEN)
    expect(await kit.get('/admin/v1/contracts?limit=5&after=acme')).toMatchObject({
      items: [{ id: 'bolt' }],
      next: null,
    })
  })
})

describe('a doubt', () => {
  it('is settled by the list of its buyer', async () => {
    const { ledger } = await kit.kit.engine()
    const row = received()
    const { leadId } = row
    await ledger.received(row)
    await ledger.intent(intent(leadId), [])
    await kit.kit.ask(
      `update intents set state = 'in_doubt', doubt = 'timeout', doubted_at = now() where lead_id = $1`,
      [leadId],
    )
    await kit.kit.ask(`update leads set status = 'pending' where id = $1`, [leadId])
    const around = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()
    const body = {
      from: around(-1),
      to: around(1),
      rows: [{ lead_id: leadId, price: '20.00' }, { buyer_reference: 'X' }],
    }
    const path = '/admin/v1/buyers/acme:reconcile'
    const reply = await kit.ask({ method: 'POST', path, key: 'operator', body })
    expect(reply.status).toBe(200)
    expect(await bodyOf(reply)).toMatchObject({
      settled: [{ lead_id: leadId, contract: 'acme', state: 'in_doubt', price: '20.00' }],
      theirs_only: [{ lead_id: null, buyer_reference: 'X', price: null }],
      resolved: 1,
    })
    expect((await kit.ask({ method: 'POST', path, key: 'viewer', body })).status).toBe(403)
  })

  it('is resolved by hand, once, and the audit says by whom', async () => {
    const { ledger } = await kit.kit.engine()
    const row = received()
    const { leadId } = row
    await ledger.received(row)
    expect(await ledger.intent(intent(leadId), [])).toBe('INTENDED')
    const path = `/admin/v1/leads/${leadId}:resolve`
    const resolve = async (verdict: object, key = 'operator') => {
      const reply = await kit.ask({ method: 'POST', path, key, body: { contract: 'acme', ...verdict } })
      return [reply.status, await bodyOf(reply)] as const
    }
    expect((await resolve({ verdict: 'sold' }))[0]).toBe(409)
    await kit.kit.ask(
      `update intents set state = 'in_doubt', doubt = 'timeout', doubted_at = now() where lead_id = $1`,
      [leadId],
    )
    await kit.kit.ask(`update leads set status = 'pending' where id = $1`, [leadId])
    expect(await resolve({ verdict: 'sold', price: '18.00' })).toMatchObject([
      200,
      { code: 'RESOLVED', state: 'accepted', status: 'sold' },
    ])
    expect(await resolve({ verdict: 'no_sale' })).toMatchObject([200, { code: 'SETTLED', state: 'accepted' }])
    const page = await kit.get(`/admin/v1/leads/${leadId}`)
    expect(page).toMatchObject({ status: 'sold', sales: [{ contract: 'acme', price: '18.00', price_cut: true }] })
    const rows = await kit.kit.ask('select by, verdict, applied from resolutions where lead_id = $1 order by id', [
      leadId,
    ])
    expect(rows).toEqual([
      { by: 'operator operator', verdict: 'accepted', applied: true },
      { by: 'operator operator', verdict: 'rejected', applied: false },
    ])
    expect((await resolve({ contract: 'nobody', verdict: 'sold' }))[0]).toBe(404)
  })
})

describe('a prepaid balance', () => {
  it('is entered once by its reference, and only for a buyer that there is', async () => {
    const enter = async (buyer: string, body: object, key = 'operator') => {
      const reply = await kit.ask({ method: 'POST', path: `/admin/v1/buyers/${buyer}:enter`, key, body })
      return [reply.status, await bodyOf(reply)] as const
    }
    const deposit = { cause: 'deposit', amount: '500.00', currency: 'USD', reference: 'wire-1' }
    const [, first] = await enter('acme', deposit)
    const before = Number(first.paid_in) - 500
    expect(first.entered).toBe(true)
    expect(await enter('acme', deposit)).toEqual([200, { paid_in: first.paid_in, entered: false }])
    const withdrawal = { ...deposit, cause: 'withdrawal', amount: '120.50', reference: 'wire-2' }
    expect(await enter('acme', withdrawal)).toEqual([200, { paid_in: (before + 379.5).toFixed(2), entered: true }])
    expect((await enter('nobody', deposit))[0]).toBe(404)
    expect((await enter('acme', { ...deposit, amount: '-1' }))[0]).toBe(422)
    expect((await enter('acme', deposit, 'viewer'))[0]).toBe(403)
  })
})

describe('an event', () => {
  it('is listed, read, and taken on by whoever says so first', async () => {
    const watch = (findings: object[]) =>
      kit.kit.ask(`select watch_alert('doubts', 'doubts_open', '{ops}', 0, $1)`, [JSON.stringify(findings)])
    const facts = { count: 3, oldest: '2026-03-02T12:00:00Z' }
    await watch([{ subject: 'contract acme', episode: '', facts }])
    const { items } = await kit.get('/admin/v1/events?state=open&alert=doubts')
    expect(items).toMatchObject([{ on: 'doubts_open', subject: 'contract acme', facts, ended_at: null }])
    expect(items[0].letters).toMatchObject([{ recipient: 'ops', state: 'waiting', attempts: 0 }])
    const take = async (key: string) => {
      const path = `/admin/v1/events/${items[0].id}:acknowledge`
      return bodyOf(kit.ask({ method: 'POST', path, key, body: {} }))
    }
    expect(await take('operator')).toMatchObject({ acknowledged_by: 'operator' })
    expect(await take('admin')).toMatchObject({ acknowledged_by: 'operator' })
    expect((await kit.get('/admin/v1/audit')).items[0]).toMatchObject({
      actor: 'operator',
      action: 'acknowledge',
      changes: ['doubts: contract acme'],
    })
    await watch([])
    expect(await kit.get('/admin/v1/events?state=open&alert=doubts')).toEqual({ items: [], next: null })
    expect((await kit.get(`/admin/v1/events/${items[0].id}`)).ended_at).not.toBeNull()
    expect((await kit.ask({ method: 'GET', path: '/admin/v1/events/999999' })).status).toBe(404)
  })

  it('is tried on every recipient of an alert in the draft', async () => {
    const put = (path: string, body: object) =>
      kit.ask({ method: 'PUT', path: `/admin/v1/${path}`, headers: { 'if-none-match': '*' }, body })
    await put('recipients/ops', { webhook: { url: 'https://ops.invalid/hook' } })
    await put('alerts/doubts', { on: 'doubts_open', to: ['ops'] })
    const test = (alert: string, key = 'operator') =>
      kit.ask({ method: 'POST', path: `/admin/v1/alerts/${alert}:test`, key })
    expect(await bodyOf(test('doubts'))).toEqual({ recipients: [{ recipient: 'ops', heard: false, said: 'dns' }] })
    expect((await test('nobody')).status).toBe(404)
    expect((await test('doubts', 'viewer')).status).toBe(403)
    await kit.ask({ method: 'DELETE', path: '/admin/v1/draft' })
  })
})

describe('a suppression list', () => {
  const at = '/admin/v1/suppression/dnc'
  const ask = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const reply = await kit.ask({ method, path, key: 'operator', headers, ...(body ? { body } : {}) })
    const text = await reply.text()
    return [reply.status, text === '' ? null : JSON.parse(text), reply.headers.get('etag') ?? ''] as const
  }
  const made = { 'if-none-match': '*' }
  const said = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).slice(0, 2)

  it('is made, changed and deleted, and its entries are nowhere in the clear', async () => {
    await kit.ask({ method: 'DELETE', path: '/admin/v1/draft' })
    const whole = { of: 'phone', entries: ['512-555-0101', '(512) 555 0102', '', '+1 512 555 0101'] }
    const [status, shown, etag] = await ask('PUT', at, whole, made)
    expect([status, shown]).toMatchObject([201, { name: 'dnc', of: 'phone', hash: null, entries: 2, generation: 1 }])
    expect((await ask('PUT', at, whole, made))[0]).toBe(412)
    expect((await ask('PUT', at, whole))[0]).toBe(428)
    expect(await said('POST', `${at}:add`, { entries: '5125550103\n5125550101\n' })).toMatchObject([
      200,
      { entries: 3 },
    ])
    expect(await said('POST', `${at}:add`, { entries: ['5125550104', 'nobody', ''] })).toMatchObject([
      422,
      { faults: [{ path: 'body.entries', message: expect.stringContaining('The first: 2.') }] },
    ])
    expect(await said('POST', `${at}:remove`, { entries: ['5125550101', '5125550199'] })).toMatchObject([
      200,
      { entries: 2 },
    ])
    expect((await ask('PUT', at, whole, { 'if-match': etag }))[0]).toBe(412)
    const lists = new Lists({ db: kit.kit.db, clock: systemClock(), seal: sealer, masters: new Map(), log: () => {} })
    await lists.load({ lists: new Map([['dnc', { of: 'phone', hash: null, file: null }]]) })
    expect((await kit.get('/admin/v1/suppression')).items).toMatchObject([{ name: 'dnc', entries: 2 }])
    const kept = await kit.kit.ask(
      `select l::text, encode(p.numbers, 'escape') as n, (select json_agg(a)::text from audit a) from lists l join list_parts p on p.list = l.name`,
    )
    expect(JSON.stringify(kept)).not.toMatch(/555\W?010/)
    expect((await kit.get('/admin/v1/audit')).items[0]).toMatchObject({
      ...{ actor: 'operator', action: 'list remove', subject: 'list dnc', changes: ['3 -> 2 entries'] },
    })
    expect((await ask('POST', '/admin/v1/suppression/none:add', { entries: [] }))[0]).toBe(404)
    expect((await kit.ask({ method: 'PUT', path: at, key: 'viewer', headers: made, body: whole })).status).toBe(403)
  })

  it('is kept while a version or the draft names it, and holds what that says', async () => {
    const put = await kit.ask({ method: 'PUT', path: '/admin/v1/lists/dnc', headers: made, body: { of: 'phone' } })
    expect(put.status).toBe(201)
    const etag = await kit.etag(at)
    expect((await ask('DELETE', at, undefined, { 'if-match': etag }))[0]).toBe(409)
    expect((await kit.ask({ method: 'POST', path: '/admin/v1/publish', body: {} })).status).toBe(201)
    expect((await ask('DELETE', at, undefined, { 'if-match': etag }))[0]).toBe(409)
    expect(await said('PUT', at, { of: 'phone', hash: 'md5', entries: [] }, { 'if-match': etag })).toMatchObject([
      422,
      { faults: [{ path: 'body.of' }] },
    ])
    const list = await kit.etag('/admin/v1/lists/dnc')
    await kit.ask({ method: 'DELETE', path: '/admin/v1/lists/dnc', headers: { 'if-match': list } })
    expect((await kit.ask({ method: 'POST', path: '/admin/v1/publish', body: {} })).status).toBe(201)
    expect((await ask('DELETE', at, undefined, { 'if-match': '"other"' }))[0]).toBe(412)
    expect((await ask('DELETE', at, undefined, { 'if-match': etag }))[0]).toBe(204)
    expect((await ask('GET', at))[0]).toBe(404)
  })
})

describe('urgent switches', () => {
  const act = async (path: string, body: object, key = 'operator') => {
    const reply = await kit.ask({ method: 'POST', path, key, body })
    return [reply.status, await bodyOf(reply)] as const
  }

  it('pause and resume, block and lift', async () => {
    const [paused, shown] = await act('/admin/v1/contracts/acme:pause', {
      until: '2090-01-01T00:00:00Z',
      note: 'complaints',
    })
    expect([paused, shown]).toMatchObject([201, { kind: 'pause', contract: 'acme', set_by: 'operator' }])
    expect((await act('/admin/v1/contracts/nobody:pause', {}))[0]).toBe(404)
    expect((await act('/admin/v1/contracts/acme:pause', { until: 'tomorrow' }))[0]).toBe(422)
    const [, { faults }] = await act('/admin/v1/switches', { buyer: 'nobody', sub: 'sub1' })
    expect(faults.map(({ path }: { path: string }) => path)).toEqual(['body.value', 'body.buyer'])
    const [blocked, block] = await act('/admin/v1/switches', { buyer: 'acme', sub: 'sub1', value: 'x' })
    expect(blocked).toBe(201)
    const on = async () => (await kit.get('/admin/v1/switches')).items.map(({ kind }: { kind: string }) => kind)
    expect(await on()).toEqual(['pause', 'block'])
    expect(await act('/admin/v1/contracts/acme:resume', {})).toEqual([200, { lifted: 1 }])
    expect((await kit.ask({ method: 'DELETE', path: `/admin/v1/switches/${block.id}` })).status).toBe(204)
    expect(await on()).toEqual([])
  })

  it('change a cap on the spot, and in a draft that others are at', async () => {
    await kit.ask({ method: 'DELETE', path: '/admin/v1/draft' })
    const path = '/admin/v1/contracts/bolt'
    await kit.ask({ method: 'PATCH', path, headers: { 'if-match': await kit.etag(path) }, body: { price: '21.00' } })
    const [status, published] = await act('/admin/v1/contracts/bolt:caps', {
      caps: { day: 5, hour: 2 },
      note: 'slow down',
    })
    expect(status).toBe(201)
    expect(published.changes.map(({ words }: { words: string }) => words)).toEqual([
      'contract bolt: caps.day 50 -> 5',
      'contract bolt: caps.hour was added (2)',
    ])
    const draft = await kit.get('/admin/v1/draft')
    expect(draft).toMatchObject({
      base: published.version,
      changes: [{ words: 'contract bolt: price 20.00 -> 21.00' }],
    })
    expect((await act('/admin/v1/contracts/bolt:caps', { caps: { day: -1 } }))[0]).toBe(422)
    expect((await act('/admin/v1/contracts/nobody:caps', { caps: { day: 1 } }))[0]).toBe(404)
  })
})

describe('keys', () => {
  it('are shown once, kept as a hash, two live at a time, and tell when they were used', async () => {
    const path = '/admin/v1/sources/mill/keys'
    const make = (body: object) => kit.ask({ method: 'POST', path, body })
    const made = await bodyOf(make({ label: 'second' }))
    expect(made.key).toMatch(/^gps_[\w-]{43}$/)
    expect((await make({})).status).toBe(409)
    expect((await make({ test: true })).status).toBe(201)
    const listed = await kit.get(path)
    expect(listed).toHaveLength(3)
    expect(listed[1]).toEqual({ key_id: made.key_id, label: 'second', test: false, role: null, used_at: null })
    expect(sha256(made.key).startsWith(made.key_id)).toBe(true)
    expect(JSON.stringify(await kit.get('/admin/v1/draft'))).not.toContain(made.key)
    expect((await kit.ask({ method: 'DELETE', path: `${path}/${made.key_id}` })).status).toBe(204)
    expect((await kit.ask({ method: 'DELETE', path: `${path}/${made.key_id}` })).status).toBe(404)
    expect((await kit.ask({ method: 'POST', path: '/admin/v1/sources/none/keys', body: {} })).status).toBe(404)
    const viewer = await bodyOf(
      kit.ask({ method: 'POST', path: '/admin/v1/keys', body: { label: 'eve', role: 'viewer' } }),
    )
    expect(viewer.key).toMatch(/^gpa_/)
    await kit.uses.stop()
    const used = await kit.kit.ask<{ sha256: string }>('select sha256 from key_uses')
    expect(used.map((row) => row.sha256)).toContain(sha256('admin'))
  })
})

describe('where a file governs', () => {
  it('changes are refused in words, and reading goes on', async () => {
    const governed = await AdminKit.open({ governs: false })
    try {
      const reply = await governed.ask({ method: 'POST', path: '/admin/v1/publish', body: {} })
      expect(reply.status).toBe(409)
      expect((await bodyOf(reply)).detail).toMatch(/A file governs this engine/)
      expect((await governed.ask({ method: 'DELETE', path: '/admin/v1/draft' })).status).toBe(409)
      expect(await governed.get('/admin/v1/config')).toMatchObject({ version: 1 })
    } finally {
      await governed.close()
    }
  })
})
