/** Posts by mail, to a real mail server: what it took is sold, what it refused is not, and what broke off in between is a doubt. */
import type net from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PostEnd } from '../buyers/wire.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import type { Contract } from '../rules/version.ts'
import { factsOf, HandClock, LEAD_ID, LOOPBACK, rawServer } from './buyers-kit.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { contractWith, faultsOf, leadOf } from './delivery-kit.ts'

const MAIL = { from: 'Lead desk <leads@gavel.example>', to: ['sales@acme.example', 'Boss <boss@acme.example>'] }
const BODY = 'New lead {lead_id}\n{first_name} {last_name}\n{phone | dashed}\n.\nCity: {city}'
const SUBJECT = 'Größe: {first_name} from {state}, and a subject that is too long for one encoded word of a header'

let certificates: Certificates
let clock: HandClock
let wire: OpenBuyersWire
let stop: () => Promise<unknown>
const letters: {
  readonly from: string
  readonly to: readonly string[]
  readonly text: string
  readonly secure: boolean
}[] = []

beforeAll(() => {
  certificates = makeCertificates()
})

beforeEach(() => {
  letters.length = 0
  clock = new HandClock()
  wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK })
  stop = () => Promise.resolve()
})

afterEach(async () => {
  await wire.close()
  await stop()
})

/** A mail server that keeps what it takes, and says what the test wants it to. Its address, for one port of its own. */
async function mailServer(options: Partial<SMTPServerOptions> = {}): Promise<string> {
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    ...certificates.server,
    onAuth: ({ username, password }, _session, done) =>
      username === 'me' && password === 'pw' ? done(null, { user: 'me' }) : done(new Error('no')),
    onData: (stream, { envelope, secure }, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = envelope
        letters.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString('latin1'),
          secure,
        })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {})
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  stop = () => new Promise((down) => server.close(() => down(null)))
  return `127.0.0.1:${(server.server.address() as net.AddressInfo).port}`
}

function contractTo(url: string, more: object = {}, mail: object = {}): Contract {
  return contractWith(
    {
      ping_url: undefined,
      post_url: url,
      tls: { ca: certificates.ca },
      post: { format: 'text', body: BODY, mail: { ...MAIL, subject: SUBJECT, ...mail } },
      ...more,
    },
    { price: '20.00' },
  )
}

function mailTo(contract: Contract, postBy = 1e15): Promise<PostEnd> {
  return new Promise((ended) =>
    wire.post(contract, leadOf(), factsOf(contract), postBy as never, ended, () => {
      throw new Error('a letter has no late answer')
    }),
  )
}

const refusal = (code: number, words: string) => Object.assign(new Error(words), { responseCode: code })

/** The parts of a letter that has several, as a mail program shows them. */
function partsOf(letter: string): { readonly head: Readonly<Record<string, string>>; readonly body: string }[] {
  const boundary = /boundary="([^"]+)"/.exec(letter)![1]!
  return letter
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((text) => {
      const [head, body] = text.trim().split('\r\n\r\n')
      const lines = head!.split('\r\n').map((line) => line.split(': '))
      return {
        head: Object.fromEntries(lines.map(([name, value]) => [name!.toLowerCase(), value!])),
        body: Buffer.from(body!, 'base64').toString(),
      }
    })
}

