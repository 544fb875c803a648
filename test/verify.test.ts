/** The verifier finds nothing wrong with what the engine writes, and finds each thing that is made wrong. */

import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Acknowledgement } from '../bench/load.ts'
import { type RedisServer, startRedis } from '../bench/redis.ts'
import { verifyProgram } from '../bench/verify/program.ts'
import type { BuyersWire, PostEnd } from '../buyers/wire.ts'
import { Balances } from '../engine/balances.ts'
import { systemClock } from '../engine/clock.ts'
import { type ConductPorts, conduct } from '../engine/conduct.ts'
import { Versions } from '../engine/configuration/versions.ts'
import { startPostgres } from '../engine/embedded.ts'
import { PostgresLedger } from '../engine/ledger.ts'
import { LiveLeads } from '../engine/live.ts'
import { createMetrics } from '../engine/metrics.ts'
import { makePartitions } from '../engine/partitions.ts'
import { Returns } from '../engine/returns/returns.ts'
import { createSealer } from '../engine/seal.ts'
import type { FinalRow, HotDump, ReceivedRow } from '../engine/store/port.ts'
import { migrate, openPool, queriesOver } from '../engine/store/postgres.ts'
import { numberVersion } from '../engine/store/queries.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { openingOf } from '../rules/eligibility.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { owedOf } from '../rules/prices.ts'
import { reason } from '../rules/reason.ts'
import { formatMoney, micros, wallMs } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { type FreshDatabase, freshDatabase, stopOwnPostgres } from './postgres.ts'
import { NO_CHECKS } from './world/checks.ts'

const VERIFY = fileURLToPath(new URL('../bench/verify.ts', import.meta.url))
const ZONE = 'America/Chicago'

const contract = (buyer: string, campaign: string, more: object = {}): object => ({
  buyer,
  campaign,
  tier: 'main',
  status: 'active',
  price_from: 'reply',
  caps: { day: 100, concurrency: 10, spend: { month: '10000.00' } },
  post_ms: 5000,
  delivery: { ping_url: `https://${buyer}.example/ping`, post_url: `https://${buyer}.example/post` },
  ...more,
})
const campaign = (copies: number, payout: object = { share: 0.7 }): object => ({
  vertical: 'solar',
  zone: ZONE,
  payout,
  total_ms: 20_000,
  plan: [{ tier: 'main', strategy: 'auction', copies }],
  caps: { week: 1000 },
})
const CONFIG = {
  sources: {
    demo: { pseudonym: 'S-1', status: 'active', campaigns: ['solo', 'share', 'paid'], keys: [], caps: { hour: 1000 } },
  },
  campaigns: {
    solo: campaign(1),
    share: campaign(2),
    paid: campaign(1, { fixed: '3.00', payout_on: 'accepted' }),
  },
  buyers: {
    acme: { zone: ZONE, group: 'north', caps: { month: 500 }, balance: { credit: '500.00' } },
    bolt: { zone: ZONE },
    casa: { zone: 'America/New_York', group: 'north' },
  },
  contracts: {
    'acme-share': contract('acme', 'share', { returns: { share: 1 } }),
    'acme-solo': contract('acme', 'solo'),
    'bolt-paid': contract('bolt', 'paid'),
    'bolt-share': contract('bolt', 'share'),
    'bolt-solo': contract('bolt', 'solo'),
    'casa-share': contract('casa', 'share'),
  },
}

/** What a contract does with a lead: bids nothing, or bids and ends the post so. */
type Script = Readonly<Record<string, readonly [bid: string, end: PostEnd]>>
const ACCEPTED: Extract<PostEnd, { kind: 'accepted' }> = {
  kind: 'accepted',
  price: null,
  buyerReference: 'B-1',
  redirectUrl: null,
}
const REJECTED: PostEnd = { kind: 'rejected', reason: 'rejected:not_wanted' }
const DOUBT: PostEnd = { kind: 'unknown', reason: 'timeout' }

interface World {
  readonly database: FreshDatabase
  readonly redis: RedisServer
  readonly ids: Readonly<Record<string, string>>
  readonly acks: Acknowledgement[]
  readonly posts: { at: number; key: string; answer: string }[]
}

let world: World
let folder = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gavelpost-verify-'))
  chmodSync(folder, 0o711)
  world = await sellSomeLeads()
}, 60_000)

