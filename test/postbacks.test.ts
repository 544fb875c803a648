/** Sources hear what became of their leads, at least once and under one id, whatever dies or fails meanwhile. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Kysely } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCourier } from '../buyers/courier.ts'
import type { LookupAll } from '../buyers/guard.ts'
import { readSecret, signature } from '../buyers/sign.ts'
import { systemClock } from '../engine/clock.ts'
import { exampleLead } from '../engine/example.ts'
import { postbackOutbox, postbacksOf, replayPostbacks } from '../engine/postbacks.ts'
import { createSealer } from '../engine/seal.ts'
import { openPool, queriesOver } from '../engine/store/postgres.ts'
import type { LedgerTables } from '../engine/store/tables.ts'
import { filledIn, MACROS, macrosIn, type PostbackFacts } from '../rules/postback.ts'
import { retryPauseMs } from '../rules/retry.ts'
import { micros } from '../rules/units.ts'
import { compileVersion } from '../rules/version.ts'
import { type Door, House, houseConfig, send } from './inbound-kit.ts'

const SECRET = `whsec_${Buffer.alloc(32, 'mill').toString('base64')}`

interface Told {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

let house: House
let config: object
let one: Door
let db: Kysely<LedgerTables>
let source: Server
let n = 5_000_000
const told: Told[] = []
const waiting: (() => void)[] = []
/** What the source's server answers to the next requests; `hang` never does. */
let answers: (number | 'hang')[] = []

const take = (request: IncomingMessage, response: ServerResponse) => {
  let body = ''
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => {
    told.push({ method: request.method!, url: new URL(request.url!, 'http://x'), headers: request.headers, body })
    const answer = answers.shift() ?? 200
    if (answer !== 'hang') response.writeHead(answer).end('ok')
    for (const wake of waiting.splice(0)) wake()
  })
}

/** Everything the source has been told of a lead, once it is so much. */
async function toldOf(leadId: string, count = 1): Promise<Told[]> {
  for (;;) {
    const of = told.filter(({ url, body }) => url.searchParams.get('lead') === leadId || body.includes(leadId))
    if (of.length >= count) return of
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
}

/** Once this failure is written down, it need not wait for its time. */
async function failedWith(leadId: string, failure: string): Promise<void> {
  const entry = async () => (await postbacksOf(db, { leadId }, 1))[0]!.failure
  await expect.poll(entry, { timeout: 10_000 }).toBe(failure)
}
const due = (leadId: string) => house.ask('update postbacks set due_at = now() where lead_id = $1', [leadId])
const lead = (more: object = {}) => ({ ...exampleLead(n++), ...more })
const post = (campaign: string, body: object, query = '', key = 'mill') =>
  send(`${one.origin}/v1/campaigns/${campaign}/leads${query}`, body, { key })

beforeAll(async () => {
  source = createServer(take)
  await new Promise<void>((up) => source.listen(0, '127.0.0.1', up))
  const origin = `http://127.0.0.1:${(source.address() as AddressInfo).port}`
  const url = `${origin}/pb?lead={lead_id}&ref={lead_ref}&click={click_id}&p={payout}&s={status}&x={sub1}&y={sub2}&e={event}`
  house = await House.open(
    (buyers) => {
      config = houseConfig(buyers, (config) => {
        const { solar } = config.campaigns
        config.campaigns.doubt = solar
        config.campaigns.nobody = { ...solar, floor: '500.00' }
        config.contracts['acme-doubt'] = {
          ...config.contracts.acme,
          campaign: 'doubt',
          delivery: { ...config.contracts.acme.delivery, post_url: `${buyers}/unsure/post` },
        }
        config.contracts['acme-nobody'] = { ...config.contracts.acme, campaign: 'nobody' }
        const campaigns = ['solar', 'doubt', 'nobody']
        config.sources.mill = {
          ...config.sources.mill,
          campaigns,
          postbacks: Object.fromEntries(campaigns.map((id) => [id, { url }])),
        }
        config.sources.other.postbacks = { solar: { url: `${origin}/hook`, method: 'POST', secrets: [SECRET] } }
      })
      return config
    },
    { buyers: { unsure: { post: { faults: { '503': 1 } } }, '*': { ping: { bid: { fixed: '20.00' } } } } },
  )
  const pool = openPool({ url: house.databaseUrl })
  db = queriesOver(pool)
  one = await house.engine()
})
afterAll(async () => {
  await db.destroy()
  await house.close()
  await new Promise((down) => source.close(down).closeAllConnections())
})

describe('an event', () => {
  it('fills its macros in, each as one encoded value', async () => {
    const { json } = await post('solar', lead({ lead_ref: 'R 1&x=2', click_id: 'c/7', sub1: 'ü{payout}' }))
    const [heard] = await toldOf(json.lead_id)
    expect(heard).toMatchObject({ method: 'GET', body: '' })
    expect(heard!.url.pathname).toBe('/pb')
    const { lead: id, ...rest } = Object.fromEntries(heard!.url.searchParams)
    expect(id).toBe(json.lead_id)
    expect(rest).toEqual({ ref: 'R 1&x=2', click: 'c/7', p: '14.00', s: 'sold', x: 'ü{payout}', y: '', e: 'sold' })
    expect(heard!.headers['webhook-signature']).toBeUndefined()
  })

  it('is signed as JSON where the source has a secret', async () => {
    const { json } = await post('solar', lead({ lead_ref: 'R-2' }), '', 'other')
    const [heard] = await toldOf(json.lead_id)
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signed } = heard!.headers
    expect(signed).toBe(signature([readSecret(SECRET)!], String(id), Number(at), heard!.body))
    const body = JSON.parse(heard!.body)
    expect(body).toMatchObject({ event: 'sold', event_id: id, lead_id: json.lead_id, lead_ref: 'R-2', payout: '14.00' })
    expect(Math.abs(Date.parse(body.at) - Date.now())).toBeLessThan(60_000)
  })

  it('tells an asynchronous lead that nobody bought; a synchronous one was told already', async () => {
    const later = await post('nobody', lead(), '?mode=async')
    expect(later.status).toBe(202)
    const [heard] = await toldOf(later.json.lead_id)
    expect(Object.fromEntries(heard!.url.searchParams)).toMatchObject({ e: 'resolved', s: 'unsold', p: '0.00' })
    const now = await post('nobody', lead())
    expect(now.json.status).toBe('unsold')
    expect(await house.ask('select * from postbacks where lead_id = $1', [now.json.lead_id])).toEqual([])
  })

  it('tells how a doubt ended, whoever ended it', async () => {
    const { json } = await post('doubt', lead())
    expect(json.status).toBe('pending')
    await house.ask(`select resolve_doubt(1, $1, 0, null, 'accepted', 'won', 'won', null, null, null, 'test')`, [
      json.lead_id,
    ])
    const [heard] = await toldOf(json.lead_id)
    expect(Object.fromEntries(heard!.url.searchParams)).toMatchObject({ e: 'resolved', s: 'sold', p: '14.00' })
  })

  it('of a test lead is none', async () => {
    const { json } = await post('solar', lead({ test: 1 }))
    expect(await house.ask('select * from postbacks where lead_id = $1', [json.lead_id])).toEqual([])
  })
})

