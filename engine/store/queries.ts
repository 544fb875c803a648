/** What the ledger is asked beside its hot path. */
import { type Kysely, type Selectable, sql } from 'kysely'
import type { KeptSighting } from '../../rules/claims.ts'
import { micros, wallMs } from '../../rules/units.ts'
import type { LeadRecord } from './port.ts'
import type {
  EntriesTable,
  IntentsTable,
  LeadKeysTable,
  LeadsTable,
  LedgerTables,
  ResolutionsTable,
  ReturnsTable,
  SalesTable,
  SightingsTable,
} from './tables.ts'

type Db = Kysely<LedgerTables>

/** Everything that is known of one lead. `key` is null once it was erased. */
export interface LeadFile {
  readonly lead: Selectable<LeadsTable>
  readonly key: Selectable<LeadKeysTable> | null
  /** In the order in which they were made. */
  readonly intents: readonly Selectable<IntentsTable>[]
  readonly sales: readonly Selectable<SalesTable>[]
  readonly entries: readonly Selectable<EntriesTable>[]
  readonly resolutions: readonly Selectable<ResolutionsTable>[]
  readonly returns: readonly Selectable<ReturnsTable>[]
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A lead's outcome; null where the ledger has no such lead. One that is still being decided has the status `received`. */
export async function leadRecord(db: Db, leadId: string): Promise<LeadRecord | null> {
  if (!UUID.test(leadId)) return null
  const row = await db
    .selectFrom('leads')
    .select([
      'campaign',
      'source',
      'status',
      'payout',
      'copies',
      'reasons',
      'redirect_url',
      'lead_ref',
      'currency',
      'wake_at',
    ])
    .select(['test', 'returned', 'clawed_back'])
    .where('id', '=', leadId)
    .executeTakeFirst()
  if (!row) return null
  return {
    leadId,
    campaign: row.campaign,
    source: row.source,
    status: row.status ?? 'received',
    payout: micros(row.payout),
    copies: row.copies,
    reasons: row.reasons,
    redirectUrl: row.redirect_url,
    leadRef: row.lead_ref,
    currency: row.currency,
    // A lead that sleeps until somebody opens is answered as pending.
    decided: row.status !== null || row.wake_at !== null,
    test: row.test,
    returned: { copies: row.returned, payout: micros(row.clawed_back) },
  }
}

export async function boundKey(db: Db, key: string): Promise<{ leadId: string; bodyHash: string } | null> {
  const row = await db
    .selectFrom('idempotency')
    .select(['lead_id', 'body_hash'])
    .where('key', '=', key)
    .executeTakeFirst()
  return row ? { leadId: row.lead_id, bodyHash: row.body_hash } : null
}

/** What is kept of leads for later ones of the person, by lead; those of which it is nothing are left out. */
export async function keptSightings(db: Db, leadIds: readonly string[]): Promise<ReadonlyMap<string, KeptSighting>> {
  const rows = await db
    .selectFrom('sightings')
    .selectAll()
    .where('lead_id', '=', sql<string>`any(${leadIds}::uuid[])`)
    .execute()
  return new Map(rows.map((row) => [row.lead_id, sightingOfRow(row)]))
}

export function sightingOfRow(row: Selectable<SightingsTable>): KeptSighting {
  const { lead_id: leadId, campaign, fingerprints, level, sold, asked } = row
  const at = wallMs(row.at.getTime())
  return { leadId, campaign, fingerprints, level, sold, asked, at, keepMs: row.until.getTime() - at }
}

export async function leadFile(db: Db, leadId: string): Promise<LeadFile | null> {
  if (!UUID.test(leadId)) return null
  const lead = await db.selectFrom('leads').selectAll().where('id', '=', leadId).executeTakeFirst()
  if (!lead) return null
  const [key, intents, sales, entries, resolutions, returns] = await Promise.all([
    db.selectFrom('lead_keys').selectAll().where('lead_id', '=', leadId).executeTakeFirst(),
    db.selectFrom('intents').selectAll().where('lead_id', '=', leadId).orderBy('created_at').orderBy('term').execute(),
    db.selectFrom('sales').selectAll().where('lead_id', '=', leadId).orderBy('copy').execute(),
    db.selectFrom('entries').selectAll().where('lead_id', '=', leadId).orderBy('copy').orderBy('account').execute(),
    db.selectFrom('resolutions').selectAll().where('lead_id', '=', leadId).orderBy('id').execute(),
    db.selectFrom('returns').selectAll().where('lead_id', '=', leadId).orderBy('id').execute(),
  ])
  return { lead, key: key ?? null, intents, sales, entries, resolutions, returns }
}

/** Ids of the latest leads, newest first: those of one source or campaign where given. */
export async function latestLeads(
  db: Db,
  most: number,
  of: { readonly campaign?: string; readonly source?: string; readonly status?: string } = {},
): Promise<{ id: string; campaign: string; source: string; status: string | null; received_at: Date }[]> {
  let query = db.selectFrom('leads').select(['id', 'campaign', 'source', 'status', 'received_at'])
  if (of.campaign !== undefined) query = query.where('campaign', '=', of.campaign)
  if (of.source !== undefined) query = query.where('source', '=', of.source)
  if (of.status !== undefined) query = query.where('status', '=', of.status)
  return query.orderBy('id', 'desc').limit(most).execute()
}

/**
 * Numbers a canonical configuration: the latest version's number where the text is that version's, else the next one.
 * A text that returns after another one is a new version.
 */
export function numberVersion(db: Db, canonical: string, by = 'configuration file'): Promise<number> {
  return db.transaction().execute(async (tx) => {
    await lockVersions(tx)
    const latest = await newestVersion(tx)
    return latest.canonical === canonical ? latest.number : insertVersion(tx, { canonical, by, note: null })
  })
}

/** Whoever numbers or edits versions holds this lock to the end of the transaction. */
export async function lockVersions(tx: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock(74, 0)`.execute(tx)
}

/** The newest version; number 0 and an empty configuration where there is none. */
export async function newestVersion(db: Db): Promise<{ readonly number: number; readonly canonical: string }> {
  const latest = await db
    .selectFrom('versions')
    .select(['number', 'canonical'])
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
  return latest ?? { number: 0, canonical: '{}' }
}

/** Adds the next version and tells every engine that listens. Its secrets must be stand-ins. Under `lockVersions`. */
export async function insertVersion(
  tx: Db,
  { canonical, by, note }: { readonly canonical: string; readonly by: string; readonly note: string | null },
): Promise<number> {
  const number = (await newestVersion(tx)).number + 1
  await tx.insertInto('versions').values({ number, canonical, published_by: by, note, sealed: true }).execute()
  await sql`select pg_notify(${NEWS_CHANNEL}, '')`.execute(tx)
  return number
}

/** Versions with a lower number, the newest first. */
export async function versionsPage(db: Db, before: number, most: number) {
  const rows = await db
    .selectFrom('versions')
    .select(['number', 'created_at', 'published_by', 'note'])
    .where('number', '<', before)
    .orderBy('number', 'desc')
    .limit(most)
    .execute()
  return rows.map(({ number: version, created_at, ...rest }) => ({
    version,
    created_at: created_at.toISOString(),
    ...rest,
  }))
}

/** Audit entries with a lower number, the latest first. */
export async function auditPage(db: Db, before: number, most: number) {
  const rows = await db
    .selectFrom('audit')
    .selectAll()
    .where('id', '<', before)
    .orderBy('id', 'desc')
    .limit(most)
    .execute()
  return rows.map(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }))
}

/** Where the ledger says that something which every engine must know has changed. */
export const NEWS_CHANNEL = 'gavelpost_news'

/** Canonical text of a version; null where there is none of that number. */
export async function versionText(db: Db, number: number): Promise<string | null> {
  const row = await db.selectFrom('versions').select('canonical').where('number', '=', number).executeTakeFirst()
  return row?.canonical ?? null
}

/** Posts in doubt of each contract: how many, and since when the oldest is. */
export function openDoubts(db: Db): Promise<{ contract: string; n: number; oldest: Date }[]> {
  return db
    .selectFrom('intents')
    .select(['contract', db.fn.countAll<number>().as('n')])
    .select(sql<Date>`min(coalesce(doubted_at, created_at))`.as('oldest'))
    .where('state', '=', 'in_doubt')
    .where(sql<boolean>`not exists (select 1 from leads l where l.id = lead_id and l.test)`)
    .groupBy('contract')
    .execute()
}

export async function doubtsByContract(db: Db): Promise<ReadonlyMap<string, number>> {
  return new Map((await openDoubts(db)).map(({ contract, n }) => [contract, n]))
}
