/** One scenario's world: a database, a Redis, scripted buyers that write down every post, and engines to be broken. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { leadStream } from '../../bench/leads.ts'
import { closedLoop, type LoadOptions, type LoadResult, openLoop, recordTo } from '../../bench/load.ts'
import { type RedisServer, startRedis } from '../../bench/redis.ts'
import { systemClock } from '../../engine/clock.ts'
import { type Config, Publishing } from '../../engine/configuration/publishing.ts'
import { Vault } from '../../engine/configuration/vault.ts'
import { Reporter } from '../../engine/reports/reporter.ts'
import { BUCKET_COLUMNS } from '../../engine/reports/sums.ts'
import { createSealer, readMasterKeys } from '../../engine/seal.ts'
import { migrate, openPool, queriesOver } from '../../engine/store/postgres.ts'
import { CALM, CAMPAIGN, type MarketOptions, marketConfig, SOURCE_KEY, TEMPERS } from './market.ts'
import { freePort, Program, run } from './processes.ts'
import { until } from './until.ts'

const READY = /^ready (http:\/\/\S+)(?: +admin (http:\/\/\S+))?/
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')

export interface ArenaOptions extends Partial<Omit<MarketOptions, 'buyers'>> {
  /** Server that the arena's own database is made on. */
  readonly server: string
  /** No buyer leaves a doubt behind. */
  readonly calm?: boolean
}

/** Where an engine finds its stores; proxies stand in for them. */
export interface StoreAddresses {
  readonly databaseUrl: string
  readonly redisUrl: string
}

export interface Verdict {
  readonly code: number | null
  readonly invariants: readonly {
    readonly number: number
    readonly verdict: string
    readonly counts: Readonly<Record<string, number>>
  }[]
  /** Everything that was said, for a failing test. */
  readonly text: string
}

/** One engine process that may be replaced by another on the same port. */
export class EngineSlot {
  readonly #start: () => Program
  readonly url: string
  readonly origin: string
  program: Program

  constructor(port: number, start: () => Program) {
    this.#start = start
    this.origin = `http://127.0.0.1:${port}`
    this.url = `${this.origin}/v1/campaigns/${CAMPAIGN}/leads`
    this.program = start()
  }

  async ready(): Promise<void> {
    await this.program.ready()
  }

  /** Another process in the place of one that is gone. */
  async again(): Promise<void> {
    this.program = this.#start()
    await this.ready()
  }
}

export class Arena {
  readonly redis: RedisServer
  readonly databaseUrl: string
  readonly database: pg.Pool
  readonly #folder: string
  readonly #server: string
  #acks: ReturnType<typeof recordTo>
  readonly #leads: Iterator<string>
  /** Answers by `lead_ref`; a lead that got none is not here. */
  readonly answered = new Map<string, string>()
  /** Bodies by `lead_ref`, in the order in which they were sent. */
  readonly sent = new Map<string, string>()
  readonly #slots: EngineSlot[] = []
  readonly #buyers: Program

  private constructor(parts: {
    readonly redis: RedisServer
    readonly server: string
    readonly databaseUrl: string
    readonly folder: string
    readonly buyers: Program
  }) {
    this.redis = parts.redis
    this.#server = parts.server
    this.databaseUrl = parts.databaseUrl
    this.#folder = parts.folder
    this.#buyers = parts.buyers
    this.database = new pg.Pool({ connectionString: parts.databaseUrl, max: 3 })
    this.database.on('error', () => {})
    this.#acks = recordTo(join(parts.folder, 'acks.jsonl'))
    this.#leads = this.#draw()
  }

  static async open(options: ArenaOptions): Promise<Arena> {
    const folder = mkdtempSync(join(tmpdir(), 'gavelpost-chaos-'))
    writeFileSync(join(folder, 'tempers.json'), JSON.stringify({ buyers: options.calm ? CALM : TEMPERS }))
    const record = [
      '--port',
      '0',
      '--quiet',
      '--config',
      join(folder, 'tempers.json'),
      '--record',
      join(folder, 'posts.jsonl'),
    ]
    const buyers = new Program('bench/buyer-sim.ts', record, {}, READY)
    const [redis, databaseUrl] = await Promise.all([startRedis({ aof: true }), createDatabase(options.server)])
    const [, origin] = await buyers.ready()
    const { cap = 1_000_000, standing = 12 } = options
    const market = { ...options, cap, standing, buyers: origin! }
    writeFileSync(join(folder, 'market.json'), marketConfig(market))
    return new Arena({ redis, server: options.server, databaseUrl, folder, buyers })
  }

