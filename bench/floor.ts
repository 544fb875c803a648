/** The floor: the least work that any engine on these libraries must do for a ten-buyer lead, and nothing that decides anything. */

import { Redis, type Result } from 'ioredis'
import pg from 'pg'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { type Dispatcher, Pool } from 'undici'
import { v7 as uuidv7 } from 'uuid'
import { systemClock } from '../engine/clock.ts'
import { createEdge } from '../engine/edge.ts'
import { type BuyerAddress, contenderSettings, cpuUs, reportReady } from './contender.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    floorCall(key: string, amount: string): Result<number, Context>
  }
}

const REQUIRED = ['first_name', 'last_name', 'email', 'phone', 'state', 'zip']
const OPTIONAL = ['address', 'city', 'ownership', 'bill_band', 'roof_shade', 'utility', 'project_type', 'time_frame']
const SHARED = ['tcpa_text', 'landing_page_url', 'ip_address', 'user_agent', 'trustedform_cert_url']
const TRACKING = ['jornaya_leadid', 'lead_ref', 'click_id', 'sub1', 'sub2', 'sub3']

const CONSTANT_ANSWER = (leadId: string): string =>
  `{"lead_id":"${leadId}","status":"sold","payout":"12.60","currency":"USD","copies":1}`
const CONSTANT_PING = JSON.stringify({
  campaign: 'solar',
  source: 's-4f1d',
  lead: {
    state: 'TX',
    zip: '78701',
    ownership: 'own',
    bill_band: '150-200',
    roof_shade: 'none',
    utility: 'Austin Energy',
  },
}).slice(1)
const CONSTANT_POST = JSON.stringify({
  campaign: 'solar',
  source: 's-4f1d',
  price: '18.50',
  lead: Object.fromEntries(
    [...REQUIRED, ...OPTIONAL, ...SHARED, ...TRACKING].map((name) => [name, `a value of ${name}`]),
  ),
}).slice(1)
/** As long as the record of ten seats is: two events each, and the sale. */
const CONSTANT_TRACE = JSON.stringify(
  Array.from({ length: 28 }, (_, line) => [12 + line, 'bid', line % 10, 18_500_000, 'B-77']),
)

/** Checks one body of 26 fields: parsed and validated, as any engine must. */
function leadReader(): (body: string) => object | null {
  const text = Type.String({ minLength: 1, maxLength: 500 })
  const required = REQUIRED.map((name) => [name, text] as const)
  const optional = [...OPTIONAL, ...SHARED, ...TRACKING].map((name) => [name, Type.Optional(text)] as const)
  const check = Compile(
    Type.Object({ ...Object.fromEntries([...required, ...optional]), tcpa_consent: Type.Boolean() }),
  )
  return (body) => {
    try {
      const lead: unknown = JSON.parse(body)
      return check.Check(lead) ? (lead as object) : null
    } catch {
      return null
    }
  }
}

/** One exchange with one buyer: its whole reply is read and parsed, for no engine can rank what it has not read. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #answered: (price: number) => void
  #body = ''

  constructor(answered: (price: number) => void) {
    this.#answered = answered
  }

  onRequestStart(): void {}
  onResponseStart(): void {}

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#body += chunk.toString('latin1')
  }

  onResponseEnd(): void {
    const reply = JSON.parse(this.#body) as { price?: string }
    this.#answered(Number(reply.price ?? 0))
  }

  onResponseError(_controller: unknown, error: Error): void {
    throw error
  }
}

/** Ten constant pings at once, one constant post, to the scripted buyers. */
class Buyers {
  readonly #pools = new Map<string, Pool>()
  readonly #buyers: readonly BuyerAddress[]
  readonly #headers = ['content-type', 'application/json']