afterAll(async () => {
  await world?.redis.stop()
  await world?.database.drop()
  await stopOwnPostgres()
  rmSync(folder, { recursive: true, force: true })
})

/** A small ledger, written by the conductor through the real stores: every end that a lead may have. */
async function sellSomeLeads(): Promise<World> {
  const [database, redis] = [await freshDatabase(), await startRedis()]
  const clock = systemClock()
  const pool = openPool({ url: database.url })
  await migrate(pool)
  const db = queriesOver(pool)
  await makePartitions(db, Date.now())
  const compiled = compileVersion(CONFIG, 1)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  await numberVersion(db, compiled.snapshot.canonical)
  await pool.query('update hot_store set epoch = 1')
  const { rows } = await pool.query<{ id: number }>("insert into engines (host, pid) values ('here', 1) returning id")
  const ledger = await PostgresLedger.open({ url: database.url, engine: rows[0]!.id, clock })
  const hot = await openRedisStore({ url: redis.url })
  const tags = ['s:demo', 'c:solo', 'c:share', 'c:paid', 'b:acme', 'b:bolt', 'b:casa']
  await hot.restore({ epoch: 1, committed: [], tokens: [], scopes: [], locks: [], sightings: [], tags })
  const play = new Play(compiled.snapshot, ledger, hot)
  const ids = {
    sold: await play.lead('solo', { 'acme-solo': ['20.00', ACCEPTED], 'bolt-solo': ['10.00', ACCEPTED] }),
    second: await play.lead('solo', { 'acme-solo': ['20.00', REJECTED], 'bolt-solo': ['10.00', ACCEPTED] }),
    cut: await play.lead('solo', { 'acme-solo': ['20.00', { ...ACCEPTED, price: micros(15_000_000) }] }),
    pending: await play.lead('solo', { 'acme-solo': ['20.00', DOUBT], 'bolt-solo': ['10.00', ACCEPTED] }),
    resolved: await play.lead('solo', { 'acme-solo': ['21.00', DOUBT] }),
    unresolved: await play.lead('solo', { 'bolt-solo': ['11.00', DOUBT] }),
    unsold: await play.lead('solo', {}),
    shared: await play.lead('share', { 'acme-share': ['9.00', ACCEPTED], 'bolt-share': ['8.00', ACCEPTED] }),
    half: await play.lead('share', { 'acme-share': ['9.00', DOUBT], 'bolt-share': ['8.00', ACCEPTED] }),
    owed: await play.lead('paid', {}),
    paid: await play.lead('paid', { 'bolt-paid': ['1.00', ACCEPTED] }),
    duplicate: await play.duplicate('solo'),
    returned: await play.lead('share', { 'acme-share': ['9.01', ACCEPTED], 'bolt-share': ['8.00', ACCEPTED] }),
    recovered: await play.lead('solo', { 'bolt-solo': ['10.00', ACCEPTED] }, true),
  }
  await pool.query('select resolve_doubt($1, $2, null, null, $3, $4, $5, $6, null, null, $7)', [
    ...[rows[0]!.id, ids.resolved, 'accepted', 'won', 'won', 21_000_000, 'operator'],
  ])
  await hot.commit(`${ids.resolved}:acme-solo:1.1`, play.placesOf(ids.resolved), clock.wall())
  const returns = new Returns({
    db,
    sealer: createSealer(new Map([[1, Buffer.alloc(32)]])),
    versions: new Versions(db),
  })
  const by = { role: 'operator', label: 'ann' }
  const asked = { leadId: ids.returned, contract: 'acme-share', reasonCode: 'wrong_number', note: null, by }
  const { id } = (await returns.ask(asked)) as { id: string }
  await returns.decide({ id, approve: true, note: null, by })
  await new Balances({ db, hot, clock, snapshot: () => compiled.snapshot, log: () => {} }).look()
  await ledger.close()
  await hot.close()
  await pool.end()
  return { database, redis, ids, acks: play.acks, posts: play.posts }
}

/** Plays leads one after the other; buyers answer at once. */
class Play {
  readonly acks: Acknowledgement[] = []
  readonly posts: World['posts'] = []
  readonly #snapshot: Snapshot
  readonly #ledger: PostgresLedger
  readonly #hot: RedisStore
  readonly #places = new Map<string, Parameters<RedisStore['commit']>[1]>()
  #script: Script = {}

