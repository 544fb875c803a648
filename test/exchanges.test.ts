/** What is said to buyers is kept byte for byte, sealed, and readable by those who may: through the engine, over real sockets. */
import { createHmac } from 'node:crypto'
import type net from 'node:net'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HEARD_MOST } from '../buyers/tape.ts'
import type { ExchangePage } from '../engine/exchanges/proof.ts'
import { httpReply, rawServer } from './buyers-kit.ts'
import { run } from './chaos/processes.ts'
import { type Door, House, houseConfig, look, send, sha256 } from './inbound-kit.ts'

const LEAD = {
  first_name: 'Quillon',
  last_name: 'Zänker',
  phone: '(512) 555-0143',
  email: 'quillon.z@example.com',
  address: '1 Main St',
  city: 'Austin',
  state: 'TX',
  zip: '78701',
  ownership: 'own',
  bill_band: '150-200',
  tcpa_consent: 'yes',
  tcpa_text: 'By pressing Get quotes I agree.',
  landing_page_url: 'https://mill.example/solar',
  ip_address: '203.0.113.9',
  user_agent: 'Mozilla/5.0',
  Shoe_Size: '44',
}
const TOKEN = 'tok-1234567890'
const SIGNING = `whsec_${'QUJD'.repeat(10)}QQ==`

/** What one raw buyer heard and said, request by request. */
interface Said {
  sent: string
  heard: string
}
type Answer = (socket: net.Socket, said: Said) => void
const say =
  (...pieces: string[]): Answer =>
  (socket, said) => {
    for (const piece of pieces) socket.write(piece, 'latin1')
    said.heard = pieces.join('')
  }

/** A buyer of plain sockets: bytes in and out are kept, what it does with a request is the test's. */
async function buyer(answers: Readonly<Record<string, Answer>>) {
  const said: Record<string, Said[]> = {}
  const open = new WeakMap<net.Socket, string>()
  const server = await rawServer((socket, data) => {
    const text = (open.get(socket) ?? '') + data.toString('latin1')
    const head = text.indexOf('\r\n\r\n')
    const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0)
    if (head < 0 || text.length < head + 4 + length) return void open.set(socket, text)
    open.set(socket, '')
    const path = text.split(' ', 2)[1]!.split('?')[0]!
    const one = { sent: text, heard: '' }
    said[path] ??= []
    said[path].push(one)
    answers[path]!(socket, one)
  })
  return { ...server, said }
}

const BID = (price: string): string =>
  httpReply(`{"accept":true,"price":"${price}","buyer_reference":"B-77"}`, 'HTTP/1.1 200 Fine\r\nX-Odd:  two  spaces')

let house: House
let door: Door
let raw: Awaited<ReturnType<typeof buyer>>
let mail: SMTPServer
const letters: string[] = []

