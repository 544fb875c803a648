/** Other platforms' wires: each request is heard and each answer sounds as its golden file says, and whole integrations work. */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { readBody } from '../engine/bodies.ts'
import { exampleLead } from '../engine/example.ts'
import { readXml } from '../engine/xml.ts'
import { digitsOf, uuidOf } from '../rules/dialects/dialect.ts'
import { DIALECTS, type Format, type Heard, type Said } from '../rules/dialects.ts'
import { type Door, House, houseConfig, look, send } from './inbound-kit.ts'

interface Golden {
  readonly requests: readonly {
    readonly why: string
    readonly call: string
    readonly type: string
    readonly accept?: string
    readonly body: string
    readonly hears: Heard
  }[]
  readonly replies: readonly {
    readonly says: Said
    readonly call: string
    readonly format: Format
    readonly status: number
    readonly type: string
    readonly body: string
  }[]
}

const FOLDER = new URL('golden/dialects/', import.meta.url)
const goldenOf = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')) as Golden
const FORM = 'application/x-www-form-urlencoded'
const form = (fields: object) => new URLSearchParams(fields as Record<string, string>).toString()

describe.each([...DIALECTS])('%s', (name, dialect) => {
  const { requests, replies } = goldenOf(name)

  test.each(requests)('$why', ({ call, type, accept = '', body, hears }) => {
    expect(dialect.calls).toContain(call)
    const read = readBody(type, Buffer.from(body))
    expect(JSON.parse(JSON.stringify(dialect.hear(call, read.ok ? read.fields : {}, accept)))).toEqual(hears)
  })

  test.each(replies)('says $says.kind in $format', ({ says, call, format, status, type, body }) => {
    expect(dialect.say(says, call, format)).toEqual({ status, type, body })
    if (format === 'json') JSON.parse(body)
    else expect(Object.keys(readXml(body)).length).toBeGreaterThan(0)
  })

  it('says of nothing that was not stored or sold what could be read as a sale', () => {
    for (const { says, body } of replies) {
      if (says.kind === 'invalid' || says.kind === 'refused') expect(body).not.toMatch(/lead_id|"lead"|<lead>/)
      if (!['offer', 'sold'].includes(says.kind)) expect(body).not.toMatch(/ACCEPTED|success|Matched</)
    }
  })

  it('hears whatever comes without falling over', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.json())
    const names = fc.oneof(fc.string(), fc.constantFrom('Request', 'lp_key', 'Mode', 'Lead_ID', 'lp_ping_id', 'Format'))
    fc.assert(
      fc.property(
        fc.dictionary(names, value),
        fc.constantFrom(...dialect.calls),
        fc.string(),
        (fields, call, accept) => {
          const read = readBody('application/json', Buffer.from(JSON.stringify(fields)))
          if (read.ok) dialect.hear(call, read.fields, accept)
        },
      ),
    )
  })
})

it('every dialect has its file, and ids survive as digits', () => {
  expect(readdirSync(FOLDER).sort()).toEqual([...DIALECTS.keys()].map((name) => `${name}.json`).sort())
  fc.assert(fc.property(fc.uuid({ version: 7 }), (id) => uuidOf(digitsOf(`pg_${id}`)) === id))
  for (const digits of ['', '-1', '1e9', '9'.repeat(39), 'abc']) expect(uuidOf(digits)).toBeNull()
})