  /** The market's configuration, as plain data. */
  market(): Config {
    return JSON.parse(readFileSync(join(this.#folder, 'market.json'), 'utf8'))
  }

  /** Publishes in the arena's ledger, as the admin plane does. Whoever opens it ends it. */
  async publishing(): Promise<{ readonly publishing: Publishing; readonly end: () => Promise<void> }> {
    const pool = openPool({ url: this.databaseUrl, connections: 3 })
    await migrate(pool)
    const vault = new Vault(createSealer(readMasterKeys(MASTER_KEY)))
    const publishing = new Publishing({ db: queriesOver(pool), vault, governs: true, mayServeExample: false })
    return { publishing, end: () => pool.end() }
  }

  /** Starts an engine on these stores, the arena's own where none are given; it may not be ready yet. `inLedger`: no file governs it. */
  async engine(stores: Partial<StoreAddresses> = {}, inLedger = false): Promise<EngineSlot> {
    const [port, adminPort] = [await freePort(), await freePort()]
    const env = {
      DATABASE_URL: stores.databaseUrl ?? this.databaseUrl,
      REDIS_URL: stores.redisUrl ?? this.redis.url,
      ...(inLedger ? {} : { CONFIG: join(this.#folder, 'market.json') }),
      DATA_DIR: join(this.#folder, 'data'),
      HOST: '127.0.0.1',
      PORT: String(port),
      ADMIN_PORT: String(adminPort),
      GAVEL_MASTER_KEY: MASTER_KEY,
      DRAIN_MS: '5000',
      LOG_LEVEL: 'info',
    }
    const slot = new EngineSlot(port, () => new Program('engine/main.ts', [], env, READY))
    this.#slots.push(slot)
    return slot
  }

  /** Posts leads to an engine, so many at a time, until told to stop. */
  crowd(slot: EngineSlot, inFlight: number, signal: AbortSignal): Promise<LoadResult> {
    return closedLoop({ ...this.#loadOn(slot, signal), inFlight, seconds: 600 })
  }

  /** Posts leads to an engine, so many a second, whatever it answers, until told to stop. */
  stream(slot: EngineSlot, perSecond: number, signal: AbortSignal): Promise<LoadResult> {
    return openLoop({ ...this.#loadOn(slot, signal), perSecond, seconds: 600, arrivals: 'uniform' })
  }

  #loadOn(slot: EngineSlot, signal: AbortSignal): LoadOptions {
    return {
      url: slot.url,
      key: SOURCE_KEY,
      leads: this.#leads,
      timeoutMs: 20_000,
      signal,
      record: (one) => this.#acks.record(one),
      onDecision: (body) => this.#heard(body),
    }
  }

  /** Posts one lead, drawn anew or given, and answers what came back. */
  async post(slot: EngineSlot, body = this.#leads.next().value as string, signal?: AbortSignal): Promise<Answered> {
    const reply = await fetch(slot.url, {
      ...(signal ? { signal } : {}),
      method: 'POST',
      headers: { authorization: `Bearer ${SOURCE_KEY}`, 'content-type': 'application/json' },
      body,
    })
    const text = await reply.text()
    const said = JSON.parse(text) as { lead_id?: string; status?: string | number; payout?: string; title?: string }
    const one = { lead_id: said.lead_id ?? null, status: String(said.status), payout: said.payout ?? null }
    this.#acks.record({ ...one, http: reply.status, answered_at: Date.now() })
    if (reply.ok) this.#heard(text)
    return { ...one, http: reply.status, title: said.title ?? null, retryAfter: reply.headers.get('retry-after') }
  }

  /** Resolves when no lead is undecided and no post is under way. */
  async drained(withinMs: number): Promise<void> {
    await until('every lead is decided', withinMs, async () => {
      const { rows } = await this.database.query<{ undecided: number; open: number }>(
        `select (select count(*)::int from leads where status is null) as undecided,
           (select count(*)::int from intents where state = 'open') as open`,
      )
      const { undecided, open } = rows[0]!
      if (undecided + open > 0) throw new Error(`${undecided} leads undecided, ${open} posts open`)
      return true
    })
  }

  /** The single number that a query answers. */
  async ask(query: string, values: readonly unknown[] = []): Promise<number> {
    const { rows } = await this.database.query({ text: query, values: [...values], rowMode: 'array' })
    return Number((rows as unknown as [unknown][])[0]![0])
  }

  sales(): Promise<number> {
    return this.ask('select count(*) from sales')
  }

  /** Number under which the ledger knows an engine. */
  engineOf(slot: EngineSlot): Promise<number> {
    return this.ask('select max(id) from engines where pid = $1', [slot.program.pid])
  }

  /** Posts as the buyers wrote them down: of one lead, or all. */
  posts(leadId = ''): { readonly contract: string; readonly answer: string }[] {
    const lines = readFileSync(join(this.#folder, 'posts.jsonl'), 'utf8').split('\n')
    return lines
      .filter((line) => line.includes(`"key":"${leadId}`))
      .map((line) => {
        const { key, answer } = JSON.parse(line) as { key: string; answer: string }
        return { contract: key.slice(key.indexOf(':') + 1), answer }
      })
  }

  /** Reports give what a recount of the ledger gives. */
  async reportsAgree(withinMs: number): Promise<void> {
    const sealer = createSealer(readMasterKeys(MASTER_KEY))
    const pool = openPool({ url: this.databaseUrl, connections: 3 })
    const reporter = new Reporter({ db: queriesOver(pool), sealer, clock: systemClock(), log: () => {} })
    await until('reports equal a recount', withinMs, async () => {
      await reporter.pass()
      return this.ask(RECOUNT)
    }).finally(() => pool.end())
  }

  /** The verifier's word on the stores, the clients' and the buyers' records. */
  async verify(): Promise<Verdict> {
    const [acks, posts] = [join(this.#folder, 'acks.jsonl'), join(this.#folder, 'posts.jsonl')]
    await this.#acks.close()
    this.#acks = recordTo(acks)
    const { code, out, error } = await run(
      'bench/verify.ts',
      ['--json', '--drained', '--acks', acks, '--posts', posts, '--settle-ms', '5000'],
      { DATABASE_URL: this.databaseUrl, REDIS_URL: this.redis.url },
    )
    const { invariants } = (out === '' ? { invariants: [] } : JSON.parse(out)) as Pick<Verdict, 'invariants'>
    return { code, invariants, text: `${out}\n${error}` }
  }

  /** Bodies of the leads that were sent after the first `skip` and got no answer yet. */
  unanswered(skip: number): readonly string[] {
    return [...this.sent].slice(skip).flatMap(([ref, body]) => (this.answered.has(ref) ? [] : [body]))
  }

  /** Last lines of every engine, for a failing test. */
  said(): string {
    return this.#slots.map(({ program }, n) => `engine ${n}:\n${program.said()}`).join('\n\n')
  }

  /** Ends everything; the engines at once. */
  async close(): Promise<void> {
    await Promise.all(this.#slots.map(({ program }) => program.kill9()))
    await this.#buyers.kill9()
    await this.#acks.close()
    await this.database.end()
    await administer(
      this.#server,
      `drop database if exists ${new URL(this.databaseUrl).pathname.slice(1)} with (force)`,
    )
    await this.redis.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #heard(body: string): void {
    const said = JSON.parse(body) as { readonly lead_ref?: string | null }
    if (said.lead_ref) this.answered.set(said.lead_ref, body)
  }

  *#draw(): Generator<string, never> {
    const stream = leadStream({ seed: 20_260_302, vertical: 'solar', duplicateRate: 0.02, badRate: 0.01 })
    for (;;) {
      const { lead } = stream.next().value
      const body = JSON.stringify(lead)
      this.sent.set(String(lead['lead_ref']), body)
      yield body
    }
  }
}

export interface Answered {
  readonly lead_id: string | null
  readonly status: string
  readonly payout: string | null
  readonly http: number
  /** Of a problem. */
  readonly title: string | null
  readonly retryAfter: string | null
}

/** Sums of seats that all three tables of reports have. */
const SEAT_SUMS = [
  'pinged',
  'bids',
  'late_bids',
  'posts',
  'not_sent',
  'rejects',
  'copies',
  'in_doubt',
  'doubts',
  'price_cut',
  'revenue',
]
const sumsOf = (table: string): string =>
  `(select json_build_array(${SEAT_SUMS.map((sum) => `coalesce(sum(${sum}), 0)`)})::text from ${table})`
const ofIntents = (which: string): string =>
  `(select count(*) from intents i join leads l on l.id = i.lead_id where not l.test and i.${which})`
const ofRows = (which: string): string => `(select count(*) from rows where not test and ${which})`

/** 1 where every sum of the reports is the ledger's own. */
const RECOUNT = `
  with rows as materialized (
    select l.test, r->>0 as what, r->>3 as said, r->2 as seats
    from leads l cross join lateral json_array_elements(l.trace::json->'rows') as r
  ), counted as materialized (
    select ${ofRows("what = 'bid'")} as bids, ${ofRows("what = 'late' and said is not null")} as late,
      (select coalesce(sum(json_array_length(seats)), 0) from rows where not test and what = '>ping')
        - ${ofRows("what = 'noBid' and said ~ '^(throttle|breaker|queue_full)'")} as pinged,
      ${ofRows("what = 'noBid' and said !~ '^(throttle|breaker|queue_full|ping_error|ping_timeout)'")} as declined,
      ${ofRows("what in ('accepted', 'rejected')")} as answered,
      (select coalesce(-sum(amount), 0) from entries where account like 'buyer:%') as revenue
  )
  select (
    ${sumsOf('report_leads')} = ${sumsOf('report_seats')} and ${sumsOf('report_leads')} = ${sumsOf('report_joined')}
    and ${sumsOf('report_seats')} = (select json_build_array(pinged, bids, late, ${ofIntents("state <> 'not_sent'")},
      ${ofIntents("state = 'not_sent'")}, ${ofIntents("state = 'rejected'")}, ${ofIntents("state = 'accepted'")},
      ${ofIntents("state = 'in_doubt'")}, ${ofIntents('doubt is not null')},
      (select coalesce(sum(bid - price), 0) from intents where state = 'accepted'), revenue)::text from counted)
    and row(l.valid, l.sold, l.unsold, l.pending, l.revenue, l.payout) is not distinct from row(
      (select count(*) from leads where not test),
      (select count(*) from leads where status = 'sold' and not test),
      (select count(*) from leads where status = 'unsold' and not test),
      (select count(*) from leads where status = 'pending' and not test),
      (select -sum(amount) from entries where account like 'buyer:%'),
      (select sum(amount) from entries where account like 'source:%'))
    and (select coalesce(sum(n), 0) from report_reasons where kind = 'rejected') = ${ofIntents("state = 'rejected'")}
    and ${tookOf('ping')} = (select bids + declined + late from counted)
    and ${tookOf('post')} = (select answered from counted)
  )::int as count
  from (select coalesce(sum(valid), 0) as valid, coalesce(sum(sold), 0) as sold, coalesce(sum(unsold), 0) as unsold,
      coalesce(sum(pending), 0) as pending, sum(revenue) as revenue, sum(payout) as payout from report_leads) as l`

/** How many latencies of a kind were counted. */
function tookOf(kind: 'ping' | 'post'): string {
  const counted = BUCKET_COLUMNS.map((column) => `coalesce(${column}, 0)`).join(' + ')
  return `(select coalesce(sum(${counted}), 0) from report_latencies where kind = '${kind}')`
}

async function createDatabase(server: string): Promise<string> {
  const name = `chaos_${randomBytes(6).toString('hex')}`
  await administer(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

async function administer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  client.on('error', () => {})
  await client.connect()
  await client.query(statement).finally(() => client.end())
}
