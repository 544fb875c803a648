/** Looks through the ledger and the hot store once, and answers what was found of each invariant. */
import type pg from 'pg'
import { openPool } from '../../engine/store/postgres.ts'
import { CapsCheck } from './caps.ts'
import { dossiers, intentsAsHeld } from './dossiers.ts'
import { Finding } from './finding.ts'
import { checkHot, type HotView } from './hot.ts'
import { LeadsCheck } from './leads.ts'
import { MoneyCheck } from './money.ts'
import { PostsCheck, type Tolerances } from './posts.ts'
import type { Records } from './records.ts'
import { ReplaysCheck } from './replays.ts'
import { SalesCheck } from './sales.ts'
import { type StoredVersion, Versions } from './versions.ts'

export interface LookOptions extends Tolerances {
  readonly databaseUrl: string
  /** A text says why there is none to look at. */
  readonly hot: HotView | string
  readonly records: Records
  readonly drained: boolean
  readonly settleMs: number
  /** Told now and then how far it is. */
  readonly progress: (text: string) => void
}

const STATEMENT_LIMIT_MS = 600_000
const PROGRESS_EVERY_MS = 2_000

/** Rejects where the ledger or the hot store cannot be read. */
export async function look(options: LookOptions): Promise<readonly Finding[]> {
  const pool = openPool({ url: options.databaseUrl, connections: 2, statementTimeoutMs: STATEMENT_LIMIT_MS })
  try {
    const client = await pool.connect()
    try {
      return await lookThrough(client, options)
    } finally {
      client.release(true)
    }
  } finally {
    await pool.end()
  }
}

async function lookThrough(client: pg.ClientBase, options: LookOptions): Promise<readonly Finding[]> {
  const { records, hot } = options
  const tell = throttled(options.progress)
  await client.query('begin isolation level repeatable read read only')
  const now = await clockOf(client)
  const versions = await versionsOf(client)
  const leads = new LeadsCheck(versions, records, now, options.drained)
  const sales = new SalesCheck(versions, records)
  const caps = new CapsCheck(versions, options.skewMs)
  const posts = new PostsCheck(records, options)
  const money = new MoneyCheck()
  const replays = new ReplaysCheck(versions)
  let read = 0
  for await (const dossier of dossiers(client, (orphan) => money.orphan(orphan))) {
    leads.see(dossier)
    sales.see(dossier)
    for (const intent of dossier.intents) caps.seePlaces(dossier.lead, intent)
    posts.see(dossier)
    money.see(dossier, replays.see(dossier))
    tell(`${(++read).toLocaleString('en-US')} leads read`)
  }
  let held = 0
  for await (const intent of intentsAsHeld(client)) {
    caps.seeHold(intent)
    tell(`${(++held).toLocaleString('en-US')} holds replayed`)
  }
  const sums = await money.end(client)
  await client.query('commit')
  const hotFinding =
    typeof hot === 'string'
      ? notLookedAt(hot)
      : await checkHot({ hot, client, versions, settleMs: options.settleMs, drained: options.drained })
  return [leads.end(), sales.end(), caps.end(), hotFinding, posts.end(), sums, replays.end()]
}

function notLookedAt(why: string): Finding {
  const finding = new Finding(4, 'the hot counters are the ledger')
  finding.notApplicable(why)
  return finding
}

async function clockOf(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ now: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now',
  )
  return rows[0]!.now
}

async function versionsOf(client: pg.ClientBase): Promise<Versions> {
  const { rows } = await client.query<StoredVersion>(
    'select number, canonical, (extract(epoch from created_at) * 1000)::float8 as "createdAt" from versions',
  )
  return new Versions(rows)
}

function throttled(progress: (text: string) => void): (text: string) => void {
  let last = performance.now()
  return (text) => {
    const now = performance.now()
    if (now - last < PROGRESS_EVERY_MS) return
    last = now
    progress(text)
  }
}
