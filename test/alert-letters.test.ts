/** What alerts find reaches people: by a real mail server and a real webhook, again and again under one id, from two real engines once. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type net from 'node:net'
import { SMTPServer } from 'smtp-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Courier, createCourier } from '../buyers/courier.ts'
import { readSecret, signature } from '../buyers/sign.ts'
import { listEvents } from '../engine/alerts/events.ts'
import { letterOutbox, tell } from '../engine/alerts/letters.ts'
import { systemClock } from '../engine/clock.ts'
import { exampleLead } from '../engine/example.ts'
import { micros } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import { alertConfig, passAll, watcher } from './alerts-kit.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { House, houseConfig, send } from './inbound-kit.ts'
import { LedgerKit } from './ledger-kit.ts'

const SECRET = `whsec_${Buffer.alloc(32, 'ops').toString('base64')}`

interface Hook {
  readonly url: string
  readonly told: { readonly headers: IncomingMessage['headers']; readonly body: string }[]
  /** What it answers to the next requests; then 200. */
  answers: number[]
  close(): Promise<unknown>
}

async function openHook(): Promise<Hook> {
  const told: Hook['told'] = []
  const hook = { told, answers: [] as number[] }
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      told.push({ headers: request.headers, body })
      response.writeHead(hook.answers.shift() ?? 200).end()
    })
  })
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/alerts`
  return Object.assign(hook, { url, close: () => new Promise((down) => server.close(down).closeAllConnections()) })
}

interface Letter {
  readonly to: readonly string[]
  readonly head: string
  readonly text: string
}

/** A mail server that takes what `me` sends, after it has refused so many. */
async function openMail(certificates: Certificates) {
  const letters: Letter[] = []
  const mail = { letters, refuses: 0 }
  const server = new SMTPServer({
    disableReverseLookup: true,
    ...certificates.server,
    onAuth: ({ username, password }, _session, done) =>
      username === 'me' && password === 'pw' ? done(null, { user: 'me' }) : done(new Error('no')),
    onData: (stream, { envelope }, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        if (mail.refuses-- > 0) return done(Object.assign(new Error('later'), { responseCode: 451 }))
        const [head, body] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n') as [string, string]
        letters.push({
          to: envelope.rcptTo.map(({ address }) => address),
          head,
          text: Buffer.from(body, 'base64').toString(),
        })
        done()
      })
    },
  })
  server.on('error', () => {})
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  const url = `smtp://127.0.0.1:${(server.server.address() as net.AddressInfo).port}`
  return Object.assign(mail, { url, close: () => new Promise((down) => server.close(() => down(null))) })
}

