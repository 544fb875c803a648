/** Forms on pages: a consumer's own browser, Google's lead forms, Meta's lead ads, and fields in an address. */
import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exampleLead } from '../engine/example.ts'
import { googleLead, metaLead, metaLeadIds } from '../rules/ad-forms.ts'
import { type Door, House, houseConfig, look, send } from './inbound-kit.ts'

const META = { app_secret: 'app-secret-1', verify_token: 'verify-me-1', access_token: 'page-token-1' }
const FORM = 'application/x-www-form-urlencoded'

let house: House
let door: Door
let graph: Server
let n = 7_000_000
/** Leads that Meta's graph knows, and the tokens it was asked with. */
const known = new Map<string, object>()
const tokens: string[] = []

const lead = () => ({ ...exampleLead(n++) })
const form = (fields: object) => new URLSearchParams(fields as Record<string, string>).toString()
const leads = (leadRef: string) =>
  house.ask<{ id: string; status: string | null; test: boolean }>(
    'select id, status, test from leads where lead_ref = $1',
    [leadRef],
  )
const soldOnce = (leadRef: string) =>
  expect.poll(async () => (await leads(leadRef)).map(({ status }) => status), { timeout: 10_000 }).toEqual(['sold'])

beforeAll(async () => {
  graph = createServer((asked, answer) => {
    tokens.push(asked.headers.authorization ?? '')
    const id = new URL(asked.url!, 'http://x').pathname.split('/').at(-1)!
    const found = known.get(id)
    answer.writeHead(found ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify(found ?? {}))
  })
  await new Promise<void>((up) => graph.listen(0, '127.0.0.1', up))
  const graphUrl = `http://127.0.0.1:${(graph.address() as AddressInfo).port}/v21.0`
  house = await House.open(
    (url) =>
      houseConfig(url, (config) => {
        const { solar } = config.campaigns
        const redirects = { thank_you: 'https://quotes.example/thanks', reject: 'https://quotes.example/sorry' }
        config.campaigns.web = { ...solar, allow_get: true, redirects }
        config.campaigns.nobody = { ...solar, redirects, form: { honeypot: 'nickname' } }
        config.contracts['acme-web'] = { ...config.contracts.acme, campaign: 'web' }
        for (const source of Object.values<Record<string, unknown>>(config.sources)) {
          source['campaigns'] = ['solar', 'web', 'nobody']
          source['ad_forms'] = { fields: { 'Do you own?': 'ownership' }, meta: { ...META, graph_url: graphUrl } }
        }
        config.network.trusted_proxies = ['127.0.0.0/8']
        config.sources.trial = { ...config.sources.other, pseudonym: 'S-3', status: 'test', keys: [] }
      }),
    {
      buyers: {
        acme: { ping: { bid: { fixed: '20.00' } }, post: { redirectUrl: 'https://acme.example/hello' } },
        bolt: { ping: { bid: { fixed: '24.00' } } },
      },
    },
  )
  door = await house.engine()
})
afterAll(async () => {
  await house.close()
  await new Promise((down) => graph.close(down).closeAllConnections())
})