  constructor(snapshot: Snapshot, ledger: PostgresLedger, hot: RedisStore) {
    this.#snapshot = snapshot
    this.#ledger = ledger
    this.#hot = hot
  }

  placesOf = (leadId: string) => this.#places.get(leadId)!

  async lead(campaignId: string, script: Script, recovered = false): Promise<string> {
    this.#script = script
    const { facts, lead, row } = this.#arrival(campaignId)
    const settling: Promise<unknown>[] = []
    await this.#ledger.received(row)
    const ports = this.#ports(settling)
    const live = conduct(
      ports,
      facts,
      openingOf(facts.campaign, lead, facts.source, facts.receivedAt, ports.hints),
      recovered,
    )
    const answer = await new Promise<{ status: string; payout: number } | null>((told) => live.waiters.push(told))
    this.#acknowledge(row.leadId, answer!.status, answer!.status === 'sold' ? answer!.payout : null)
    await ports.live.empty()
    await Promise.all(settling)
    this.#places.set(row.leadId, live.held.get(0)?.groups ?? [])
    return row.leadId
  }

  async duplicate(campaignId: string): Promise<string> {
    const { row } = this.#arrival(campaignId)
    const final = { status: 'duplicate', payout: micros(0), copies: 0, reasons: [], redirectUrl: null } as const
    const end = { ...final, trace: '', sighting: null, outcomes: {}, awaited: false }
    const finalRow: FinalRow = { ...row, term: 1, results: [], final: end }
    await Promise.all([this.#ledger.received(row), this.#ledger.result(finalRow)])
    this.#acknowledge(row.leadId, 'duplicate', null)
    return row.leadId
  }

  #acknowledge(lead_id: string, status: string, payout: number | null): void {
    const told = payout === null ? null : formatMoney(micros(payout))
    const http = status === 'pending' ? 202 : 200
    this.acks.push({ lead_id, status, payout: told, http, answered_at: Date.now() })
  }

  #arrival(campaignId: string) {
    const receivedAt = wallMs(Date.now())
    const of = this.#snapshot.campaigns.get(campaignId)!
    const source = this.#snapshot.sources.get('demo')!
    const lead = parsed(of.vertical, receivedAt)
    const leadId = uuidv7()
    const wire = { id: leadId, campaign: campaignId, sourcePseudonym: 'S-1', lead, fragments: new Map(), test: false }
    const row: ReceivedRow = {
      ...{ leadId, campaign: campaignId, source: 'demo', version: 1, mode: 'sync', test: false, receivedAt },
      ...{ leadRef: null, idempotency: null, fingerprints: [`solar:${leadId}`] },
      ...{ claimEpoch: null, remembers: 3, keepMs: 86_400_000 },
      ...{ currency: 'USD', owed: owedOf(of, source, null), sealed: 'c2VhbGVk', wrappedKey: 'a2V5', keyVersion: 1 },
    }
    const facts = { ...row, term: 1, snapshot: this.#snapshot, campaign: of, source, wire }
    return { facts, lead, row }
  }

  #ports(settling: Promise<unknown>[]) {
    const hot = new Proxy(this.#hot, {
      get: (store, name) => {
        const value = store[name as 'commit']
        if (typeof value !== 'function') return value
        return (...args: Parameters<RedisStore['commit']>) => {
          const called = value.apply(store, args)
          if (called instanceof Promise) settling.push(called)
          return called
        }
      },
    })
    return {
      ...{ clock: systemClock(), wire: this.#wire(), hot, ledger: this.#ledger, live: new LiveLeads(10) },
      ...{ hints: { exhausted: () => null, doubts: () => false, unwell: () => false } },
      ...{
        warm: async () => false,
        hotLater: () => {},
        lateReply: () => {},
        givenUp: () => {},
        metrics: createMetrics(),
      },
      ...{ checks: NO_CHECKS, sawFull: () => {}, denied: () => null, throttled: () => null },
      ...{ conceal: (_: string, text: string) => text, dice: () => 7, mayAct: () => true },
    } satisfies ConductPorts & { hints: unknown }
  }