describe('a letter', () => {
  it.each(['smtp', 'smtps'] as const)('by %s is sold once the server has taken it', async (scheme) => {
    const address = await mailServer({ secure: scheme === 'smtps' })
    expect(await mailTo(contractTo(`${scheme}://${address}`))).toEqual({
      kind: 'accepted',
      price: null,
      buyerReference: null,
      redirectUrl: null,
    })
    const [letter] = letters
    expect(letter).toMatchObject({
      from: 'leads@gavel.example',
      to: ['sales@acme.example', 'boss@acme.example'],
      secure: true,
    })
    const [head, body] = letter!.text.split('\r\n\r\n')
    expect(head).toContain(
      'From: Lead desk <leads@gavel.example>\r\nTo: sales@acme.example,\r\n Boss <boss@acme.example>\r\n',
    )
    expect(head).toContain(`Message-ID: <${LEAD_ID}.acme@gavel.example>`)
    expect(head).toContain('Date: Mon, 02 Mar 2026 16:00:00 +0000')
    const subject = /Subject: ((?:.|\r\n )+?)\r\n[A-Z]/.exec(head!)![1]!
    for (const line of `Subject: ${subject}`.split('\r\n')) expect(line.length).toBeLessThanOrEqual(78)
    const words = subject.split('\r\n ').map((word) => Buffer.from(word.slice('=?UTF-8?B?'.length, -2), 'base64'))
    expect(Buffer.concat(words).toString()).toBe(SUBJECT.replace('{first_name}', 'Zoë').replace('{state}', 'TX'))
    expect(Buffer.from(body!, 'base64').toString()).toBe(
      `New lead ${LEAD_ID}\r\nZoë O'Neil & <Sons>\r\n512-234-0199\r\n.\r\nCity: Austin`,
    )
    expect(wire.stats().posts.inFlight).toBe(0)
  })

  it('carries the lead as a file, where its contract asks for one', async () => {
    const address = await mailServer()
    const body = {
      Lead: '{lead_id}',
      Phone: '{phone}',
      Name: '{first_name} {last_name}',
      Shade: '{roof_shade?}',
      N: 7,
    }
    const attach = { format: 'csv', name: 'lead {first_name}/{lead_id}.csv', body }
    expect(await mailTo(contractTo(`smtp://${address}`, {}, { attach }))).toMatchObject({ kind: 'accepted' })
    expect(await mailTo(contractTo(`smtp://${address}`, {}, { attach: { format: 'json' } }))).toMatchObject({
      kind: 'accepted',
    })
    const [table, json] = letters.map(({ text }) => partsOf(text))
    expect(table!.map(({ head }) => head['content-type'])).toEqual([
      'text/plain; charset=utf-8',
      'text/csv; charset=utf-8; header=present',
    ])
    expect(table![0]!.body).toMatch(/^New lead .*\r\nZoë /)
    expect(table![1]).toMatchObject({
      head: { 'content-disposition': `attachment; filename="lead Zo_${LEAD_ID}.csv"` },
      body: `Lead,Phone,Name,Shade,N\r\n${LEAD_ID},+15122340199,Zoë O'Neil & <Sons>,,7\r\n`,
    })
    expect(json![1]!.head['content-disposition']).toBe(`attachment; filename="lead-${LEAD_ID}.json"`)
    const { lead_id, first_name, zip, ...rest } = JSON.parse(json![1]!.body) as Record<string, unknown>
    expect([lead_id, first_name, zip, 'sub1' in rest]).toEqual([LEAD_ID, 'Zoë', '78701', false])
  })

  it('tells what is wrong with its file', () => {
    const many = Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`c${at}`, '{zip}']))
    const faults = (attach: object) =>
      faultsOf({
        ...{ ping_url: undefined, post_url: 'smtp://mail.acme.example' },
        post: { format: 'text', body: BODY, mail: { ...MAIL, subject: SUBJECT, attach } },
      }).filter((fault) => fault.includes('attach'))
    const at = 'contracts.acme.delivery.post.mail.attach'
    expect(faults({ format: 'csv', body: { a: '{zipp}' } })).toEqual([expect.stringContaining(`${at}.body.a: `)])
    expect(faults({ format: 'csv', body: { c: { d: 'x' } } })).toEqual([
      expect.stringContaining(`${at}.body.c: is nested`),
    ])
    expect(faults({ format: 'csv', body: { b: ['{zip}'] } })).toEqual([
      `${at}.body.b: is a list, and a cell holds one text: write {a, b | join:", "}.`,
    ])
    expect(faults({ format: 'json', body: many })).toEqual([`${at}.body: has 201 names: at most 200 make a file.`])
    expect(faults({ format: 'xls' })).toHaveLength(1)
    expect(faults({})).toHaveLength(1)
  })

  it('shows who sends it', async () => {
    const address = await mailServer({ authOptional: false })
    const as = (password: string) => contractTo(`smtp://${address}`, { auth: { basic: { user: 'me', password } } })
    expect(await mailTo(as('pw'))).toMatchObject({ kind: 'accepted' })
    expect(await mailTo(as('guess'))).toMatchObject({ kind: 'notSent', reason: expect.stringMatching(/^rejected:535/) })
    expect(letters).toHaveLength(1)
  })

  it('does not leave by a server that cannot prove who it is', async () => {
    const address = await mailServer()
    expect(await mailTo(contractTo(`smtp://${address}`, { tls: undefined }))).toEqual({
      kind: 'notSent',
      reason: 'tls',
    })
    const inside = contractTo(`smtp://${address}`)
    const moved = { ...inside, delivery: { ...inside.delivery, postUrl: 'smtp://192.168.7.7' } }
    expect(await mailTo(moved)).toEqual({ kind: 'notSent', reason: 'guard' })
    await stop()
    stop = () => Promise.resolve()
    expect(await mailTo(contractTo(`smtp://${address}`))).toEqual({ kind: 'notSent', reason: 'connect' })
    expect(letters).toEqual([])
  })
})

describe('a mail server that refuses', () => {
  it.each([
    [
      'the sender for good',
      { onMailFrom: (_a: unknown, _s: unknown, done: (e: Error) => void) => done(refusal(550, 'we know you')) },
      'rejected',
      /^rejected:550/,
    ],
    [
      'everybody it is for, for good',
      { onRcptTo: (_a: unknown, _s: unknown, done: (e: Error) => void) => done(refusal(550, 'no such user')) },
      'rejected',
      /^rejected:550/,
    ],
    [
      'for a while',
      { onRcptTo: (_a: unknown, _s: unknown, done: (e: Error) => void) => done(refusal(451, 'later')) },
      'notSent',
      /^rejected:451/,
    ],
    [
      'the letter that it has read',
      {
        onData: (stream: NodeJS.ReadableStream, _s: unknown, done: (e: Error) => void) =>
          stream.resume().on('end', () => done(refusal(554, 'spam'))),
      },
      'rejected',
      /^rejected:554/,
    ],
  ] as const)('%s', async (_, options, kind, reason) => {
    const address = await mailServer(options as Partial<SMTPServerOptions>)
    expect(await mailTo(contractTo(`smtp://${address}`))).toEqual({ kind, reason: expect.stringMatching(reason) })
  })
})

