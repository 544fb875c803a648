/** What an engine stands on: Postgres with its tables, the sealer's keys, the example's buyers, the configuration in force. */
import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { Clock } from '../buyers/wire.ts'
import type { Snapshot } from '../rules/version.ts'
import {
  type ConfigurationFile,
  faultsInWords,
  type Loaded,
  loadConfiguration,
  watchConfiguration,
} from './configuration/file.ts'
import {
  beginsWithExample,
  type Following,
  type FollowOptions,
  followLedger,
  loadNewest,
} from './configuration/ledger.ts'
import { News } from './configuration/news.ts'
import { Vault } from './configuration/vault.ts'
import { startPostgres } from './embedded.ts'
import type { Env } from './env.ts'
import { startScriptedBuyers } from './example.ts'
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
  readonly vault: Vault
  readonly news: News
  readonly configuration: GoverningConfiguration
  readonly snapshot: Snapshot
  /** Stops what was started here, in the order in which it may be missed. */
  stop(): Promise<void>
}

/** What decides which version is in force: the file that CONFIG names, else the ledger's newest version. */
export interface GoverningConfiguration {
  /** In words, after "The configuration". */
  readonly name: string
  /** True where versions are published in the ledger, false where a file governs. */
  readonly inLedger: boolean
  /** Of the example's scripted buyers, where they run. */
  readonly buyersOrigin: string | null
  load(): Promise<Loaded>
  follow(options: FollowOptions): Following
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
    const retention = new Retention(db, clock, env, note)
    undo.push(async () => retention.stop())
    void retention.start()
    const sealer = createSealer(env.masterKeys ?? keptMasterKeys(env.dataDir))
    const vault = new Vault(sealer)
    await vault.sealOldVersions(db)
    const news = new News({ url: databaseUrl, clock })
    undo.push(() => news.stop())
    const standing = { db, vault, news }
    const configuration =
      env.config === null ? await inLedger(standing, buyersOrigin, undo) : inFile(standing, env.config)
    const snapshot = await firstVersion(configuration, note)
    return { databaseUrl, pool, partitions, sealer, ...standing, configuration, snapshot, stop }
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

type Standing = Pick<Foundation, 'db' | 'vault' | 'news'>

function inFile({ db, vault }: Standing, path: string): GoverningConfiguration {
  const number = async (text: string) => numberVersion(db, await vault.conceal(db, JSON.parse(text)))
  const file: ConfigurationFile = { path, placeholders: {}, number }
  return {
    name: path,
    inLedger: false,
    buyersOrigin: null,
    load: () => loadConfiguration(file),
    follow: (options) => watchConfiguration({ ...file, ...options }),
  }
}

async function inLedger(
  { db, vault, news }: Standing,
  buyersElsewhere: string | null,
  undo: (() => Promise<unknown>)[],
): Promise<GoverningConfiguration> {
  const example = await beginsWithExample(db, vault)
  const buyersOrigin = buyersElsewhere ?? (example ? await scriptedBuyers(undo) : null)
  const source = { db, vault, buyersOrigin }
  return {
    name: 'in the ledger',
    inLedger: true,
    buyersOrigin,
    load: () => loadNewest(source),
    follow: (options) => followLedger(source, news, options),
  }
}

async function scriptedBuyers(undo: (() => Promise<unknown>)[]): Promise<string> {
  const buyers = await startScriptedBuyers()
  undo.push(() => buyers.stop())
  return buyers.origin
}

async function firstVersion({ name, load }: GoverningConfiguration, note: Note): Promise<Snapshot> {
  const loaded = await load()
  if (!loaded.ok) throw new CannotStart(faultsInWords(name, loaded.faults, 'Mend it and start again.'))
  for (const { path, message } of loaded.warnings) note(`configuration: ${path}: ${message}`)
  return loaded.snapshot
}