describe("a consumer's form", () => {
  const post = (campaign: string, fields: object, headers: Record<string, string> = {}) =>
    send(`${door.origin}/v1/campaigns/${campaign}/form`, form({ api_key: 'mill', ...fields }), {
      key: null,
      type: FORM,
      headers: { 'user-agent': 'Mozilla/5.0 (Test)', referer: 'https://quotes.example/form', ...headers },
    })

  it('tells where its consumer is, as the operator’s proxy says, where the form does not', async () => {
    const nowhere = () => {
      const { ip_address: _, ...rest } = lead()
      return rest
    }
    const seen = () => house.seen('post', 'acme').at(-1).consent.ip_address
    const proxied = { 'x-forwarded-for': '10.1.1.1, 198.18.5.5, 8.8.4.4' }
    expect((await post('web', nowhere(), proxied)).status).toBe(303)
    expect(seen()).toBe('8.8.4.4')
    expect((await post('web', { ...nowhere(), ip: '9.9.9.9' }, proxied)).status).toBe(303)
    expect(seen()).toBe('9.9.9.9')
    expect((await post('web', nowhere())).status).toBe(303)
    expect(seen()).toBeUndefined()
  })

  it('is sold, and its consumer sent to where the buyer says', async () => {
    const reply = await post('web', { ...lead(), lead_ref: 'F-1' })
    expect([reply.status, reply.headers['location']]).toEqual([303, 'https://acme.example/hello'])
    const consent = house.seen('post', 'acme').at(-1).consent
    expect(consent).toMatchObject({ user_agent: 'Mozilla/5.0 (Test)', landing_page_url: 'https://quotes.example/form' })
  })

  it('sends to the campaign where no buyer names a place, and elsewhere where nobody buys', async () => {
    expect((await post('nobody', lead())).headers['location']).toBe('https://quotes.example/sorry')
    const plain = await post('solar', lead())
    expect([plain.status, plain.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(plain.text).toContain('<h1>Thank you</h1>')
  })

  it('thanks whoever fills in what nobody sees, and keeps it for the operator alone', async () => {
    const before = house.buyers.counts.ping
    const reply = await post('web', { ...lead(), website: 'https://spam.example' })
    expect([reply.status, reply.headers['location']]).toEqual([303, 'https://quotes.example/thanks'])
    expect((await post('nobody', { ...lead(), nickname: 'bot' })).headers['location']).toContain('/thanks')
    expect(house.buyers.counts.ping).toBe(before)
    const kept = () => house.ask(`select 1 from invalid_attempts where issues like '%honeypot%'`)
    await expect.poll(async () => (await kept()).length).toBe(2)
  })

  it('names what is missing in words, and tells no value', async () => {
    const reply = await post('web', { first_name: '<b>x', phone: '555' })
    expect(reply.status).toBe(422)
    expect(reply.text).toContain('<b>Last name</b> is missing')
    expect(reply.text).toContain('<b>Phone</b> cannot be right')
    expect(reply.text).not.toContain('555')
    const unknown = await send(`${door.origin}/v1/campaigns/web/form`, form(lead()), { key: null, type: FORM })
    expect([unknown.status, unknown.headers['content-type']]).toEqual([401, 'text/html; charset=utf-8'])
  })
})

describe('fields in an address', () => {
  const url = (campaign: string) =>
    `${door.origin}/v1/campaigns/${campaign}/leads?${form({ ...lead(), api_key: 'mill' })}`

  it('are a lead where the campaign allows it, and never for a HEAD', async () => {
    expect((await look(url('web'))).json).toMatchObject({ status: 'sold' })
    expect(await look(url('solar'))).toMatchObject({ status: 405 })
    const before = await house.ask('select count(*) from leads')
    for (const path of ['campaigns/web/leads', 'dialects/leadspedia/web/post.do']) {
      const head = await request(`${door.origin}/v1/${path}?${form({ ...lead(), api_key: 'mill' })}`, {
        method: 'HEAD',
      })
      await head.body.dump()
      expect(head.statusCode).toBe(405)
    }
    expect(await house.ask('select count(*) from leads')).toEqual(before)
  })
})

describe("Google's lead form", () => {
  const { first_name, last_name, phone, email } = exampleLead(7_900_000)
  const columns = [
    { column_id: 'FULL_NAME', string_value: `${first_name} Mary ${last_name}`, column_name: 'Full Name' },
    { column_id: 'EMAIL', string_value: email, column_name: 'User Email' },
    { column_id: 'PHONE_NUMBER', string_value: phone },
    { column_id: 'POSTAL_CODE', string_value: '78701' },
    { column_id: 'REGION', string_value: 'Texas' },
    { column_name: 'Do you own?', string_value: 'yes' },
  ]
  const notice = {
    lead_id: 'g-1',
    api_version: '1.0',
    form_id: 40_000_000_000,
    google_key: 'mill',
    gcl_id: 'click-9',
    is_test: false,
    user_column_data: columns,
  }
  const post = (body: object) => send(`${door.origin}/v1/hooks/google/solar`, body, { key: null })

  it('is taken at once and sold once, however often it comes', async () => {
    for (let i = 0; i < 3; i++) expect(await post(notice)).toMatchObject({ status: 200, text: '{}' })
    await soldOnce('g-1')
    expect(house.seen('post').at(-1).fields).toMatchObject({ first_name: 'Jane Mary', last_name: 'Doe', state: 'TX' })
  })

  it('as a test sells nothing; with a wrong key or without its fields it is refused', async () => {
    expect((await post({ ...notice, lead_id: 'g-2', is_test: true })).status).toBe(200)
    expect(await leads('g-2')).toMatchObject([{ test: true }])
    expect((await post({ ...notice, google_key: 'who' })).status).toBe(401)
    expect((await post({ ...notice, lead_id: 'g-3', user_column_data: [] })).status).toBe(422)
    expect((await post({ ...notice, lead_id: 'g-4', user_column_data: 'none' })).status).toBe(422)
  })
})

describe("Meta's lead ads", () => {
  const url = (source = 'mill', campaign = 'solar') => `${door.origin}/v1/hooks/meta/${source}/${campaign}`
  const signed = (body: string, secret = META.app_secret) =>
    `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const notice = (...ids: string[]) =>
    JSON.stringify({
      object: 'page',
      entry: [{ id: '1', changes: ids.map((id) => ({ field: 'leadgen', value: { leadgen_id: id, form_id: '2' } })) }],
    })
  const post = (body: string, signature = signed(body), to = url()) =>
    send(to, body, { key: null, headers: { 'x-hub-signature-256': signature } })
  const meet = (id: string) => {
    const { first_name, last_name, phone, email } = lead()
    const data = {
      full_name: `${first_name} ${last_name}`,
      phone_number: phone,
      email,
      province: 'TX',
      post_code: '78701',
      'Do you own?': 'own',
    }
    const field_data = Object.entries(data).map(([name, value]) => ({ name, values: [value] }))
    known.set(id, { id, created_time: '2026-03-02T20:00:00+0000', field_data })
  }

  it('has its challenge answered where the token is right', async () => {
    const ask = (token: string) =>
      look(`${url()}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=${token}`)
    expect(await ask(META.verify_token)).toMatchObject({ status: 200, text: '1158201444' })
    expect((await ask('guess')).status).toBe(401)
    expect((await look(`${url('nobody')}?hub.verify_token=x`)).status).toBe(401)
  })

  it('is fetched by the page token and sold once, however often it is told', async () => {
    meet('901')
    meet('902')
    for (let i = 0; i < 2; i++) expect(await post(notice('901', '902'))).toMatchObject({ status: 200 })
    await soldOnce('901')
    await soldOnce('902')
    expect(new Set(tokens)).toEqual(new Set([`Bearer ${META.access_token}`]))
  })

  it('is asked for again while it cannot be fetched', async () => {
    expect((await post(notice('903'))).status).toBe(503)
    meet('903')
    expect((await post(notice('903'))).status).toBe(200)
    await soldOnce('903')
  })

  it('is heard from Meta alone', async () => {
    meet('904')
    for (const signature of ['', 'sha256=00', signed(notice('904'), 'another-secret'), signed('{}')])
      expect((await post(notice('904'), signature)).status).toBe(401)
    expect(await leads('904')).toEqual([])
  })

  it('of a source in test is a test', async () => {
    meet('905')
    expect((await post(notice('905'), undefined, url('trial'))).status).toBe(200)
    expect(await leads('905')).toMatchObject([{ test: true }])
  })
})

it('whatever a platform posts is read without falling over', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (body) => {
      googleLead(body, {})
      metaLeadIds(body)
      metaLead(body, {})
    }),
  )
  const columns = [
    { column_id: 'FULL_NAME', string_value: 'Cher' },
    { column_id: 'FIRST_NAME', string_value: 'Cherilyn' },
    { column_id: 'EMAIL', string_value: ' ' },
  ]
  expect(googleLead({ user_column_data: columns }, {}).fields).toEqual({ first_name: 'Cherilyn' })
})