describe('a mail server that breaks off', () => {
  /** Speaks in the clear, as a server on the same machine may, and hangs up or falls silent at a word. */
  async function brokenServer(at: 'MAIL' | 'DATA' | 'letter', act: (socket: net.Socket) => void): Promise<string> {
    const server = await rawServer(
      (socket, data) => {
        const text = data.toString()
        const word = /^(?:EHLO|MAIL|RCPT|DATA)/.test(text) ? text.slice(0, 4) : 'letter'
        if (word === at) return act(socket)
        socket.write(word === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
      },
      (socket) => socket.write('220 here\r\n'),
    )
    stop = server.close
    return server.url.replace('http:', 'smtp:')
  }

  it('before the letter has sent nothing; in the letter it is a doubt', async () => {
    const hangUp = (socket: net.Socket) => socket.destroy()
    expect(await mailTo(contractTo(await brokenServer('MAIL', hangUp)))).toEqual({ kind: 'notSent', reason: 'connect' })
    await stop()
    expect(await mailTo(contractTo(await brokenServer('DATA', hangUp)))).toEqual({ kind: 'notSent', reason: 'connect' })
    await stop()
    expect(await mailTo(contractTo(await brokenServer('letter', hangUp)))).toEqual({ kind: 'unknown', reason: 'reset' })
  })

  it('by silence: nothing was sent before the letter, a doubt after it', async () => {
    for (const [at, end] of [
      ['MAIL', { kind: 'notSent', reason: 'connect' }],
      ['letter', { kind: 'unknown', reason: 'timeout' }],
    ] as const) {
      let silent = (): void => {}
      const heard = new Promise<void>((resolve) => {
        silent = resolve
      })
      const contract = contractTo(await brokenServer(at, silent))
      const ended = mailTo(contract)
      await heard
      clock.advance(contract.postMs)
      expect(await ended).toEqual(end)
      expect(clock.waiting).toBe(0)
      await stop()
    }
  })

  it('and a letter whose time has passed is held back at the last moment', async () => {
    const address = await brokenServer('letter', () => {
      throw new Error('the letter came')
    })
    expect(await mailTo(contractTo(address), 500)).toEqual({ kind: 'notSent', reason: 'post_by' })
    const server = await rawServer(
      (socket, data) => {
        if (data.toString().startsWith('DATA')) clock.advance(2_000)
        socket.write(data.toString().startsWith('DATA') ? '354 go on\r\n' : '250 ok\r\n')
      },
      (socket) => socket.write('220 here\r\n'),
    )
    expect(await mailTo(contractTo(server.url.replace('http:', 'smtp:')), 2_000)).toEqual({
      kind: 'notSent',
      reason: 'post_by',
    })
    await server.close()
  })
})

describe('the configuration of a letter', () => {
  const POST = 'contracts.acme.delivery.post'
  it('is told of everything that means nothing in a mail', () => {
    const bare = { ping_fields: ['zip'], post_url: 'smtp://mail.acme.example' }
    expect(
      faultsOf({ ...bare, post: { body: { a: 1 }, method: 'PUT', query: { a: 'b' }, reply: { accept: 'ok' } } }).slice(
        0,
        5,
      ),
    ).toEqual([
      `${POST}.mail: is missing: post_url is a mail server, so say from, to and subject.`,
      `${POST}.format: must be text: that is what a mail holds.`,
      `${POST}.method: means nothing in a mail: remove it.`,
      `${POST}.query: means nothing in a mail: remove it.`,
      `${POST}.reply: means nothing in a mail: remove it.`,
    ])
    const mail = { ...MAIL, subject: '{nothing}' }
    expect(faultsOf({ ping_fields: ['zip'], post: { mail } })[0]).toBe(
      `${POST}.mail: belongs to a post whose post_url is smtp: or smtps:. Remove it.`,
    )
    const letter = { format: 'text', body: 'x', mail: { ...mail, to: ['nobody'] } }
    const [shape, url, key] = faultsOf({
      ...bare,
      post_url: 'smtp://mail.acme.example/box',
      auth: { bearer: 'x' },
      post: letter,
    })
    expect([shape, url, key]).toEqual([
      `${POST}.mail.to[0]: is "nobody": give a mail address.`,
      'contracts.acme.delivery.post_url: names more than a mail server and its port: remove what follows.',
      'contracts.acme.delivery.auth: must be basic: a mail server takes a user and a password.',
    ])
    expect(faultsOf({ ping_url: 'smtp://mail.acme.example', ping_fields: ['zip'] })[0]).toContain('ping_url: ')
  })
})
