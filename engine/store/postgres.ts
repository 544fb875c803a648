/** The way to Postgres: pools that survive what databases do, and the ledger's tables brought up to date. */
import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'
import { FUNCTIONS } from './functions/index.ts'
import { MIGRATIONS } from './migrations/index.ts'
import type { LedgerTables } from './tables.ts'

export interface PostgresSettings {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  /** Most connections of the pool; default 6. */
  readonly connections?: number
  /** A statement that takes longer is ended by the server; default 10,000. */
  readonly statementTimeoutMs?: number
  /** Told of connections that broke while nobody used them. */
  readonly log?: (message: string) => void
}

/** Oldest server whose functions and plans the ledger's own functions rely on. */
const LEAST_VERSION = 150_000
const NUMBER_TYPES = new Set([pg.types.builtins.INT8, pg.types.builtins.NUMERIC])

/** Counts and micros stay far below 2^53, so they come as numbers. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format: 'text' | 'binary') =>
    NUMBER_TYPES.has(id) && format !== 'binary' ? Number : pg.types.getTypeParser(id, format)) as never,
}

/** A pool whose broken connections never end the process. A client that failed must be given back with its error. */
export function openPool(settings: PostgresSettings): pg.Pool {
  const statementTimeoutMs = settings.statementTimeoutMs ?? 10_000
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: settings.connections ?? 6,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: statementTimeoutMs,
    // The server's own limit comes first; this one is for a server that is silent altogether.
    query_timeout: statementTimeoutMs + 2_000,
    keepAlive: true,
    application_name: 'gavelpost',
    types,
  })
  pool.on('error', (error) => settings.log?.(`an idle connection to Postgres broke: ${error.message}`))
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Typed queries over a pool. Whoever opened the pool ends it. */
export function queriesOver(pool: pg.Pool): Kysely<LedgerTables> {
  return new Kysely<LedgerTables>({ dialect: new PostgresDialect({ pool }) })
}

/**
 * Brings the tables up to date; several processes may do so at once. Throws, in words that say what to do, where the
 * server is too old, or knows migrations that this engine does not.
 */
export async function migrate(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ server_version_num: string; server_version: string }>(
    `select current_setting('server_version_num') as server_version_num, current_setting('server_version') as server_version`,
  )
  if (Number(rows[0]!.server_version_num) < LEAST_VERSION) {
    throw new Error(`Postgres ${rows[0]!.server_version} is too old for the ledger: give it version 15 or newer.`)
  }
  const migrator = new Migrator({
    db: queriesOver(pool),
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
    migrationTableName: 'ledger_migrations',
    migrationLockTableName: 'ledger_migrations_lock',
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return putFunctions(pool)
  const failed = results?.find((one) => one.status === 'Error')?.migrationName
  const why = error instanceof Error ? error.message : String(error)
  throw new Error(
    `The ledger's tables could not be brought up to date${failed ? ` (${failed})` : ''}: ${why}. ` +
      'Where a newer engine ran on this database before, start that version or a newer one.',
    { cause: error },
  )
}

/** Held by whoever replaces the functions. */
const LOCK = 'select pg_advisory_xact_lock(76, 0)'
/** Every function of the schema that no extension brought. */
const OWN_FUNCTIONS = `
  select p.oid::regprocedure::text as name, obj_description(p.oid) as text from pg_proc p
  where p.pronamespace = current_schema()::regnamespace
    and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e')`

/**
 * Puts this engine's functions in place of those that the database has, in one transaction, where the text is another.
 * An engine of another version that still runs calls them too: a change of what a function takes needs a new name.
 */
async function putFunctions(pool: pg.Pool): Promise<void> {
  const mark = createHash('sha256').update(FUNCTIONS).digest('hex')
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(LOCK)
    const { rows } = await client.query<{ name: string; text: string | null }>(OWN_FUNCTIONS)
    if (rows.length === 0 || rows.some(({ text }) => text !== mark)) {
      for (const { name } of rows) await client.query(`drop function ${name}`)
      await client.query(FUNCTIONS)
      const { rows: made } = await client.query<{ name: string }>(OWN_FUNCTIONS)
      for (const { name } of made) await client.query(`comment on function ${name} is '${mark}'`)
    }
    await client.query('commit')
  } catch (error) {
    client.release(error as Error)
    throw error
  }
  client.release()
}