  #wire(): BuyersWire {
    return {
      ping: (of, _lead, _lateAt, answered) => {
        const bid = this.#script[of.id]?.[0]
        if (bid === undefined) setImmediate(answered, { kind: 'noBid', reason: reason('no_bid', 'not_interested') })
        else setImmediate(answered, { kind: 'bid', price: micros(Number(bid) * 1_000_000), buyerReference: null })
      },
      post: (of, lead, _facts, _postBy, ended) => {
        const end = this.#script[of.id]![1]
        const answer = end.kind === 'unknown' ? 'none' : end.kind
        this.posts.push({ at: Date.now() + 0.5, key: `${lead.id}:${of.id}`, answer })
        setImmediate(ended, end)
      },
      close: async () => {},
    }
  }
}

function parsed(vertical: Parameters<typeof parseLead>[0], at: ReturnType<typeof wallMs>): Lead {
  const read = parseLead(vertical, { ...LEAD }, at)
  if (!read.ok) throw new Error(JSON.stringify(read.issues))
  return read.lead
}

const LEAD = {
  ...{
    first_name: 'Ann',
    last_name: 'Lee',
    phone: '512-555-0142',
    email: 'ann@example.com',
    state: 'TX',
    zip: '78701',
  },
  ...{ address: '1100 Congress Ave', city: 'Austin', ownership: 'own', bill_band: '100-200', roof_shade: 'none' },
  ...{ project_type: 'install', time_frame: 'within_3_months' },
}

type Settings = Readonly<Record<string, string | undefined>>

interface Seen {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** Runs the verifier in this process; `asProcess` does so as `npm run verify` does. */
async function verify(args: readonly string[] = [], settings: Settings = {}): Promise<Seen> {
  const said = { out: '', error: '' }
  const code = await verifyProgram(
    args,
    { DATABASE_URL: world.database.url, REDIS_URL: world.redis.url, ...settings },
    {
      out: (text) => {
        said.out += `${text}\n`
      },
      error: (text) => {
        said.error += `${text}\n`
      },
    },
  )
  return { code, ...said }
}

async function asProcess(args: readonly string[], settings: Settings = {}): Promise<Seen> {
  const child = spawn(process.execPath, [VERIFY, ...args], {
    env: { PATH: process.env['PATH'], DATABASE_URL: world.database.url, REDIS_URL: world.redis.url, ...settings },
  })
  let [out, error] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    error += chunk
  })
  const code = await new Promise<number | null>((done) => child.once('close', done))
  return { code, out, error }
}

async function planted(
  statement: string,
  values: readonly unknown[] = [],
  args: readonly string[] = [],
): Promise<Seen> {
  const url = new URL(world.database.url)
  const name = `${url.pathname.slice(1)}_planted`
  await inDatabase('postgres', `create database ${name} template ${url.pathname.slice(1)}`)
  try {
    await inDatabase(name, statement, values)
    url.pathname = `/${name}`
    return await verify(['--settle-ms', '0', ...args], { DATABASE_URL: url.href })
  } finally {
    await inDatabase('postgres', `drop database ${name} with (force)`)
  }
}

async function inDatabase(name: string, statement: string, values: readonly unknown[] = []): Promise<void> {
  const url = new URL(world.database.url)
  url.pathname = `/${name}`
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  await client.query(statement, [...values]).finally(() => client.end())
}

const recordsOf = (acks: readonly object[], posts: readonly object[]): string[] => {
  const [ackFile, postFile] = [join(folder, 'acks.jsonl'), join(folder, 'posts.jsonl')]
  writeFileSync(ackFile, acks.map((one) => `${JSON.stringify(one)}\n`).join(''))
  writeFileSync(postFile, posts.map((one) => `${JSON.stringify(one)}\n`).join(''))
  return ['--acks', ackFile, '--posts', postFile]
}

/** The line of one invariant, and what stands below it. */
function sectionOf(seen: Seen, number: number): string {
  const lines = seen.out.split('\n')
  const from = lines.findIndex((line) => line.startsWith(`${number}  `))
  const to = lines.findIndex((line, at) => at > from && !line.startsWith('     '))
  return lines.slice(from, to < 0 ? undefined : to).join('\n')
}

/** Exactly these invariants are violated, and the first of them says this. */
function expectViolated(seen: Seen, numbers: readonly number[], saying: string): void {
  expect(seen.error).toBe('')
  const violated = [1, 2, 3, 4, 5, 6, 8].filter((number) => / VIOLATED /.test(sectionOf(seen, number).split('\n')[0]!))
  expect(violated, seen.out).toEqual(numbers)
  expect(sectionOf(seen, numbers[0]!)).toContain(saying)
  expect(seen.code).toBe(1)
}