describe('an integration', () => {
  let house: House
  let door: Door
  let n = 6_000_000
  const at = (path: string) => `${door.origin}/v1/dialects/${path}`
  const lead = () => ({ ...exampleLead(n++) })
  const pinged = ({ state, zip, ownership }: Record<string, string>) => ({ state, zip, ownership })
  const post = (path: string, body: object, more: object = {}) =>
    send(at(path), form(body), { key: null, type: FORM, ...more })

  beforeAll(async () => {
    house = await House.open(
      (url) =>
        houseConfig(url, (config) => {
          config.campaigns.open = { ...config.campaigns.solar, allow_get: true }
          config.campaigns.doubt = config.campaigns.solar
          config.contracts['acme-open'] = { ...config.contracts.acme, campaign: 'open' }
          const { delivery } = config.contracts.acme
          const unsure = { ...delivery, post_url: `${url}/unsure/post` }
          config.contracts['acme-doubt'] = { ...config.contracts.acme, campaign: 'doubt', delivery: unsure }
          for (const source of Object.values<{ campaigns: string[] }>(config.sources))
            source.campaigns = ['solar', 'open', 'doubt']
          config.sources.other.pending_as = 'pending'
        }),
      {
        buyers: {
          acme: { ping: { bid: { fixed: '20.00' } } },
          bolt: { ping: { bid: { fixed: '16.00' } } },
          unsure: { post: { faults: { '503': 1 } } },
        },
      },
    )
    door = await house.engine()
  })
  afterAll(() => house.close())

  it('of Lead Prosper pings, posts, and hears of duplicates and errors', async () => {
    const keys = { lp_campaign_id: 1, lp_supplier_id: 2, lp_key: 'mill' }
    const body = lead()
    const offer = (await send(at('leadprosper/solar/ping'), { ...keys, ...pinged(body) }, { key: null })).json
    expect(offer).toMatchObject({ status: 'ACCEPTED', bids: [{ payout: 14 }] })
    const posted = { ...keys, lp_ping_id: offer.ping_id, ...body }
    const sold = await send(at('leadprosper/solar/post'), posted, { key: null })
    expect([sold.status, sold.json]).toMatchObject([200, { status: 'ACCEPTED', code: 0, payout: 14 }])
    expect((await send(at('leadprosper/solar/post'), posted, { key: null })).text).toBe(sold.text)
    const again = await post('leadprosper/solar/direct_post', { ...keys, ...body })
    expect(again.json).toMatchObject({ status: 'DUPLICATED', payout: 0 })
    const wrong = await post('leadprosper/solar/direct_post', { ...keys, ...lead(), phone: '555' })
    expect([wrong.status, wrong.json]).toEqual([200, { status: 'ERROR', code: 1002, message: 'phone: not_a_number' }])
    const unknown = await post('leadprosper/solar/direct_post', { ...keys, lp_key: 'who', ...lead() })
    expect(unknown.json).toMatchObject({ status: 'ERROR', code: 1004 })
  })

  it('of LeadsPedia pings and posts, in XML and JSON', async () => {
    const keys = { lp_campaign_id: 1, lp_campaign_key: 'mill' }
    const body = lead()
    const offer = await post('leadspedia/solar/ping.do', { ...keys, ...pinged(body), lp_s1: 'summer' })
    expect(offer.headers['content-type']).toBe('application/xml')
    const [, pingId] = /<result>success<\/result>.*<ping_id>(pg_[0-9a-f-]+)<\/ping_id><price>14<\/price>/.exec(
      offer.text,
    )!
    const sold = await post('leadspedia/solar/post.do', { ...keys, lp_ping_id: pingId, lp_response: 'JSON', ...body })
    expect(sold.json).toMatchObject({ result: 'success', msg: 'Lead Accepted', price: 14 })
  })

  it('of boberdoo pings, posts by digits, and posts in full', async () => {
    const keys = { Key: 'mill', API_Action: 'pingPostLead', TYPE: 33, SRC: 'web' }
    const { first_name, last_name, phone, email, zip, state, ownership } = lead()
    const ping = { Zip: zip, State: state, Home_Ownership: ownership, Sub_ID: 'summer' }
    const person = { First_Name: first_name, Last_Name: last_name, Primary_Phone: phone, Email: email }
    const offer = await send(
      at('boberdoo/solar/api.php'),
      { Request: { ...keys, Mode: 'ping', ...ping } },
      { key: null },
    )
    const [, leadId] = /<status>Matched<\/status><lead_id>(\d+)<\/lead_id><price>14<\/price>/.exec(offer.text)!
    const whole = { ...keys, Mode: 'post', Format: 'JSON', Lead_ID: leadId, ...ping, ...person }
    expect((await post('boberdoo/solar/api.php', whole)).json).toMatchObject({
      response: { status: 'Matched', price: 14 },
    })
    const [row] = await house.ask<{ n: number }>(`select count(*)::int as n from offers where source = 'mill'`)
    expect(row!.n).toBeGreaterThan(0)
    const full = await post('boberdoo/solar/genericPostlead.php', { ...keys, Test_Lead: 1, ...ping, ...person })
    expect(full.text).toContain('<status>Unmatched</status>')
    const other = await post('boberdoo/open/api.php', whole)
    expect(other.json).toMatchObject({ response: { status: 'Error' } })
  })

  it('of LeadConduit submits and pings', async () => {
    const body = lead()
    const basic = { authorization: `Basic ${Buffer.from('API:mill').toString('base64')}` }
    const offer = await post('leadconduit/solar/ping', pinged(body), { headers: basic })
    expect([offer.status, offer.json]).toEqual([200, { outcome: 'success', price: 14 }])
    const sold = await post('leadconduit/solar/submit', body, { headers: basic })
    expect([sold.status, sold.json]).toMatchObject([201, { outcome: 'success', price: 14 }])
    const none = await post('leadconduit/solar/submit', { ...lead(), state: 'ZZ' }, { headers: basic })
    expect([none.status, none.json]).toMatchObject([201, { outcome: 'failure', reason: 'state: not_a_state' }])
    expect((await post('leadconduit/solar/submit', body)).status).toBe(401)
  })

  it('hears of a doubt as its source wants to', async () => {
    const keys = (key: string) => ({ lp_campaign_key: key, lp_response: 'json' })
    const mill = await post('leadspedia/doubt/post.do', { ...keys('mill'), ...lead() })
    expect(mill.json).toMatchObject({ result: 'failed', msg: 'Lead Rejected', price: 0 })
    const other = await post('leadspedia/doubt/post.do', { ...keys('other'), ...lead() })
    expect(other.json).toMatchObject({ result: 'pending' })
  })

  it('may send in its address where the campaign allows it', async () => {
    const query = form({ lp_campaign_key: 'mill', lp_response: 'json', ...lead() })
    expect((await look(at(`leadspedia/open/post.do?${query}`))).json).toMatchObject({ result: 'success' })
    expect((await look(at(`leadspedia/solar/post.do?${query}`))).text).toContain('This address takes POST')
  })

  it('of nobody is not there', async () => {
    for (const path of ['nobody/solar/post', 'leadprosper/solar/submit'])
      expect(await post(path, {})).toMatchObject({ status: 404 })
  })
})
