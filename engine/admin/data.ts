/** What the admin plane shows, gathered from the ledger and the parts of this engine. */
import type { Kysely } from 'kysely'
import type { HotStore } from '../store/port.ts'
import { leadFile } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { Versions } from '../versions.ts'
import { leadPage, traceOf } from './lead-page.ts'
import type { AdminPort, StatusPage } from './port.ts'

export interface AdminSources {
  readonly db: Kysely<LedgerTables>
  readonly hot: HotStore
  readonly metrics: () => Promise<string>
  readonly ready: () => boolean
  readonly version: () => number
  readonly queues: () => Readonly<Record<string, number>>
  readonly buyers: () => StatusPage['buyers']
}

/** An engine that was fenced longer ago is not shown. */
const SHOWN_ENGINES = 50

export function adminData(sources: AdminSources): AdminPort {
  const { db, hot, metrics } = sources
  const versions = new Versions(db)
  return {
    metrics,
    hotDump: () => hot.dump(),
    async leadPage(leadId) {
      const file = await leadFile(db, leadId)
      if (!file) return null
      return leadPage(file, await versions.get(traceOf(file)?.version ?? file.lead.version))
    },
    async status() {
      const engines = await db.selectFrom('engines').selectAll().orderBy('id', 'desc').limit(SHOWN_ENGINES).execute()
      const [version, epoch, ready] = [sources.version(), hot.epoch(), sources.ready()]
      return {
        ready,
        version,
        epoch,
        engines: engines.map(enginePage),
        queues: sources.queues(),
        buyers: sources.buyers(),
      }
    },
  }
}

interface EngineRow {
  readonly id: number
  readonly host: string
  readonly pid: number
  readonly started_at: Date
  readonly beat_at: Date
  readonly fenced_at: Date | null
}

const enginePage = (row: EngineRow): StatusPage['engines'][number] => ({
  engine: row.id,
  host: row.host,
  pid: row.pid,
  started_at: row.started_at.toISOString(),
  beat_at: row.beat_at.toISOString(),
  fenced_at: row.fenced_at?.toISOString() ?? null,
})