describe('a ledger that the engine wrote', () => {
  it('is found to be in order, invariant by invariant, with what was counted', async () => {
    const seen = await asProcess(['--drained', ...recordsOf(world.acks, world.posts)])
    expect(seen.out).toContain('all hold')
    expect(seen).toMatchObject({ code: 0, error: '' })
    const counted = /1 {2}every .* holds +leads 14 +terminal 12 +in doubt 2 +under way 0 +acknowledged 14 +answers 14/
    expect(seen.out).toMatch(counted)
    expect(sectionOf(seen, 4)).toMatch(/holds +counters \d+ +posting 3/)
    expect(sectionOf(seen, 6)).toContain('USD: buyers pay')
    expect(sectionOf(seen, 6)).toMatch(/returns 1 +balances 1 /)
    expect(sectionOf(seen, 8)).toMatch(/replayed 13/)
  })

  it('is told to machines as JSON', async () => {
    const seen = await verify(['--json'])
    const told = JSON.parse(seen.out) as { ok: boolean; invariants: { number: number; verdict: string }[] }
    expect(told.ok).toBe(true)
    expect(told.invariants.map(({ number, verdict }) => `${number} ${verdict}`)).toEqual(
      [1, 2, 3, 4, 5, 6, 8].map((number) => `${number} holds`),
    )
  })
})

/** Full key of the one counter that begins so. */
async function counterOf(prefix: string): Promise<string> {
  const client = new Redis(world.redis.url)
  const keys = await client.hkeys('gp:caps:{b:acme}')
  await client.quit()
  return keys.find((key) => key.startsWith(prefix))!
}

/** Puts a value of a Redis hash aside, verifies, and puts it back. */
async function withHash(key: string, field: string, value: string | null): Promise<Seen> {
  const client = new Redis(world.redis.url)
  const before = await client.hget(key, field)
  const put = (text: string | null) => (text === null ? client.hdel(key, field) : client.hset(key, field, text))
  await put(value)
  const seen = await verify(['--settle-ms', '0'])
  await put(before)
  await client.quit()
  return seen
}