describe('a letter', () => {
  let kit: LedgerKit
  let certificates: Certificates
  let hook: Hook
  let mail: Awaited<ReturnType<typeof openMail>>
  let courier: Courier
  const clock = systemClock()

  beforeAll(async () => {
    certificates = makeCertificates()
    kit = await LedgerKit.open()
  })
  afterAll(() => kit.close())
  beforeEach(async () => {
    await kit.ask('truncate events, alert_letters')
    hook = await openHook()
    mail = await openMail(certificates)
    courier = createCourier({ clock, allowedCidrs: ['127.0.0.1/32'] })
  })
  afterEach(async () => {
    await courier.close()
    await Promise.all([hook.close(), mail.close()])
  })

  const configured = (more: object = {}): Snapshot =>
    alertConfig({
      network: { allowed_cidrs: ['127.0.0.1/32'] },
      admin: { keys: [], url: 'https://gavel.example:9090/' },
      mail: {
        ...{ url: mail.url, from: 'Gavelpost <alerts@gavel.example>', tls: { ca: certificates.ca } },
        auth: { basic: { user: 'me', password: 'pw' } },
      },
      recipients: {
        people: { email: ['ann@ops.example', 'Bob <bob@ops.example>'] },
        hook: { webhook: { url: hook.url, secrets: [SECRET] } },
      },
      alerts: { money: { on: 'low_balance', to: ['people', 'hook'] } },
      ...more,
    })
  const low = (...buyers: string[]) =>
    buyers.map((buyer) => ({
      ...{ buyer, currency: 'USD', paidIn: micros(0), used: micros(0), balance: micros(15_000_000) },
      ...{ credit: micros(0), low: micros(20_000_000) },
    }))
  const find = (snapshot: Snapshot, ...buyers: string[]) =>
    passAll([watcher({ kit, snapshot: () => snapshot, balances: async () => low(...buyers) })])
  const outbox = (snapshot: Snapshot) =>
    letterOutbox({ db: kit.db, clock, courier, snapshot: () => snapshot, log: () => {} })
  const due = () => kit.ask('update alert_letters set due_at = now()')
  const failures = async () =>
    (await kit.ask<{ failure: string | null }>('select failure from alert_letters order by recipient')).map(
      ({ failure }) => failure,
    )

  test('says what happened, where, and what to do, by mail and as a signed webhook', async () => {
    const snapshot = configured()
    await find(snapshot, 'acme')
    await Promise.all([outbox(snapshot).pass(), outbox(snapshot).pass()])
    expect(mail.letters).toHaveLength(1)
    const [{ to, head, text }] = mail.letters as [Letter]
    expect(to).toEqual(['ann@ops.example', 'bob@ops.example'])
    expect(head).toContain('Subject: [money] buyer acme has 15.00 USD left, less than 20.00')
    expect(text).toContain('Ask it to pay in and enter the deposit')
    const [{ id }] = (await kit.ask<{ id: number }>('select id from events')) as [{ id: number }]
    expect(text).toContain(`https://gavel.example:9090/admin/v1/events/${id}`)
    expect(text).toContain('https://gavel.example:9090/admin/v1/buyers/acme')
    expect(hook.told).toHaveLength(1)
    const [{ headers, body }] = hook.told as [Hook['told'][0]]
    const { 'webhook-id': webhookId, 'webhook-timestamp': at } = headers
    expect(headers['webhook-signature']).toBe(signature([readSecret(SECRET)!], String(webhookId), Number(at), body))
    expect(JSON.parse(body)).toMatchObject({
      ...{ id: webhookId, alert: 'money', count: 1, text: expect.stringContaining('buyer acme has 15.00 USD left') },
      events: [{ id, on: 'low_balance', subject: 'buyer acme', facts: { balance: '15.00', threshold: '20.00' } }],
    })
    expect(
      (await listEvents(kit.db, 10, { state: 'open' }))[0]!.letters.map(({ recipient, state }) => [recipient, state]),
    ).toEqual([
      ['hook', 'sent'],
      ['people', 'sent'],
    ])
    await outbox(snapshot).pass()
    expect([mail.letters.length, hook.told.length]).toEqual([1, 1])
  })

  test('that is not heard is sent again under the same id, and given up after a day', async () => {
    const snapshot = configured()
    await find(snapshot, 'acme')
    hook.answers = [500, 302]
    mail.refuses = 1
    await outbox(snapshot).pass()
    expect(await failures()).toEqual(['http_500', 'smtp_451'])
    await outbox(snapshot).pass()
    expect(hook.told).toHaveLength(1)
    await due()
    await outbox(snapshot).pass()
    expect(await failures()).toEqual(['http_302', null])
    await due()
    await outbox(snapshot).pass()
    expect(await failures()).toEqual([null, null])
    expect(new Set(hook.told.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(hook.told).toHaveLength(3)
    expect(mail.letters).toHaveLength(1)

    await kit.ask('truncate events, alert_letters')
    await find(snapshot, 'bolt')
    hook.answers = [503]
    await kit.ask(`update alert_letters set queued_at = now() - interval '25 hours'`)
    await outbox(snapshot).pass()
    const [event] = await listEvents(kit.db, 10, { alert: 'money' })
    expect(event!.letters).toMatchObject([
      { recipient: 'hook', state: 'dead', attempts: 1, failure: 'http_503' },
      { recipient: 'people', state: 'sent' },
    ])
  })

  test('tells many at once in one, and counts those that it has no room for', async () => {
    const snapshot = configured()
    await find(snapshot, ...Array.from({ length: 60 }, (_, n) => `b${n}`))
    await outbox(snapshot).pass()
    expect(mail.letters[0]!.head).toContain('Subject: [money] 60 events')
    expect(mail.letters[0]!.text).toContain('And 10 more: GET https://gavel.example:9090/admin/v1/events')
    const { count, events } = JSON.parse(hook.told[0]!.body)
    expect([count, events.length]).toEqual([60, 50])
  })

  test('to a recipient that is no more is nobody’s, and none leaves for an address inside', async () => {
    const snapshot = configured()
    await find(snapshot, 'acme')
    const { recipients: _gone, ...without } = snapshot
    await outbox({ ...without, recipients: new Map() }).pass()
    expect(await failures()).toEqual(['unwanted', 'unwanted'])
    const guarded = createCourier({ clock, allowedCidrs: [] })
    const letter = { id: 'x', alert: 'money', count: 0, events: [], adminUrl: null }
    for (const recipient of snapshot.recipients.values())
      expect(await tell(guarded, recipient, letter, clock)).toEqual({ failure: 'guard' })
    await guarded.close()
    expect([mail.letters.length, hook.told.length]).toEqual([0, 0])
  })
})

test('two engines tell a doubt once, and a restarted one does not tell it again', { timeout: 240_000 }, async () => {
  const hook = await openHook()
  hook.answers = [500]
  const house = await House.open(
    (buyers) =>
      houseConfig(buyers, (config) => {
        config.recipients = { hook: { webhook: { url: hook.url } } }
        config.alerts = { doubt: { on: 'doubts_open', to: ['hook'] } }
        config.contracts.acme.delivery.post_url = `${buyers}/unsure/post`
        delete config.contracts.bolt
      }),
    { buyers: { unsure: { post: { faults: { '503': 1 } } }, '*': { ping: { bid: { fixed: '20.00' } } } } },
  )
  try {
    const [one] = await Promise.all([house.engine(), house.engine()])
    const lead = exampleLead(7_700_001)
    const { json } = await send(`${one!.origin}/v1/campaigns/solar/leads`, lead)
    expect(json.status).toBe('pending')
    const letters = () => house.ask<{ sent: boolean }>('select sent_at is not null as sent from alert_letters')
    await expect.poll(letters, { timeout: 60_000, interval: 100 }).toEqual([{ sent: true }])
    await one!.program.kill9()
    await house.engine()
    // Whoever lives has watched again: it marks what it sees.
    const [before] = await house.ask<{ seen_at: Date }>('select seen_at from events')
    const seen = async () =>
      (await house.ask<{ seen_at: Date }>('select seen_at from events')).at(0)!.seen_at > before!.seen_at
    await expect.poll(seen, { timeout: 60_000, interval: 100 }).toBe(true)
    expect(await letters()).toHaveLength(1)
    expect(await house.ask('select id from events')).toHaveLength(1)
    expect(new Set(hook.told.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(hook.told).toHaveLength(2)
    const values = Object.values(lead as Record<string, unknown>).filter((value) => String(value).length > 5)
    for (const value of values) expect(hook.told[1]!.body).not.toContain(String(value))
  } finally {
    await house.close()
    await hook.close()
  }
})
