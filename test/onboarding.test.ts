/** A contract is tried on its buyer before it goes live: what is sent, where, how it is read, and what becomes of its status. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Publishing } from '../engine/configuration/publishing.ts'
import { Vault } from '../engine/configuration/vault.ts'
import { type TrialPage, testContract } from '../engine/onboarding.ts'
import { configWith } from './delivery-kit.ts'
import { clock, LedgerKit, sealer } from './ledger-kit.ts'

const OPS = { label: 'ops', role: 'operator' } as const
const ROOT = { label: 'root', role: 'admin' } as const

interface Heard {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let kit: LedgerKit
let buyer: Server
let url: string
let heard: Heard[] = []
let says: (path: string) => string

beforeAll(async () => {
  kit = await LedgerKit.open()
  buyer = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      heard.push({ url: request.url!, headers: request.headers, body })
      response.setHeader('content-type', 'application/json')
      response.end(says(request.url!))
    })
  })
  await new Promise<void>((up) => buyer.listen(0, '127.0.0.1', up))
  url = `http://127.0.0.1:${(buyer.address() as AddressInfo).port}`
})
afterAll(async () => {
  buyer.closeAllConnections()
  await new Promise((down) => buyer.close(down))
  await kit.close()
})
beforeEach(() => {
  heard = []
  says = (path) =>
    JSON.stringify({ status: 'ok', bid: path.includes('ping') ? '$12.50' : null, id: 'q-1', echo: 'k3y-of-acme' })
})
afterEach(async () => {
  await kit.ask('delete from draft; delete from versions')
})

const REPLY = { accept: { path: 'status', equals: 'ok' }, price: 'bid', buyer_reference: 'id', reason: 'why' }

async function published(contract: object = {}, delivery: object = {}, governs = true): Promise<Publishing> {
  const settings = { db: kit.db, vault: new Vault(sealer), mayServeExample: true }
  const config = configWith(
    {
      ping_url: `${url}/ping`,
      post_url: `${url}/post`,
      auth: { header: { name: 'X-Key', value: 'k3y-of-acme' } },
      keys: { mine: 'b0dy-k3y' },
      ping: { body: { zip: '{zip}', test: '{test}', key: '{key.mine}' }, reply: REPLY },
      post: {
        body: { name: '{first_name}', bid: '{buyer_reference}', price: '{price}', key: '{key.mine}' },
        reply: REPLY,
      },
      ...delivery,
    },
    contract,
  )
  const first = await new Publishing({ ...settings, governs: true }).apply(ROOT, config, 0, null)
  if (!first.ok) throw new Error(JSON.stringify(first))
  return new Publishing({ ...settings, governs })
}

async function tried(publishing: Publishing): Promise<TrialPage> {
  const made = await testContract({ clock, publishing }, OPS, 'acme')
  if (!made.ok) throw new Error(JSON.stringify(made))
  return made.page
}

const statusOf = async (publishing: Publishing) =>
  (await publishing.draft()).config as { contracts: { acme: { status?: string } } }

describe('a trial', () => {
  it('pings and posts a made-up test lead, shows all of it but the secrets, and lets the contract live when it passes', async () => {
    const publishing = await published({ status: 'test' })
    const page = await tried(publishing)
    expect(heard.map(({ url: path, body }) => [path, JSON.parse(body)])).toEqual([
      ['/ping', { zip: '78701', test: true, key: 'b0dy-k3y' }],
      ['/post', { name: 'Jane', bid: 'q-1', price: '12.50', key: 'b0dy-k3y' }],
    ])
    expect(heard[1]!.headers).toMatchObject({
      'x-key': 'k3y-of-acme',
      'idempotency-key': expect.stringMatching(/:acme$/),
    })
    expect(page).toMatchObject({
      passed: true,
      status: 'active',
      ping: {
        sent: { method: 'POST', url: `${url}/ping`, body: '{"zip":"78701","test":true,"key":"*****"}' },
        reply: { status: 200, body: '{"status":"ok","bid":"$12.50","id":"q-1","echo":"*****"}' },
        read: { outcome: 'bid', price: '12.50', buyer_reference: 'q-1' },
      },
      post: { read: { outcome: 'accepted', price: null, buyer_reference: 'q-1', onward: null } },
      next: expect.stringContaining('publish the draft'),
    })
    expect(JSON.stringify(page)).not.toMatch(/k3y-of-acme|b0dy-k3y/)
    expect((await statusOf(publishing)).contracts.acme.status).toBe('active')
  })

  it('goes to the test addresses where there are some', async () => {
    const publishing = await published({}, { test_ping_url: `${url}/try/ping`, test_url: `${url}/try/post` })
    expect(await tried(publishing)).toMatchObject({ passed: true, status: 'active' })
    expect(heard.map((one) => one.url)).toEqual(['/try/ping', '/try/post'])
  })

  it('that does not pass changes nothing, and says where it failed', async () => {
    const publishing = await published({ status: 'test' })
    says = () => '{"status":"no","why":"closed"}'
    expect(await tried(publishing)).toMatchObject({
      passed: false,
      status: 'test',
      post: null,
      ping: { read: { outcome: 'no_bid', reason: 'no_bid:closed' } },
      next: expect.stringContaining('The ping got no bid'),
    })
    expect(heard).toHaveLength(1)
    says = (path) => (path === '/ping' ? '{"status":"ok","bid":3}' : 'garbage')
    expect(await tried(publishing)).toMatchObject({
      passed: false,
      status: 'test',
      post: { reply: { status: 200, body: 'garbage' }, read: { outcome: 'rejected', reason: 'http_200' } },
    })
    expect((await statusOf(publishing)).contracts.acme.status).toBe('test')
  })

  it('of a contract that an operator has paused leaves it paused', async () => {
    const publishing = await published({ status: 'paused' })
    expect(await tried(publishing)).toMatchObject({ passed: true, status: 'paused' })
    expect((await statusOf(publishing)).contracts.acme.status).toBe('paused')
  })

  it('tells what to write where a file governs', async () => {
    const publishing = await published({ status: 'test' }, {}, false)
    const page = await tried(publishing)
    expect(page).toMatchObject({ passed: true, status: 'test', next: expect.stringContaining('in the file') })
  })

  it('is not made of what is not there, or of a draft with faults', async () => {
    const publishing = await published()
    expect(await testContract({ clock, publishing }, OPS, 'nobody')).toEqual({ ok: false, code: 'UNKNOWN' })
    await publishing.edit(OPS, 'contracts.acme', (config) => ({ config: { ...config, buyers: {} } }))
    expect(await testContract({ clock, publishing }, OPS, 'acme')).toMatchObject({ ok: false, code: 'FAULTY' })
    expect(heard).toEqual([])
  })
})