  constructor(buyers: readonly BuyerAddress[]) {
    this.#buyers = buyers
    for (const { origin } of buyers) {
      if (this.#pools.has(origin)) continue
      this.#pools.set(origin, new Pool(origin, { connections: 2048, pipelining: 1, allowH2: false }))
    }
  }

  /** The lead's id is all that differs from lead to lead: by it the buyers know for whom they made the engine wait. */
  pingAll(leadId: string): Promise<number> {
    const body = `{"ping_id":"${leadId}",${CONSTANT_PING}`
    return new Promise((resolve) => {
      let left = this.#buyers.length
      let best = 0
      const answered = (price: number): void => {
        if (price > best) best = price
        if (--left === 0) resolve(best)
      }
      for (const buyer of this.#buyers) this.#send(buyer, buyer.pingPath, body, answered)
    })
  }

  post(leadId: string): Promise<number> {
    const body = `{"lead_id":"${leadId}",${CONSTANT_POST}`
    const buyer = this.#buyers[0]!
    return new Promise((resolve) => this.#send(buyer, buyer.postPath, body, resolve))
  }

  #send(buyer: BuyerAddress, path: string, body: string, answered: (price: number) => void): void {
    this.#pools
      .get(buyer.origin)!
      .dispatch({ method: 'POST', path, headers: this.#headers, body }, new Exchange(answered))
  }
}

const TABLES = `
  create table if not exists floor_lead (lead uuid primary key, source text not null, at bigint not null, body text not null);
  create table if not exists floor_intent (lead uuid primary key, contract text not null, price bigint not null, post_by bigint not null);
  create table if not exists floor_result (lead uuid primary key, status text not null, payout bigint not null, trace text not null);`

const FLUSH = `
  with leads as (insert into floor_lead select * from json_to_recordset($1) as r(lead uuid, source text, at bigint, body text)),
  intents as (insert into floor_intent select * from json_to_recordset($2) as r(lead uuid, contract text, price bigint, post_by bigint))
  insert into floor_result select * from json_to_recordset($3) as r(lead uuid, status text, payout bigint, trace text)`

/** Durable rows in group commits: what queued while the last flush ran goes in one transaction. */
class Rows {
  readonly #client: pg.Client
  #leads: object[] = []
  #intents: object[] = []
  #results: object[] = []
  #waiting: (() => void)[] = []
  #flushing = false

  constructor(client: pg.Client) {
    this.#client = client
  }

  lead(leadId: string, body: string): Promise<void> {
    this.#leads.push({ lead: leadId, source: 'bench', at: Date.now(), body })
    return this.#durable()
  }

  intent(leadId: string): Promise<void> {
    this.#intents.push({ lead: leadId, contract: 'acme', price: 18_500_000, post_by: Date.now() + 5000 })
    return this.#durable()
  }

  result(leadId: string): Promise<void> {
    this.#results.push({ lead: leadId, status: 'sold', payout: 12_600_000, trace: CONSTANT_TRACE })
    return this.#durable()
  }

  #durable(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (!this.#flushing) void this.#flush()
    })
  }

  async #flush(): Promise<void> {
    this.#flushing = true
    // One turn of the loop gathers what arrived together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const values = [this.#leads, this.#intents, this.#results].map((rows) => JSON.stringify(rows))
      const waiting = this.#waiting
      this.#leads = []
      this.#intents = []
      this.#results = []
      this.#waiting = []
      await this.#client.query({ name: 'flush', text: FLUSH, values })
      for (const resolve of waiting) resolve()
    }
    this.#flushing = false
  }
}

async function openRows(databaseUrl: string): Promise<Rows> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(TABLES)
  return new Rows(client)
}

function openHot(redisUrl: string): Redis {
  const redis = new Redis(redisUrl, { enableAutoPipelining: false })
  redis.defineCommand('floorCall', { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" })
  return redis
}

interface World {
  readonly read: (body: string) => object | null
  readonly hot: Redis
  readonly rows: Rows
  readonly campaigns: ReadonlyMap<string, Buyers>
}

/** One lead's way, in the order that durability asks for. Answers null where the body is no lead. */
async function sell(world: World, buyers: Buyers, body: string): Promise<string | null> {
  if (!world.read(body)) return null
  const leadId = uuidv7()
  const received = world.rows.lead(leadId, body)
  await world.hot.floorCall('floor:claim', '1')
  await buyers.pingAll(leadId)
  await world.hot.floorCall('floor:hold', '1')
  await Promise.all([world.hot.floorCall('floor:posting', '1'), world.rows.intent(leadId)])
  await buyers.post(leadId)
  await received
  await world.rows.result(leadId)
  void world.hot.floorCall('floor:commit', '1')
  return CONSTANT_ANSWER(leadId)
}

/** The engine's own edge: it owns the library's rules, and adds 2 us to the 10 us of a handler without them. */
async function serve(world: World, port: number): Promise<number> {
  const edge = await createEdge({
    host: '127.0.0.1',
    port,
    shared: false,
    clock: systemClock(),
    handler: async ({ params, body }) => {
      const answer = await sell(world, world.campaigns.get(params[0]!)!, body.toString())
      return answer === null ? { status: 422, body: '{"status":422}' } : { status: 200, body: answer }
    },
    ready: () => true,
    overloaded: () => false,
    answered: () => {},
    fault: (error) => {
      throw error
    },
  })
  return edge.port
}

const settings = contenderSettings(process.env)
const world: World = {
  read: leadReader(),
  hot: openHot(settings.redisUrl),
  rows: await openRows(settings.databaseUrl),
  campaigns: new Map(Object.entries(settings.buyers).map(([campaign, buyers]) => [campaign, new Buyers(buyers)])),
}
reportReady(`http://127.0.0.1:${await serve(world, settings.port)}`, { cpu: cpuUs })