beforeAll(async () => {
  raw = await buyer({
    '/json/ping': say(BID('20.00')),
    '/json/post': say(httpReply('{"accept":true}')),
    '/form/ping': say(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`,
      `5\r\n{"acc\r\n`,
      `b\r\nept":false}\r\n0\r\n\r\n`,
    ),
    '/xml/ping': say(
      httpReply(
        `<r><ok>no</ok><name>Z\xe4nker ${TOKEN}</name></r>`,
        'HTTP/1.1 200 OK\r\ncontent-type: text/xml; charset=iso-8859-1',
      ).replace(/length: \d+/, (one) =>
        one.replace(/\d+/, String(`<r><ok>no</ok><name>Z\xe4nker ${TOKEN}</name></r>`.length)),
      ),
    ),
    '/truncated/ping': (socket, one) => {
      one.heard = 'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"accept":tr'
      socket.end(one.heard)
    },
    '/reset/ping': (socket) => socket.resetAndDestroy(),
    '/hang/ping': () => {},
    '/garbage/ping': (socket, one) => {
      one.heard = 'SSH-2.0-OpenSSH_9.2\r\n'
      socket.end(one.heard)
    },
    '/huge/ping': (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${100 << 20}\r\n\r\n`)
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 'x')));
      }
      socket.on('drain', more)
      more()
    },
    '/no/post': say(httpReply('{"accept":false,"reason":"not today"}')),
    '/mute/post': () => {},
    '/late/post': (socket, one) => {
      one.heard = httpReply('{"accept":true}')
      setTimeout(() => socket.write(one.heard), 1_500)
    },
  })
  mail = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _session, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        letters.push(Buffer.concat(chunks).toString('latin1'))
        done(null, 'Taken as number 7')
      })
    },
  })
  await new Promise<void>((up) => mail.listen(0, '127.0.0.1', up))
  house = await House.open((url) => houseConfig(url, withBuyers), {})
  door = await house.engine()
})
afterAll(async () => {
  await house.close()
  await raw.close()
  await new Promise<void>((down) => mail.close(down))
})

// biome-ignore lint/suspicious/noExplicitAny: as in the kit
function withBuyers(config: any): void {
  const tier = (name: string) => [{ tier: name, strategy: 'auction', ping_ms: 1_000 }]
  const campaign = (name: string) => ({ ...config.campaigns.solar, plan: tier(name), duplicates: { fields: [] } })
  config.campaigns = {
    pings: campaign('pings'),
    mailed: campaign('mailed'),
    doubts: campaign('doubts'),
    posts: { ...campaign('posts'), floor: '1.00' },
  }
  for (const source of Object.values<{ campaigns: string[] }>(config.sources))
    source.campaigns = Object.keys(config.campaigns)
  config.admin = { keys: ['viewer', 'operator', 'admin'].map((role) => ({ sha256: sha256(role), label: role, role })) }
  config.buyers = {}
  config.contracts = {}
  const add = (name: string, campaign: string, contract: object, delivery: object = {}): void => {
    config.buyers[name] = { zone: 'America/Chicago', duplicates: { fields: [] } }
    config.contracts[name] = {
      ...{ buyer: name, campaign, status: 'active', post_ms: 1_000 },
      ...contract,
      delivery: {
        ping_url: `${raw.url}/${name}/ping`,
        post_url: `${raw.url}/${name}/post`,
        ping_fields: ['state', 'zip'],
        ...delivery,
      },
    }
  }
  add('json', 'pings', {}, { auth: { bearer: TOKEN }, secrets: [SIGNING] })
  add(
    'form',
    'pings',
    {},
    {
      ping_fields: undefined,
      keys: { mine: TOKEN },
      ping: { format: 'form', body: { key: '{key.mine}', zip: '{zip}' } },
    },
  )
  add(
    'xml',
    'pings',
    {},
    {
      ping_fields: undefined,
      keys: { mine: TOKEN },
      ping: {
        format: 'xml',
        body: { lead: { '@key': '{key.mine}', zip: '{zip}' } },
        reply: { format: 'xml', accept: { path: 'r.ok', equals: 'yes' } },
      },
    },
  )
  for (const name of ['truncated', 'reset', 'hang', 'garbage', 'huge']) add(name, 'pings', {})
  const letter = {
    format: 'text',
    body: '{first_name} {last_name}',
    mail: { from: 'leads@gavel.example', to: ['sales@acme.example'], subject: 'A lead' },
  }
  const { port } = mail.server.address() as net.AddressInfo
  add(
    'mailed',
    'mailed',
    { price: '9.00' },
    { ping_url: undefined, post_url: `smtp://127.0.0.1:${port}`, post: letter },
  )
  add('no', 'posts', { price: '9.00' }, { ping_url: undefined })
  add('mute', 'doubts', { price: '8.00' }, { ping_url: undefined, secrets: [SIGNING] })
  add('late', 'posts', { price: '8.00' }, { ping_url: undefined })
}

const admin = (path: string, key = 'operator') =>
  look(`${door.admin}/admin/v1${path}`, { authorization: `Bearer ${key}` })
const asked = (path: string, key: string) => send(`${door.admin}/admin/v1${path}`, {}, { key })

async function taken(campaign: string, status: string): Promise<string> {
  const answer = await send(`${door.origin}/v1/campaigns/${campaign}/leads`, LEAD)
  expect(answer.json).toMatchObject({ status })
  return answer.json.lead_id
}

/** What is kept, once it is so much: it is written behind the lead's back. */
async function exchangesOf(
  leadId: string,
  are: (found: readonly ExchangePage[]) => boolean,
): Promise<readonly ExchangePage[]> {
  return expect
    .poll(async () => (await admin(`/leads/${leadId}/exchanges`)).json.exchanges as ExchangePage[], {
      timeout: 20_000,
      interval: 100,
    })
    .toSatisfy(are)
    .then(async () => (await admin(`/leads/${leadId}/exchanges`)).json.exchanges)
}

const bytesOf = ({ text, base64 }: ExchangePage['sent']): string =>
  (text === null ? Buffer.from(base64!, 'base64') : Buffer.from(text)).toString('latin1')
const starred = (text: string): string => text.replaceAll(TOKEN, '*****')

describe('the bytes of an exchange', () => {
  it('are what the buyer heard and said, whatever its format and however it ended', async () => {
    const leadId = await taken('pings', 'sold')
    const found = await exchangesOf(leadId, (all) => all.length === 9)
    const by = (kind: string, name: string) => found.find((one) => one.kind === kind && one.contract === name)!
    for (const [kind, name, end] of [
      ['ping', 'json', 'whole'],
      ['post', 'json', 'whole'],
      ['ping', 'form', 'whole'],
      ['ping', 'xml', 'whole'],
      ['ping', 'truncated', 'truncated'],
      ['ping', 'reset', 'reset'],
      ['ping', 'hang', 'under way'],
      ['ping', 'garbage', 'truncated'],
    ] as const) {
      const one = by(kind, name)
      const said = raw.said[`/${name}/${kind}`]![0]!
      expect([name, one.end]).toEqual([name, end])
      expect(bytesOf(one.sent)).toBe(starred(said.sent))
      expect(bytesOf(one.heard)).toBe(starred(said.heard))
      expect([one.sent.bytes, one.heard.bytes]).toEqual([said.sent.length, said.heard.length])
    }
    expect(bytesOf(by('ping', 'json').sent)).toContain('authorization: Bearer *****')
    expect(bytesOf(by('post', 'json').sent)).toContain('Quillon')
    const huge = by('ping', 'huge')
    expect(huge.heard.cut).toBe(true)
    expect(huge.heard.bytes).toBeGreaterThan(HEARD_MOST)
    expect(huge.heard.text).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\nx+$/)
    expect(huge.heard.text).toHaveLength(HEARD_MOST)
    expect(JSON.stringify(found)).not.toContain(TOKEN)
  })

  it('are the letter that the mail server took, and what it answered', async () => {
    const leadId = await taken('mailed', 'sold')
    const [one] = await exchangesOf(leadId, (all) => all.length === 1)
    expect(bytesOf(one!.sent)).toBe(letters[0])
    expect(one!.heard.text).toBe('250 Taken as number 7')
    expect(one!.end).toBe('whole')
  })

  it('are kept of a rejection, of a post without an answer, and of the answer that came late', async () => {
    const leadId = await taken('posts', 'pending')
    const first = await exchangesOf(leadId, (all) => all.length === 2)
    expect(first.map(({ contract }) => contract)).toEqual(['no', 'late'])
    expect(first[0]!.heard.text).toContain('not today')
    const late = (await exchangesOf(leadId, (all) => all[1]?.end === 'whole'))[1]!
    expect(bytesOf(late.heard)).toBe(raw.said['/late/post']![0]!.heard)
    expect(late.took_ms).toBeGreaterThan(1_000)
  })

  it('are those of the pings that brought an offer, too, and of a callback that settled a doubt', async () => {
    const { first_name: _f, last_name: _l, phone: _p, email: _e, address: _a, city: _c, ...partial } = LEAD
    const offered = await send(`${door.origin}/v1/campaigns/pings/pings`, partial)
    expect(offered.json).toMatchObject({ status: 'offer' })
    const sold = await send(`${door.origin}/v1/pings/${offered.json.ping_id}/lead`, LEAD)
    expect(sold.json).toMatchObject({ status: 'sold' })
    const found = await exchangesOf(sold.json.lead_id, (all) => all.length === 9)
    expect(found.filter(({ kind }) => kind === 'post').map(({ contract }) => contract)).toEqual(['json'])
    const ping = found.find(({ kind, contract }) => kind === 'ping' && contract === 'json')!
    expect(bytesOf(ping.sent)).toBe(starred(raw.said['/json/ping']!.at(-1)!.sent))

    const leadId = await taken('doubts', 'pending')
    const token = `${leadId}:mute`
    const [body, at] = ['{"accept":true, "price":"7.50"}', String(Math.floor(Date.now() / 1000))]
    const signed = createHmac('sha256', Buffer.from(SIGNING.slice(6), 'base64')).update(`${token}.${at}.${body}`)
    const signature = `v1,${signed.digest('base64')}`
    const headers = { 'webhook-id': token, 'webhook-timestamp': at, 'webhook-signature': signature }
    const told = await send(`${door.origin}/v1/callbacks/${token}`, body, { key: null, headers })
    expect(told.json).toEqual({ settled: true, state: 'accepted' })
    const [post, callback] = await exchangesOf(leadId, (all) => all.length === 2)
    const page = (await admin(`/leads/${leadId}`)).json
    expect(page.resolutions).toMatchObject([{ contract: 'mute', verdict: 'accepted', applied: true, by: 'callback' }])
    expect((await admin(`/leads/${leadId}?format=text`)).text).toMatch(/mute +accepted +won +by callback +\+\d+ ms/)
    expect([post!.kind, post!.end, callback!.kind]).toEqual(['post', 'timeout', 'callback'])
    expect(callback!.heard.text).toBe(
      `webhook-id: ${token}\r\nwebhook-timestamp: ${at}\r\nwebhook-signature: ${signature}\r\n\r\n${body}`,
    )
  })

  it('are printed by the command line', async () => {
    const leadId = await taken('mailed', 'sold')
    await exchangesOf(leadId, (all) => all.length === 1)
    const env = { GAVELPOST_ADMIN: door.admin, GAVELPOST_KEY: 'operator' }
    const { code, out } = await run('engine/cli/main.ts', ['lead', leadId, '--bytes'], env)
    expect(code).toBe(0)
    expect(out).toMatch(/^post to mailed of mailed, .* ms, whole reply$/m)
    expect(out).toMatch(/^> Subject: A lead$/m)
    expect(out).toMatch(/^< 250 Taken as number 7$/m)
  })

  it('outlive the engine that is killed once they are written, and another one reads them', async () => {
    const leadId = await taken('mailed', 'sold')
    await exchangesOf(leadId, (all) => all.length === 1)
    await door.program.kill9()
    door = await house.engine()
    expect((await exchangesOf(leadId, (all) => all.length === 1))[0]!.heard.text).toBe('250 Taken as number 7')
  })
})

describe('who may see it', () => {
  it('is whoever may operate, and the audit says so', async () => {
    const leadId = await taken('mailed', 'sold')
    expect((await admin(`/leads/${leadId}/exchanges`, 'viewer')).status).toBe(403)
    expect((await admin(`/leads/${leadId}/evidence`, 'viewer')).status).toBe(403)
    await admin(`/leads/${leadId}/exchanges`)
    const { json } = await admin(`/leads/${leadId}/evidence`)
    expect(json.evidence).toMatchObject({
      tcpa_consent: { given: 'yes', read: true },
      tcpa_text: { given: LEAD.tcpa_text },
      ip_address: { given: '203.0.113.9' },
      trustedform_cert_url: null,
    })
    expect(json.fields).toMatchObject({ phone: '(512) 555-0143', Shoe_Size: '44' })
    expect(json.sent_to).toMatchObject([{ contract: 'mailed', state: 'accepted' }])
    const audit = await house.ask<{ actor: string; action: string }>(
      'select actor, action from audit where subject = $1 order by id',
      [`leads.${leadId}`],
    )
    expect(audit).toEqual([
      { actor: 'operator', action: 'read exchanges' },
      { actor: 'operator', action: 'read evidence' },
    ])
  })

  it('is nobody once the person is erased, and the money stays', async () => {
    const leadId = await taken('mailed', 'sold')
    await exchangesOf(leadId, (all) => all.length === 1)
    expect((await asked(`/leads/${leadId}:erase`, 'operator')).status).toBe(403)
    expect((await asked(`/leads/${leadId}:erase`, 'admin')).json).toEqual({ lead_id: leadId, erased: true })
    expect((await asked(`/leads/${leadId}:erase`, 'admin')).status).toBe(200)
    expect((await admin(`/leads/${leadId}/exchanges`)).json).toEqual({ lead_id: leadId, erased: true, exchanges: [] })
    expect((await admin(`/leads/${leadId}/evidence`)).json).toMatchObject({ erased: true, evidence: {}, fields: {} })
    const page = (await admin(`/leads/${leadId}`)).json
    expect(page).toMatchObject({ status: 'sold', sales: [{ buyer: 'mailed', price: '9.00' }] })
    expect(page.trace.length).toBeGreaterThan(3)
    const found = await send(`${door.admin}/admin/v1/leads:search`, { phone: LEAD.phone }, { key: 'operator' })
    expect(found.json.items.map(({ lead_id }: { lead_id: string }) => lead_id)).not.toContain(leadId)
  })
})

it('lies in Postgres sealed: no value of the lead, no credential, no reply', async () => {
  const rows = await house.ask<{ sealed: Buffer }>(
    'select sealed from post_exchanges union all select sealed from ping_exchanges',
  )
  expect(rows.length).toBeGreaterThan(4)
  const all = Buffer.concat(rows.map(({ sealed }) => sealed)).toString('latin1')
  for (const word of ['Quillon', '78701', 'HTTP/1.1', TOKEN, 'not today']) expect(all.includes(word)).toBe(false)
})
