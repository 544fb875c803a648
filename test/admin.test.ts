/** The admin plane over real sockets: keys, pages, problems, the waterfall word for word. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { pageOperations } from '../engine/admin/pages.ts'
import { type AdminPort, type LeadPage, type StatusPage, traceLineOf } from '../engine/admin/port.ts'
import { type Admin, type AdminOptions, createAdmin } from '../engine/admin/server.ts'
import { waterfall } from '../engine/admin/waterfall.ts'
import type { Log } from '../engine/log.ts'

const LEAD = '0197cafe-0000-7000-8000-000000000001'

const PAGE: LeadPage = {
  lead_id: LEAD,
  status: 'sold',
  campaign: 'solar',
  source: 'demo',
  version: 3,
  mode: 'sync',
  test: false,
  lead_ref: 'S-1',
  received_at: '2026-03-02T20:00:00.000Z',
  decided_at: '2026-03-02T20:00:00.162Z',
  owner: 1,
  term: 1,
  currency: 'USD',
  payout: '6.00',
  copies: 1,
  reasons: [],
  seats: [
    { tier: 'house', contract: 'elm', buyer: 'elm-co', outcome: 'not_asked', reason: 'filter_state', price: null },
    { tier: 'house', contract: 'fir', buyer: 'fir-co', outcome: 'not_asked', reason: 'cap_day', price: null },
    { tier: 'open', contract: 'gum', buyer: 'gum-co', outcome: 'lost', reason: 'tie_priority', price: null },
    { tier: 'open', contract: 'hop', buyer: 'hop-co', outcome: 'sold', reason: 'won', price: '15.00' },
    { tier: 'open', contract: 'ivy', buyer: 'ivy-co', outcome: 'lost', reason: 'no_bid:not_interested', price: null },
  ],
  trace: [
    '   0 > hold fir',
    '   0 < full fir day',
    '   0 > ping gum',
    '   0 > ping hop',
    '   0 > ping ivy',
    '  10 < noBid ivy not_interested',
    '  30 < bid gum 15.00',
    '  60 < bid hop 15.00',
    '  60 > hold hop',
    '  60 < held hop',
    '  60 > intent hop',
    '  60 < intended hop',
    '  60 > post hop 15.00',
    ' 160 < accepted hop H-1',
    ' 160 > result sold',
    ' 160 < durable',
    ' 160 > answer sold payout 6.00',
    ' 160 > commit hop',
    ' 160 > settle',
  ].map(traceLineOf),
  intents: [
    {
      contract: 'hop',
      buyer: 'hop-co',
      copy: 1,
      term: 1,
      attempt: 1,
      state: 'accepted',
      reason: null,
      price: '15.00',
      payout: '6.00',
      held_at: '2026-03-02T20:00:00.060Z',
      post_by: '2026-03-02T20:00:01.500Z',
      ended_at: '2026-03-02T20:00:00.161Z',
      buyer_reference: 'H-1',
    },
  ],
  sales: [
    {
      copy: 1,
      contract: 'hop',
      buyer: 'hop-co',
      price: '15.00',
      payout: '6.00',
      price_cut: false,
      sold_at: '2026-03-02T20:00:00.161Z',
      buyer_reference: 'H-1',
    },
  ],
  entries: [
    { copy: 1, cause: 'sale', account: 'buyer:hop-co', amount: '-15.00', entered_at: '2026-03-02T20:00:00.161Z' },
    { copy: 1, cause: 'sale', account: 'source:demo', amount: '6.00', entered_at: '2026-03-02T20:00:00.161Z' },
    { copy: 1, cause: 'sale', account: 'margin', amount: '9.00', entered_at: '2026-03-02T20:00:00.161Z' },
  ],
  returns: [],
  resolutions: [],
}

const GOLDEN = `Lead ${LEAD}  sold
  campaign  solar
  source    demo, its lead_ref S-1
  version   3
  received  2026-03-02T20:00:00.000Z, sync
  decided   2026-03-02T20:00:00.162Z, after 162 ms
  owner     engine 1, term 1
  payout    6.00 USD for 1 copy

Timeline, in ms since the lead opened (> done, < heard)
     0 > hold fir
     0 < full fir day
     0 > ping gum
     0 > ping hop
     0 > ping ivy
    10 < noBid ivy not_interested
    30 < bid gum 15.00
    60 < bid hop 15.00
    60 > hold hop
    60 < held hop
    60 > intent hop
    60 < intended hop
    60 > post hop 15.00
   160 < accepted hop H-1
   160 > result sold
   160 < durable
   160 > answer sold payout 6.00
   160 > commit hop
   160 > settle

Seats
  house  elm  elm-co  not_asked  filter_state
  house  fir  fir-co  not_asked  cap_day
  open   gum  gum-co  lost       tie_priority
  open   hop  hop-co  sold       won                    15.00
  open   ivy  ivy-co  lost       no_bid:not_interested

Posts
  hop  copy 1  attempt 1.1  accepted  15.00 USD  held +60 ms  post by +1500 ms  ended +161 ms  reference H-1

Sales
  copy 1  hop  hop-co  pays 15.00 USD  source earns 6.00 USD  sold +161 ms  reference H-1

Money
  copy 1  sale  buyer:hop-co  -15.00 USD
  copy 1  sale  source:demo   6.00 USD
  copy 1  sale  margin        9.00 USD
`

describe('the waterfall', () => {
  it('tells who was asked, what they said, when, why each seat ended, and the money', () => {
    expect(waterfall(PAGE)).toBe(GOLDEN)
  })

  it('shows a lead that is still under way', () => {
    const { lead_id, campaign, source, version, mode, received_at, owner, currency } = PAGE
    const underWay = { lead_id, campaign, source, version, mode, received_at, owner, currency }
    const nothing = {
      seats: [],
      trace: [],
      intents: [],
      sales: [],
      entries: [],
      returns: [],
      resolutions: [],
      reasons: [],
      lead_ref: null,
    }
    const text = waterfall({
      ...underWay,
      ...nothing,
      status: 'received',
      test: true,
      decided_at: null,
      term: 2,
      payout: '0.00',
      copies: 0,
    })
    expect(text).toBe(`Lead ${LEAD}  received
  campaign  solar
  source    demo
  version   3
  received  2026-03-02T20:00:00.000Z, sync, test
  decided   not yet
  owner     engine 1, term 2
  payout    0.00 USD for 0 copies
`)
  })

  it('shows why a lead was not sold', () => {
    expect(waterfall({ ...PAGE, status: 'unsold', reasons: ['no_buyer'] })).toContain(
      `Lead ${LEAD}  unsold: no_buyer\n`,
    )
  })

  it('shows what came back', () => {
    const decided = { decided_by: 'operator ann', decided_at: '2026-03-04T09:00:00.000Z' }
    const asked = { asked_by: 'buyer hop-co', asked_at: '2026-03-03T09:00:00.000Z', reason_code: 'wrong_number' }
    const money = { state: 'approved', price: '15.00', clawback: '6.00' } as const
    const one = { id: 'r', copy: 1, contract: 'hop', buyer: 'hop-co', ...asked, ...decided, ...money }
    expect(waterfall({ ...PAGE, returns: [one] })).toContain(`
Returns
  copy 1  hop  hop-co  approved  wrong_number  gives back 15.00 USD  of it from the source 6.00 USD  asked 2026-03-03T09:00:00.000Z by buyer hop-co  decided 2026-03-04T09:00:00.000Z by operator ann
`)
  })

  it('lets no buyer write to the terminal or start a line', () => {
    const trace = [traceLineOf('  10 < noBid ivy \u001b[2Jno\n   0 > post hop \u202e')]
    const text = waterfall({ ...PAGE, trace })
    expect(text).toContain('  10 < noBid ivy ?[2Jno?   0 > post hop ?\n')
  })

  it('takes only lines that the trace has', () => {
    expect(traceLineOf('12345 > settle')).toEqual({ at: 12_345, arrow: '>', text: 'settle' })
    expect(() => traceLineOf('settle')).toThrow('no line of a trace')
  })
})

const KEY = 'demo-admin'
const hashOf = (key: string) => createHash('sha256').update(key).digest('hex')
const keysOf = (...keys: string[]) => new Map(keys.map((key) => [hashOf(key), { label: key, role: 'admin' as const }]))
const STATUS: StatusPage = { ready: true, version: 3, epoch: 7, engines: [], queues: { ledger: 0 }, buyers: [] }
const HOT = { epoch: 7, counters: { 'contract:hop:day:count:2026-03-02': 1 }, paid: {}, tokens: [] }

const admins: Admin[] = []
afterEach(async () => {
  for (const admin of admins.splice(0)) await admin.close()
})

async function start(data: Partial<AdminPort> = {}, more: Partial<AdminOptions> = {}) {
  const logged: string[] = []
  const log: Log = (event) => void logged.push(event)
  const admin = await createAdmin({
    host: '127.0.0.1',
    port: 0,
    keys: () => keysOf('another', KEY),
    operations: pageOperations({
      leadPage: async (id) => (id === LEAD ? PAGE : null),
      hotDump: async () => HOT,
      status: async () => STATUS,
      metrics: async () => '# HELP a a\n',
      ...data,
    }),
    log,
    ...more,
  })
  admins.push(admin)
  const ask = (path: string, headers: Record<string, string> = { authorization: `Bearer ${KEY}` }, method = 'GET') =>
    fetch(`http://127.0.0.1:${admin.port}${path}`, { headers, method })
  return { admin, ask, logged }
}

describe('the admin plane', () => {
  it('shows a lead as JSON, and as a waterfall where text is asked for', async () => {
    const { ask } = await start()
    const path = `/admin/v1/leads/${LEAD}`
    const asJson = await ask(path)
    expect(asJson.headers.get('content-type')).toBe('application/json')
    expect(asJson.headers.get('cache-control')).toBe('no-store')
    expect(await asJson.json()).toEqual(PAGE)
    const asText = await ask(`${path}?format=text`)
    expect(asText.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await asText.text()).toBe(GOLDEN)
    const key = { authorization: `Bearer ${KEY}` }
    expect(await (await ask(path, { ...key, accept: 'text/plain' })).text()).toBe(GOLDEN)
    expect(await (await ask(`${path}?format=json`, { ...key, accept: 'text/plain' })).json()).toEqual(PAGE)
  })

  it('shows the hot store, the status and the metrics', async () => {
    const { ask } = await start()
    expect(await (await ask('/admin/v1/hot')).json()).toEqual(HOT)
    expect(await (await ask('/admin/v1/status')).json()).toEqual(STATUS)
    const metrics = await ask('/metrics')
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(await metrics.text()).toBe('# HELP a a\n')
  })

  it.each([
    ['none', {}],
    ['a wrong one', { authorization: 'Bearer wrong' }],
    ['its hash', { authorization: `Bearer ${hashOf(KEY)}` }],
    ['another scheme', { authorization: `Basic ${KEY}` }],
    ['a blank one', { authorization: 'Bearer ' }],
  ])('refuses a request with %s for a key', async (_, headers: Record<string, string>) => {
    const { ask } = await start()
    for (const path of ['/admin/v1/hot', '/admin/v1/status', `/admin/v1/leads/${LEAD}`]) {
      const reply = await ask(path, headers)
      expect(reply.status).toBe(401)
      expect(reply.headers.get('www-authenticate')).toBe('Bearer')
      expect(reply.headers.get('content-type')).toBe('application/problem+json')
    }
    expect((await ask('/healthz', headers)).status).toBe(200)
  })

  it('shows metrics without a key on loopback alone', async () => {
    const { ask } = await start()
    expect((await ask('/metrics', {})).status).toBe(200)
    const open = await start({}, { host: '0.0.0.0' })
    expect((await open.ask('/metrics', {})).status).toBe(401)
    expect((await open.ask('/metrics')).status).toBe(200)
  })

  it('takes a key that was added, and not one that was removed', async () => {
    let keys = keysOf(KEY)
    const { ask } = await start({}, { keys: () => keys })
    expect((await ask('/admin/v1/status')).status).toBe(200)
    keys = keysOf('new')
    expect((await ask('/admin/v1/status')).status).toBe(401)
    expect((await ask('/admin/v1/status', { authorization: 'bearer new' })).status).toBe(200)
  })

  it('says what is not there and what an address takes', async () => {
    const { ask } = await start()
    for (const path of ['/', '/admin', '/admin/v1/leads/', '/v1/leads/a', '//', '/metrics/', '/%zz'])
      expect((await ask(path)).status, path).toBe(404)
    for (const id of ['nonsense', '0197cafe-0000-7000-8000-00000000000f', "'; drop table leads --"]) {
      const reply = await ask(`/admin/v1/leads/${encodeURIComponent(id)}`)
      expect(reply.status, id).toBe(404)
      expect(await reply.json()).toMatchObject({ title: 'no such lead' })
    }
    const posted = await ask('/admin/v1/status', {}, 'POST')
    expect(posted.status).toBe(405)
    expect(posted.headers.get('allow')).toBe('GET, HEAD')
    const head = await ask('/admin/v1/status', undefined, 'HEAD')
    expect(head.status).toBe(200)
    expect(await head.text()).toBe('')
  })

  it('answers 503 and logs where a store is out of reach', async () => {
    const { ask, logged } = await start({ leadPage: () => Promise.reject(new Error('ECONNREFUSED 5125550100')) })
    const reply = await ask(`/admin/v1/leads/${LEAD}`)
    expect(reply.status).toBe(503)
    expect(await reply.text()).not.toContain('512')
    expect(logged).toEqual(['admin_request_failed'])
  })

  it('goes on after garbage, and closes while a client holds on', async () => {
    const { admin, ask } = await start()
    const socket = connect(admin.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume().write('\u0000\u0001 garbage\r\n\r\n')
    await once(socket, 'close')
    expect((await ask('/healthz')).status).toBe(200)
    const holding = connect(admin.port, '127.0.0.1')
    holding.on('error', () => {})
    holding.resume()
    await once(holding, 'connect')
    await admin.close()
    admins.length = 0
  })

  it('refuses a port in use with words for the operator', async () => {
    const { admin } = await start()
    await expect(start({}, { port: admin.port })).rejects.toThrow('another program has this port')
  })
})
