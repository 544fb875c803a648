/** What the admin plane shows, gathered from the ledger and the parts of this engine. */
import type { Kysely } from 'kysely'
import { formatMoney, micros, wallMs } from '../../rules/units.ts'
import type { Snapshot } from '../../rules/version.ts'
import { capLines } from '../cap-lines.ts'
import { Versions } from '../configuration/versions.ts'
import { takeBuyerFile } from '../doubts/buyer-file.ts'
import { eraseLead, leadEvidence, leadExchanges } from '../exchanges/proof.ts'
import { pingPage } from '../offers/ping-page.ts'
import { Returns } from '../returns/returns.ts'
import type { Sealer } from '../seal.ts'
import { searchLeads } from '../search.ts'
import type { HotStore } from '../store/port.ts'
import { type LeadFile, leadFile, newestVersion } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { SHOWN_CAPS } from './caps-page.ts'
import { explainPage, leadPage, replayPage, traceOf } from './lead-page.ts'
import type { AdminPort, StatusPage } from './port.ts'

export interface AdminSources {
  readonly db: Kysely<LedgerTables>
  readonly hot: HotStore
  readonly sealer: Sealer
  readonly resolve: AdminPort['resolve']
  readonly metrics: () => Promise<string>
  readonly ready: () => boolean
  readonly version: () => number
  readonly queues: () => Readonly<Record<string, number>>
  readonly buyers: () => StatusPage['buyers']
}

/** An engine that was fenced longer ago is not shown. */
const SHOWN_ENGINES = 50

export function adminData(sources: AdminSources): AdminPort {
  const { db, hot, metrics, sealer } = sources
  const versions = new Versions(db)
  const decidedBy = async <T>(
    leadId: string,
    show: (file: LeadFile, version: Snapshot | null) => T,
  ): Promise<T | null> => {
    const file = await leadFile(db, leadId)
    return file && show(file, await versions.get(traceOf(file)?.version ?? file.lead.version))
  }
  return {
    metrics,
    hotDump: () => hot.dump(),
    async capLines(owner) {
      const newest = await versions.get((await newestVersion(db)).number)
      return newest ? capLines(newest, hot, wallMs(Date.now()), owner, SHOWN_CAPS) : []
    },
    resolve: sources.resolve,
    returns: new Returns({ db, sealer, versions }),
    reconcileBuyer: (file, by) => takeBuyerFile({ db, resolve: sources.resolve }, file, by),
    async search(query) {
      const newest = await versions.get((await newestVersion(db)).number)
      const found = newest ? await searchLeads(db, sealer, newest, query) : []
      return found.map((lead) => ({ ...lead, payout: formatMoney(micros(lead.payout)) }))
    },
    explain: (leadId) => decidedBy(leadId, explainPage),
    replay: (leadId) => decidedBy(leadId, replayPage),
    leadPage: (leadId) => decidedBy(leadId, leadPage),
    pingPage: (id) => pingPage(db, versions, id),
    exchanges: (leadId) => leadExchanges(db, sealer, leadId),
    evidence: (leadId) => leadEvidence(db, sealer, leadId),
    erase: (leadId) => eraseLead(db, leadId),
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