describe('what is wrong is found', () => {
  const of = (name: string): string => world.ids[name]!
  const acksBut = (name: string, change: Partial<Acknowledgement>): Acknowledgement[] =>
    world.acks.map((one) => (one.lead_id === of(name) ? { ...one, ...change } : one))
  const postsBut = (name: string, moved: number): object[] =>
    world.posts.map((one) => (one.key.startsWith(of(name)) ? { ...one, at: one.at + moved } : one))

  describe('1', () => {
    it('a lead that was acknowledged and is not in the ledger', async () => {
      const lost = { lead_id: uuidv7(), status: 'sold', payout: '1.00', http: 200, answered_at: Date.now() }
      const seen = await asProcess(recordsOf([...world.acks, lost], world.posts))
      expectViolated(seen, [1], `lead ${lost.lead_id} was answered sold, and is not in the ledger`)
    })

    it('a lead that was never decided', async () => {
      const seen = await planted(
        `insert into leads (id, campaign, source, version, mode, test, received_at, keyed, fingerprints, keep_ms,
           currency, sealed, owner)
         select $1, campaign, source, version, mode, test, now() - interval '1 hour', keyed, '{}', 0, currency, sealed, owner
         from leads where id = $2`,
        [uuidv7(), of('sold')],
      )
      expectViolated(seen, [1], 'is undecided after 360')
    })

    it('an answer that the ledger does not keep', async () => {
      const unsold = await verify(recordsOf(acksBut('sold', { status: 'unsold', payout: null }), world.posts))
      expectViolated(unsold, [1], 'was answered unsold, but the ledger says sold')
      const dearer = await verify(recordsOf(acksBut('sold', { payout: '14.01' }), world.posts))
      expectViolated(dearer, [1, 5], 'the payout 14.01 that was told is not')
    })
  })

  describe('2', () => {
    const ALSO_TO_BOLT = `
      insert into intents (lead_id, contract, term, attempt, buyer, copy, state, bid, price, payout, held_at, post_by, post_ms,
        in_doubt, places, epoch, engine, created_at, reason_name)
      select lead_id, 'bolt-solo', 1, 1, 'bolt', 1, 'accepted', bid, price, payout, held_at, post_by, post_ms, in_doubt, '[]',
        epoch, engine, created_at, 'won' from intents where lead_id = $1`

    it('an exclusive lead that was sold twice', async () => {
      const seen = await planted(ALSO_TO_BOLT, [of('sold')])
      expectViolated(seen, [2, 3, 6], `lead ${of('sold')} has 2 sales or doubts, and may have 1`)
    })

    it('a shared lead that two of one group bought', async () => {
      const seen = await planted("update intents set contract = 'casa-share' where lead_id = $1 and copy = 1", [
        of('shared'),
      ])
      expectViolated(seen, [2, 3, 6, 8], 'was sold twice to the group north')
    })

    it('a buyer that took a lead which the ledger sold to another', async () => {
      const taken = { ...world.posts.find(({ key }) => key === `${of('second')}:acme-solo`)!, answer: 'accepted' }
      const posts = world.posts.map((one) => (one.key === taken.key ? taken : one))
      const seen = await verify(recordsOf(world.acks, posts))
      expectViolated(seen, [2], 'acme-solo says that it took it, and the ledger that rejected')
    })
  })

  describe('3', () => {
    it('a cap that was exceeded', async () => {
      const seen = await planted(`
        update versions set canonical = replace(canonical, '"month":500', '"month":2');
        update intents set places = replace(places::text, '"limit":500,', '"limit":2,')::json;
        update versions set created_at = now() - interval '1 hour'`)
      expectViolated(seen, [3], 'made it 3 of 2')
    })

    it('a hold that left a cap out', async () => {
      const seen = await planted("update intents set places = '[]' where lead_id = $1", [of('sold')])
      expectViolated(seen, [3], 'took no place in source:demo:hour:count:')
    })
  })

  describe('4', () => {
    const caps = 'gp:caps:{b:acme}'
    const tokens = 'gp:tokens:{b:acme}'

    it('a counter that has drifted', async () => {
      const seen = await withHash(caps, await counterOf('contract:acme-solo:day:count:'), '9')
      expectViolated(seen, [4], 'counts 8 without what is held, and the ledger committed 3')
    })

    it('places that are held for nobody', async () => {
      const seen = await withHash(tokens, `${uuidv7()}:acme-solo:1.1`, 'p')
      expect(seen.code).toBe(0)
      const token = `${uuidv7()}:acme-solo:1.1`
      const held = await withHash(tokens, token, 'p contract:acme-solo:total:count:total 0 0')
      expectViolated(held, [4], `${token} holds places for a post that the ledger does not know`)
    })

    it('a doubt whose places went back', async () => {
      const seen = await withHash(tokens, `${of('pending')}:acme-solo:1.1`, 'r')
      expectViolated(seen, [4], 'the hot store does not hold its place in buyer:acme:month:count:')
    })
  })

  describe('5', () => {
    it('a post that left before its INTENT', async () => {
      const seen = await verify(recordsOf(world.acks, postsBut('second', -60_000)))
      expectViolated(seen, [5], 'before its INTENT was in the ledger')
    })

    it('a post that came after its moment', async () => {
      const seen = await verify(recordsOf(world.acks, postsBut('pending', 60_000)))
      expectViolated(seen, [5], 'ms after its post must not leave')
    })

    it('two posts on one INTENT, and a sale that its buyer never saw', async () => {
      const again = [...world.posts, ...world.posts.filter(({ key }) => key.startsWith(of('sold')))]
      expectViolated(await verify(recordsOf(world.acks, again)), [5], 'acme-solo 2 times, on 1 INTENTs')
      const none = world.posts.filter(({ key }) => !key.startsWith(of('shared')))
      expectViolated(await verify(recordsOf(world.acks, none)), [5], 'was sold to a buyer that never took it')
    })

    it('but not the post of a doubt that was sent again because its buyer was asked', async () => {
      const doubted = world.posts.filter(({ key }) => key.startsWith(of('pending')))
      const again = recordsOf(world.acks, [...world.posts, ...doubted.map((one) => ({ ...one, at: one.at + 600_000 }))])
      expectViolated(await verify(again), [5], 'acme-solo 2 times, on 1 INTENTs')
      const asked = `insert into inquiries (lead_id, contract, tries, due_at) values ($1, 'acme-solo', 1, now())`
      expect((await planted(asked, [of('pending')], again)).code).toBe(0)
    })

    it('an answer that came before its RESULT', async () => {
      const seen = await verify(recordsOf(acksBut('sold', { answered_at: Date.now() - 600_000 }), world.posts))
      expectViolated(seen, [5], 'was answered as sold for 14.00 before its RESULT was durable')
    })

    it('an INTENT that became durable too late', async () => {
      const seen = await planted("update intents set created_at = post_by + interval '1 second' where lead_id = $1", [
        of('unresolved'),
      ])
      expectViolated(seen, [5], 'became durable after its post must not leave any more')
    })
  })

  describe('6', () => {
    it('an entry that is off by a micro', async () => {
      const seen = await planted("update entries set amount = amount + 1 where lead_id = $1 and account = 'margin'", [
        of('sold'),
      ])
      expectViolated(seen, [6], 'add up to 1 micros, not 0')
    })

    it('a check that was paid and is in no trace', async () => {
      const seen = await planted(
        `insert into entries (lead_id, copy, cause, account, amount, currency)
         values ($1, 0, 'check', 'check:fraud', 5, 'USD'), ($1, 0, 'check', 'margin', -5, 'USD')`,
        [of('sold')],
      )
      expectViolated(seen, [6], 'has an entry of check:fraud, which was not called for it')
    })

    it('a sale that is not what was accepted', async () => {
      const seen = await planted('update sales set payout = payout + 10000 where lead_id = $1', [of('cut')])
      expectViolated(seen, [6], 'has a sale of copy 0 that is not what acme-solo accepted')
    })

    it('a source that is owed for an unsold lead and is not paid, or twice', async () => {
      const none = await planted("delete from entries where lead_id = $1 and cause = 'accepted'", [of('owed')])
      expectViolated(none, [6], `lead ${of('owed')} is owed 3000000 micros in any case: source:demo has no entry`)
      const twice = await planted(
        `insert into entries select lead_id, 0, 'accepted', account, case account when 'margin' then -3000000 else 3000000 end,
           currency from entries where lead_id = $1 and account in ('margin', 'source:demo')`,
        [of('paid')],
      )
      expectViolated(twice, [6], 'source:demo has 3000000, not 0')
      const told = await planted('update leads set payout = 0 where id = $1', [of('owed')])
      expectViolated(told, [6], 'is said to earn 0 micros')
    })

    it('sums that a recount does not give', async () => {
      const hours = await planted("update rollups set n = n + 1 where kind = 'lead' and reason = 'unsold'")
      expectViolated(hours, [6], 'the rollups say 2 of "solo demo  lead unsold", and a recount 1')
      const seats = await planted("update rollups set n = n + 1 where kind = 'in_doubt'")
      expectViolated(seats, [6], 'in_doubt timeout", and a recount')
      const sums = await planted('update sold_sums set price = price + 1')
      expectViolated(sums, [6], 'sold_sums of')
    })

    it('a return that reverses no sale, more than one, or other money than was paid', async () => {
      const more = await planted(
        `update entries set amount = amount + case account when 'margin' then -1 else 1 end
         where lead_id = $1 and cause = 'return' and (account = 'margin' or account like 'buyer:%')`,
        [of('returned')],
      )
      expectViolated(more, [6], 'has the return of acme-share entered wrongly: buyer:acme has 9010001, not 9010000')
      const none = await planted('delete from returns')
      expectViolated(none, [6], 'gives copy 0 back, and nobody approved its return')
      const another = await planted(
        `insert into returns select gen_random_uuid(), $1, contract, copy, buyer, campaign, source, currency, price, held_at,
           sold_at, reason_code, note, state, clawback_from, beyond_terms, asked_by, asked_at, decided_by, decided_at,
           verdict_note, clawback from returns`,
        [of('sold')],
      )
      expectViolated(another, [6], `lead ${of('sold')} has a return of acme-share, which did not buy it`)
      const taken = await planted(
        'update leads set payout = payout - 10000, clawed_back = clawed_back + 10000 where id = $1',
        [of('returned')],
      )
      expectViolated(taken, [6], 'is said to have 1 copies and 6310000 micros back, and has 1 and 6300000')
      const unsold = await planted("update leads set status = 'unsold', copies = 0 where id = $1", [of('returned')])
      expect(sectionOf(unsold, 6)).toContain('has a copy back and is unsold, not sold')
    })

    it('a balance that is not what its entries add up to, or was not given back what came back', async () => {
      const total = await planted('update balances set total = total + 1')
      expectViolated(total, [4, 6], 'buyer:acme:balance:spend:USD has')
      expect(sectionOf(total, 6)).toContain('balance acme USD is')
      const kept = await planted(
        `with gone as (delete from balance_entries where cause = 'return' returning amount)
         update balances set seq = seq - 1, total = total - (select amount from gone)`,
      )
      expect(sectionOf(kept, 6)).toContain(
        `acme was not given back 9010000 micros (return:${of('returned')}:acme-share)`,
      )
    })

    it('a sale of a lead that is not there', async () => {
      const seen = await planted('delete from leads where id = $1', [of('sold')])
      expectViolated(seen, [6], `there is an intent of lead ${of('sold')}`)
    })
  })

  it('8: a trace that replays otherwise', async () => {
    const seen = await planted(
      `update leads set trace = replace(trace, '">hold",0,1,20000000', '">hold",0,1,20000001') where id = $1`,
      [of('second')],
    )
    expectViolated(seen, [8], `lead ${of('second')}: row`)
  })
})