describe('what is not heard', () => {
  it('is sent again, later and later, under the same id', async () => {
    answers = [500, 302]
    const { json } = await post('solar', lead())
    await failedWith(json.lead_id, 'http_500')
    await due(json.lead_id)
    await failedWith(json.lead_id, 'http_302')
    await due(json.lead_id)
    const heard = await toldOf(json.lead_id, 3)
    expect(new Set(heard.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect([1, 2, 3, 10, 11, 500].map(retryPauseMs)).toEqual([5e3, 10e3, 20e3, 1800e3, 1800e3, 1800e3])
  })

  it('is given up after a day, and sent again where an operator says so', async () => {
    answers = [503]
    const { json } = await post('solar', lead())
    await toldOf(json.lead_id)
    const entry = async () => (await postbacksOf(db, { leadId: json.lead_id }, 10))[0]!
    await failedWith(json.lead_id, 'http_503')
    answers = [503]
    await house.ask(`update postbacks set queued_at = now() - interval '25 hours', due_at = now() where lead_id = $1`, [
      json.lead_id,
    ])
    await expect.poll(async () => (await entry()).state, { timeout: 10_000 }).toBe('dead')
    expect((await postbacksOf(db, { state: 'dead', source: 'mill' }, 10)).map(({ leadId }) => leadId)).toContain(
      json.lead_id,
    )
    expect(await replayPostbacks(db, { label: 'ann', role: 'operator' }, [(await entry()).id])).toBe(1)
    await toldOf(json.lead_id, 3)
    await expect.poll(async () => (await entry()).state, { timeout: 10_000 }).toBe('sent')
  })

  it('goes nowhere inside the house, whatever its name says', async () => {
    const { port } = source.address() as AddressInfo
    const lookup: LookupAll = (_, __, found) => found(null, [{ address: '10.0.0.1', family: 4 }])
    const courier = createCourier({ clock: systemClock(), allowedCidrs: [], lookup })
    for (const origin of [`http://127.0.0.1:${port}`, 'http://postbacks.example'])
      expect(await courier.carry({ method: 'GET', origin, path: '/', headers: [], body: '' })).toEqual({
        failure: 'guard',
      })
    await courier.close()
  })
})

it('survives the processes that were about to say it', async () => {
  answers = ['hang']
  const { json } = await post('solar', lead())
  const [first] = await toldOf(json.lead_id)
  await one.program.kill9()
  const compiled = compileVersion(config, 1)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  const courier = createCourier({ clock: systemClock(), allowedCidrs: ['127.0.0.1/32'] })
  const seal = createSealer(new Map([[1, Buffer.alloc(32, 7)]]))
  const snapshot = () => compiled.snapshot
  const another = postbackOutbox({ db, clock: systemClock(), courier, seal, snapshot, log: () => {} })
  await another.pass()
  expect(await toldOf(json.lead_id)).toHaveLength(1)
  await due(json.lead_id)
  await another.pass()
  const heard = await toldOf(json.lead_id, 2)
  expect(heard[1]!.headers['webhook-id']).toBe(first!.headers['webhook-id'])
  await courier.close()
})

it('every macro has a value where the lead has one', () => {
  const facts: PostbackFacts = {
    eventId: 'e',
    event: 'returned',
    at: 0,
    leadId: 'l',
    leadRef: 'r',
    status: 'sold',
    payout: micros(-5_500_000),
    currency: 'USD',
    subs: { click_id: 'c', sub1: '1', sub2: '2', sub3: '3', sub4: '4', sub5: '5' },
  }
  const all = MACROS.map((name) => `{${name}}`).join('|')
  expect(macrosIn(all)).toEqual([...MACROS])
  expect(filledIn(all, facts)).toBe('l|r|c|-5.50|USD|sold|returned|e|1|2|3|4|5')
})
