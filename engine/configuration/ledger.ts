/** The configuration where no file governs: the newest version that the ledger has, loaded and followed. */
import type { Kysely } from 'kysely'
import { configurationInSteps } from '../../buyers/configuration.ts'
import type { Snapshot } from '../../rules/version.ts'
import { EXAMPLE_FILE } from '../example.ts'
import { newestVersion, numberVersion, versionText } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Loaded, loadConfiguration, type Reload } from './file.ts'
import type { News } from './news.ts'
import { inTurns } from './stepwise.ts'
import type { Vault } from './vault.ts'

/** Where the example's scripted buyers are, as the ledger has it: each start puts their real origin in its place. */
const SCRIPTED_BUYERS = 'https://scripted-buyers.example'

export interface LedgerConfiguration {
  readonly db: Kysely<LedgerTables>
  readonly vault: Vault
  /** Of the example's scripted buyers, where they run. */
  readonly buyersOrigin: string | null
}

/** Whether the newest version is the example, which needs its scripted buyers. An empty ledger gets it as its first version. */
export async function beginsWithExample(db: Kysely<LedgerTables>, vault: Vault): Promise<boolean> {
  const { number, canonical } = await newestVersion(db)
  if (number > 0) return JSON.parse(canonical).example === true
  const placeholders = { buyers: SCRIPTED_BUYERS }
  const store = async (text: string) => numberVersion(db, await vault.conceal(db, JSON.parse(text)), 'example')
  const loaded = await loadConfiguration({ path: EXAMPLE_FILE, placeholders, number: store })
  if (!loaded.ok) throw new Error(`the example has faults: ${JSON.stringify(loaded.faults)}`)
  return true
}

/** Compiles the newest version. Rejects while the ledger is out of reach. */
export async function loadNewest(source: LedgerConfiguration): Promise<Loaded> {
  const { db, vault, buyersOrigin } = source
  const { number } = await newestVersion(db)
  const text = (await versionText(db, number))!
  const filled = buyersOrigin === null ? text : text.replaceAll(SCRIPTED_BUYERS, buyersOrigin)
  const revealed = await vault.reveal(db, JSON.parse(filled))
  return revealed.ok ? await inTurns(configurationInSteps(revealed.config, number)) : revealed
}

export interface FollowOptions {
  readonly current: Snapshot
  /** Puts a version in force. The next one waits for it. */
  readonly changed: (snapshot: Snapshot) => void | Promise<void>
  readonly report: (reload: Reload) => void
}

export interface Following {
  close(): void
}

/** Puts every newer version in force as it is published; the newest alone where several came at once. */
export function followLedger(source: LedgerConfiguration, news: News, options: FollowOptions): Following {
  let { version } = options.current
  let told: Reload['kind'] = 'unchanged'
  const look = async (): Promise<void> => {
    const { number } = await newestVersion(source.db)
    if (number === version) return
    const reload = await readNewest(source, options)
    const isNews = reload.kind === 'changed' || reload.kind !== told
    told = reload.kind
    if (reload.kind === 'changed') version = reload.snapshot.version
    // What cannot be read here is told once, and not tried again before the next version.
    if (reload.kind === 'faulty') version = number
    if (isNews) options.report(reload)
  }
  const end = news.follow(look)
  // The next look is never far.
  const hangUp = (): void => {}
  process.on('SIGHUP', hangUp)
  return {
    close() {
      end()
      process.off('SIGHUP', hangUp)
    },
  }
}

async function readNewest(source: LedgerConfiguration, { changed }: FollowOptions): Promise<Reload> {
  try {
    const loaded = await loadNewest(source)
    if (!loaded.ok) return { kind: 'faulty', faults: loaded.faults }
    await changed(loaded.snapshot)
    return { kind: 'changed', ...loaded }
  } catch (error) {
    return { kind: 'deferred', error: error as Error }
  }
}
