/** What an engine stands on: Postgres with its tables, the sealer's keys, the example's buyers, the configuration in force. */
import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { Clock } from '../buyers/wire.ts'
import type { Snapshot } from '../rules/version.ts'
import { type ConfigurationFile, faultsInWords, loadConfiguration } from './configuration.ts'
import { startPostgres } from './embedded.ts'
import type { Env } from './env.ts'
import { EXAMPLE_FILE, type ScriptedBuyers, startScriptedBuyers } from './example.ts'
import { Partitions } from './partitions.ts'
import { Retention } from './retention.ts'
import { createSealer, keptMasterKeys, type Sealer } from './seal.ts'
import { migrate, openPool, queriesOver } from './store/postgres.ts'
import { numberVersion } from './store/queries.ts'
import type { LedgerTables } from './store/tables.ts'

/** Takes one line for the operator. */
export type Note = (line: string) => void

export interface Foundation {
  readonly databaseUrl: string
  readonly pool: pg.Pool
  readonly db: Kysely<LedgerTables>
  readonly partitions: Partitions
  readonly sealer: Sealer
  readonly file: ConfigurationFile
  readonly snapshot: Snapshot
  /** Stops what was started here, in the order in which it may be missed. */
  stop(): Promise<void>
}

/** What of the embedded server's own log an operator must see. The rest quotes statements. */
const GRAVE = /\b(FATAL|PANIC): /

/** A start that failed for a reason that the operator can mend: `message` says how. */
export class CannotStart extends Error {}

/** `buyersOrigin`: where another process has started the example's buyers already. */
export async function layFoundation(
  env: Env,
  clock: Clock,
  note: Note,
  buyersOrigin: string | null,
): Promise<Foundation> {
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const databaseUrl = env.databaseUrl ?? (await embedded(env, note, undo))
    const pool = openPool({ url: databaseUrl, log: note })
    undo.push(() => pool.end())
    await migrate(pool)
    const db = queriesOver(pool)
    const partitions = new Partitions(db, clock, note)
    await partitions.start()
    undo.push(async () => partitions.stop())
    const retention = new Retention(db, clock, env.retentionDays, note)
    undo.push(async () => retention.stop())
    void retention.start()
    const sealer = createSealer(env.masterKeys ?? keptMasterKeys(env.dataDir))
    const file = await configurationFile(env, db, buyersOrigin, undo)
    return { databaseUrl, pool, db, partitions, sealer, file, snapshot: await firstVersion(file, note), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function embedded(env: Env, note: Note, undo: (() => Promise<unknown>)[]): Promise<string> {
  const postgres = await startPostgres({ dataDir: env.dataDir, log: (line) => GRAVE.test(line) && note(line) })
  undo.push(() => postgres.stop())
  return postgres.url
}

async function configurationFile(
  env: Env,
  db: Kysely<LedgerTables>,
  buyersOrigin: string | null,
  undo: (() => Promise<unknown>)[],
): Promise<ConfigurationFile> {
  const number = (canonical: string) => numberVersion(db, canonical)
  if (env.config !== null) return { path: env.config, placeholders: {}, number }
  const origin = buyersOrigin ?? (await scriptedBuyers(undo)).origin
  return { path: EXAMPLE_FILE, placeholders: { buyers: origin }, number }
}

async function scriptedBuyers(undo: (() => Promise<unknown>)[]): Promise<ScriptedBuyers> {
  const buyers = await startScriptedBuyers()
  undo.push(() => buyers.stop())
  return buyers
}

async function firstVersion(file: ConfigurationFile, note: Note): Promise<Snapshot> {
  const loaded = await loadConfiguration(file)
  if (!loaded.ok) throw new CannotStart(faultsInWords(file.path, loaded.faults, 'Mend the file and start again.'))
  for (const { path, message } of loaded.warnings) note(`configuration: ${path}: ${message}`)
  return loaded.snapshot
}