describe('where it cannot look', () => {
  it.each([
    { why: 'nobody answers', env: { DATABASE_URL: 'postgres://a:b@127.0.0.1:1/none' }, says: 'ECONNREFUSED' },
    { why: 'a setting is wrong', env: { ADMIN_PORT: 'door' }, says: 'ADMIN_PORT is "door"' },
    { why: 'a record is not there', args: ['--acks', '/nowhere/acks.jsonl'], says: 'ENOENT' },
    { why: 'it was told what it does not know', args: ['--akcs', 'x'], says: 'npm run verify -- [--json]' },
  ])('it says so and ends with 2: $why', async ({ env, args, says }) => {
    const seen = await asProcess(args ?? [], env)
    expect(seen.error).toContain(says)
    expect(seen).toMatchObject({ code: 2, out: '' })
  })

  it('an in-process hot store is gone with its engine', async () => {
    const seen = await verify([], { REDIS_URL: '', ADMIN_PORT: '1' })
    expect(seen.out).toMatch(/4 {2}the hot .* not applicable/)
    expect(seen.code).toBe(0)
  })
})

describe('where the hot store is in the engine', () => {
  /** An admin port as the engine has it, for one of its keys. */
  async function adminPort(dump: HotDump) {
    const server = createServer((request, response) => {
      const known = request.headers.authorization === 'Bearer k1' && request.url === '/admin/v1/hot'
      response.writeHead(known ? 200 : 401).end(known ? JSON.stringify(dump) : '{}')
    })
    await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
    return { server, settings: { REDIS_URL: '', ADMIN_PORT: String((server.address() as AddressInfo).port) } }
  }

  it('it is asked over the admin port, with its key', async () => {
    const store = await openRedisStore({ url: world.redis.url })
    store.setEpoch(1)
    const dump = await store.dump()
    await store.close()
    const { server, settings } = await adminPort(dump)
    const seen = await verify(['--admin-key', 'k1'], settings)
    expect(seen.out).toMatch(/4 {2}the hot .* holds /)
    const refused = await verify([], settings)
    expect(refused).toMatchObject({ code: 2, out: '' })
    expect(refused.error).toContain('answered 401: give its admin key with --admin-key')
    server.close()
  })

  it('one of another epoch is cold', async () => {
    const { server, settings } = await adminPort({ epoch: 7, counters: {}, paid: {}, tokens: [] })
    const seen = await verify(['--admin-key', 'k1', '--settle-ms', '0'], settings)
    expect(sectionOf(seen, 4)).toMatch(/not applicable.*\n.* is cold: nothing capped is sold/)
    server.close()
  })

  it('with the engine down, the embedded Postgres is started for as long as it takes', async () => {
    const dataDir = join(folder, 'data')
    const server = await startPostgres({ dataDir, log: () => {} })
    const pool = openPool({ url: server.url })
    await migrate(pool)
    await pool.end()
    await server.stop()
    const seen = await verify(['--drained'], { DATABASE_URL: '', REDIS_URL: '', DATA_DIR: dataDir, ADMIN_PORT: '1' })
    expect(seen.out).toMatch(/1 {2}every .* holds +leads 0/)
    expect(seen.out).toContain('all hold')
    expect(seen.code).toBe(0)
  })
})
