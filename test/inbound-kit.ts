/** A house for tests of what sources send: engines as real processes on a database of their own, and scripted buyers in this one. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { request } from 'undici'
import { type MockBuyers, type MockOptions, startMockBuyers } from '../bench/mock-buyer.ts'
import { Program } from './chaos/processes.ts'
import { type FreshDatabase, freshDatabase, stopOwnPostgres } from './postgres.ts'
import { type RedisServer, startRedis } from './redis.ts'

const READY = /^ready (http:\/\/\S+) +admin (http:\/\/\S+)/
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** One answer: status, headers, and the body as text and, where it is JSON, as a value. */
export interface Heard {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks into
  readonly json: any
}

export interface Door {
  readonly origin: string
  /** Of its admin plane. */
  readonly admin: string
  readonly program: Program
}

export class House {
  readonly buyers: MockBuyers
  readonly databaseUrl: string
  /** A Redis of its own: engines of two ledgers must not share one. */
  readonly redisUrl: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'gavelpost-inbound-'))
  readonly #drop: () => Promise<void>
  readonly #doors: Door[] = []
  readonly #pool: pg.Pool

  private constructor(buyers: MockBuyers, database: FreshDatabase, redis: RedisServer, config: object) {
    const { url } = database
    this.buyers = buyers
    this.databaseUrl = url
    this.redisUrl = redis.url
    this.#drop = async () => {
      await Promise.all([database.drop(), redis.stop()])
    }
    this.#pool = new pg.Pool({ connectionString: url, max: 2 })
    this.#pool.on('error', () => {})
    writeFileSync(join(this.#folder, 'config.json'), JSON.stringify(config))
  }

  /** `config` is given where the buyers are. */
  static async open(config: (buyersUrl: string) => object, tempers: MockOptions): Promise<House> {
    const started = [startMockBuyers({ keep: true, ...tempers }), freshDatabase(), startRedis()] as const
    const [buyers, database, redis] = await Promise.all(started)
    return new House(buyers, database, redis, config(buyers.url))
  }

  /** Another engine on the same stores. */
  async engine(): Promise<Door> {
    const env = {
      DATABASE_URL: this.databaseUrl,
      REDIS_URL: this.redisUrl,
      CONFIG: join(this.#folder, 'config.json'),
      HOST: '127.0.0.1',
      PORT: '0',
      ADMIN_PORT: '0',
      GAVEL_MASTER_KEY: MASTER_KEY,
      DRAIN_MS: '3000',
    }
    const program = new Program('engine/main.ts', [], env, READY)
    const [, origin, admin] = await program.ready()
    const door = { origin: origin!, admin: admin!, program }
    this.#doors.push(door)
    return door
  }

  async ask<T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> {
    return (await this.#pool.query<T>(text, values)).rows
  }

  /** What buyers were sent at these paths, as JSON, in the order of arrival. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks into
  seen(kind: 'ping' | 'post' | 'check', buyer?: string): any[] {
    return this.buyers.requests
      .filter((one) => one.kind === kind && (buyer === undefined || one.buyer === buyer))
      .map((one) => JSON.parse(one.body.toString()))
  }

  async close(): Promise<void> {
    for (const { program } of this.#doors) program.signal('SIGTERM')
    await Promise.all(this.#doors.map(({ program }) => program.gone()))
    await this.#pool.end()
    await this.buyers.close()
    await this.#drop()
    await stopOwnPostgres()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Posts JSON with a key; another body or content type where `more` says so. */
export async function send(
  url: string,
  body: object | string,
  more: { readonly key?: string | null; readonly type?: string; readonly headers?: Record<string, string> } = {},
): Promise<Heard> {
  const key = more.key === undefined ? 'mill' : more.key
  const headers = {
    'content-type': more.type ?? 'application/json',
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    ...more.headers,
  }
  return heardOf(
    await request(url, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) }),
  )
}

export async function look(url: string, headers: Record<string, string> = {}): Promise<Heard> {
  return heardOf(await request(url, { method: 'GET', headers }))
}

async function heardOf(reply: Awaited<ReturnType<typeof request>>): Promise<Heard> {
  const text = await reply.body.text()
  const isJson = String(reply.headers['content-type']).includes('json')
  return { status: reply.statusCode, headers: reply.headers, text, json: isJson ? JSON.parse(text) : null }
}

/** Sources mill and other, campaign solar, buyers acme and bolt who bid by ping. `change` bends it. */
// biome-ignore lint/suspicious/noExplicitAny: a configuration that tests bend out of shape has none
export function houseConfig(buyersUrl: string, change: (config: any) => void = () => {}): object {
  const contract = (buyer: string) => ({
    buyer,
    campaign: 'solar',
    status: 'active',
    post_ms: 3_000,
    delivery: {
      ping_url: `${buyersUrl}/${buyer}/ping`,
      post_url: `${buyersUrl}/${buyer}/post`,
      ping_fields: ['state', 'zip', 'ownership', 'bill_band'],
    },
  })
  const source = (pseudonym: string, key: string) => ({
    pseudonym,
    status: 'active',
    campaigns: ['solar'],
    keys: [{ sha256: sha256(key) }, { sha256: sha256(`${key}-test`), test: true }],
  })
  const config = {
    sources: { mill: source('S-1', 'mill'), other: source('S-2', 'other') },
    campaigns: {
      solar: {
        vertical: 'solar',
        zone: 'America/Chicago',
        floor: '5.00',
        payout: { share: 0.7 },
        total_ms: 10_000,
        plan: [{ tier: 'open', strategy: 'auction', ping_ms: 1_000 }],
      },
    },
    buyers: {
      acme: { zone: 'America/Chicago', legal_entity: 'Acme Solar LLC', tcpa_text: 'I agree that Acme may call me.' },
      bolt: { zone: 'America/Chicago', legal_entity: 'Bolt Energy Inc' },
    },
    contracts: { acme: contract('acme'), bolt: contract('bolt') },
    network: { allowed_cidrs: ['127.0.0.1/32'] },
  }
  change(config)
  return config
}
