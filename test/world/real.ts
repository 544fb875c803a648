/** The stores of production, for stories: a Redis and a Postgres of their own, and what may befall them. */
import { Redis } from 'ioredis'
import type pg from 'pg'
import { systemClock } from '../../engine/clock.ts'
import { PostgresLedger } from '../../engine/ledger.ts'
import { makePartitions } from '../../engine/partitions.ts'
import { migrate, openPool, queriesOver } from '../../engine/store/postgres.ts'
import { openRedisStore, type RedisStore } from '../../engine/store/redis.ts'
import type { PlaceGroup } from '../../rules/caps.ts'
import type { Cast } from './cast.ts'
import { type Stores, tagsOf } from './stage.ts'

const PREFIX = 'gp-stories:'

interface OpenIntent {
  readonly token: string
  readonly state: string
  readonly places: readonly PlaceGroup[]
}

/** One connection to each, for all stories of a run. */
export class RealHouse {
  readonly #databaseUrl: string
  readonly #pool: pg.Pool
  readonly #redis: Redis
  readonly #hot: RedisStore

  private constructor(databaseUrl: string, pool: pg.Pool, redis: Redis, hot: RedisStore) {
    this.#databaseUrl = databaseUrl
    this.#pool = pool
    this.#redis = redis
    this.#hot = hot
  }

  /** `databaseUrl`: an empty database. */
  static async open(redisUrl: string, databaseUrl: string): Promise<RealHouse> {
    const pool = openPool({ url: databaseUrl })
    await migrate(pool)
    await makePartitions(queriesOver(pool), Date.now())
    const hot = await openRedisStore({ url: redisUrl, prefix: PREFIX })
    return new RealHouse(databaseUrl, pool, new Redis(redisUrl), hot)
  }

  /** Stores under a new engine, for one story. Nobody has had a turn yet. */
  async stores(): Promise<RealStores> {
    const { rows } = await this.#pool.query<{ id: number }>(
      "insert into engines (host, pid) values ('story', 1) returning id",
    )
    const engine = rows[0]!.id
    await forget(this.#redis)
    const ledger = await PostgresLedger.open({ url: this.#databaseUrl, engine, clock: systemClock(), connections: 1 })
    return new RealStores(this.#pool, this.#redis, this.#hot, ledger, engine)
  }

  async close(): Promise<void> {
    await forget(this.#redis)
    await Promise.all([this.#hot.close(), this.#redis.quit(), this.#pool.end()])
  }
}

class RealStores implements Stores {
  readonly hot: RedisStore
  readonly ledger: PostgresLedger
  readonly #pool: pg.Pool
  readonly #redis: Redis
  readonly #engine: number

  constructor(pool: pg.Pool, redis: Redis, hot: RedisStore, ledger: PostgresLedger, engine: number) {
    this.#pool = pool
    this.#redis = redis
    this.hot = hot
    this.ledger = ledger
    this.#engine = engine
  }

  async rebuild(cast: Cast): Promise<void> {
    const { rows: epochs } = await this.#pool.query<{ epoch: number }>(
      'update hot_store set epoch = epoch + 1 returning epoch',
    )
    const { epoch } = epochs[0]!
    const { rows } = await this.#pool.query<OpenIntent>(
      `select lead_id || ':' || contract || ':' || term || '.' || attempt as token, state, places from intents
       where engine = $1 and state in ('open', 'in_doubt', 'accepted')`,
      [this.#engine],
    )
    const sold = rows.filter((row) => row.state === 'accepted').flatMap((row) => row.places)
    const lasting = sold.map(({ tag, places }) => ({ tag, places: places.filter((place) => !place.transient) }))
    const tokens = rows
      .filter((row) => row.state !== 'accepted')
      .map(({ token, places }) => ({ token, state: 'posting' as const, groups: places }))
    this.hot.setEpoch(epoch)
    await this.hot.restore({
      epoch,
      committed: [...cast.sold, ...lasting],
      paid: cast.paid,
      tokens,
      scopes: [],
      locks: [],
      sightings: [],
      tags: tagsOf(cast),
    })
  }

  forget(): Promise<void> {
    return forget(this.#redis)
  }

  async fence(): Promise<void> {
    await this.#pool.query('select fence_self($1)', [this.#engine])
  }

  /** What the ledger says of a lead afterwards. */
  async record(leadId: string): Promise<LedgerSays> {
    const { rows: leads } = await this.#pool.query<Omit<LedgerSays, 'intents' | 'sales' | 'earned'>>(
      'select status, payout, copies, trace from leads where id = $1',
      [leadId],
    )
    const { rows: intents } = await this.#pool.query<{ contract: string; state: string }>(
      'select contract, state from intents where lead_id = $1 order by created_at',
      [leadId],
    )
    const { rows: earned } = await this.#pool.query<{ earned: number }>(
      "select coalesce(sum(amount), 0)::bigint as earned from entries where lead_id = $1 and account like 'source:%'",
      [leadId],
    )
    const { rows: sales } = await this.#pool.query<{ contract: string; price: number }>(
      'select contract, price from sales where lead_id = $1',
      [leadId],
    )
    return {
      ...leads[0]!,
      earned: earned[0]!.earned,
      intents: Object.fromEntries(intents.map(({ contract, state }) => [contract, state])),
      sales: Object.fromEntries(sales.map(({ contract, price }) => [contract, price])),
    }
  }

  async close(): Promise<void> {
    await this.ledger.close()
  }
}

export interface LedgerSays {
  readonly status: string | null
  readonly payout: number
  /** By its entries. */
  readonly earned: number
  readonly copies: number
  /** JSON text. */
  readonly trace: string | null
  /** State of the last intent of each contract. */
  readonly intents: Readonly<Record<string, string>>
  /** Prices by contract. */
  readonly sales: Readonly<Record<string, number>>
}

async function forget(redis: Redis): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${PREFIX}*`, count: 1_000 }))
    if (keys.length > 0) await redis.del(...(keys as string[]))
}
