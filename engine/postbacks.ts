/** Tells sources what became of their leads. */
import { type Kysely, sql } from 'kysely'
import type { Courier, Delivered } from '../buyers/courier.ts'
import { postbackRequest } from '../buyers/postback.ts'
import type { Clock } from '../buyers/wire.ts'
import { leadFromJson } from '../rules/lead.ts'
import type { PostbackEvent } from '../rules/postback.ts'
import { micros } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import type { Actor } from './configuration/publishing.ts'
import { type Due, Outbox, type OutboxEnd } from './outbox.ts'
import type { Sealer } from './seal.ts'
import type { LedgerTables } from './store/tables.ts'

export interface PostbacksSettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly courier: Courier
  readonly seal: Sealer
  readonly snapshot: () => Snapshot
  readonly log: (message: string) => void
  readonly ended?: (table: string, end: OutboxEnd) => void
}

interface DuePostback extends Due {
  readonly lead_id: string
  readonly event: PostbackEvent
  readonly campaign: string
  readonly source: string
  readonly status: string
  readonly payout: number
  readonly currency: string
  readonly happened_at: Date
  readonly lead_ref: string | null
  readonly sealed: Buffer | null
  readonly wrapped: Buffer | null
  readonly key_version: number | null
}

export function postbackOutbox(settings: PostbacksSettings): Outbox<DuePostback> {
  const { db, clock, log, ended } = settings
  const read = sql<DuePostback>`
    select m.*, l.lead_ref, l.sealed, k.wrapped, k.key_version
    from mine m left join leads l on l.id = m.lead_id left join lead_keys k on k.lead_id = m.lead_id
    order by m.happened_at`
  return new Outbox({
    ...{ db, clock, log, read, table: 'postbacks', send: (due) => sendPostback(settings, due) },
    ...(ended ? { ended } : {}),
  })
}

async function sendPostback(settings: PostbacksSettings, due: DuePostback): Promise<Delivered | 'unwanted'> {
  const { courier, clock, snapshot, seal } = settings
  const postback = snapshot().sources.get(due.source)?.postbacks.get(due.campaign)
  if (!postback?.events.has(due.event)) return 'unwanted'
  const facts = {
    eventId: due.id,
    event: due.event,
    at: due.happened_at.getTime(),
    leadId: due.lead_id,
    leadRef: due.lead_ref,
    status: due.status,
    payout: micros(due.payout),
    currency: due.currency,
    subs: subsOf(seal, due),
  }
  return courier.carry(postbackRequest(postback, facts, clock.wall()))
}

/** None where the person was erased. */
function subsOf(
  seal: Sealer,
  { lead_id, sealed, wrapped, key_version }: DuePostback,
): Readonly<Record<string, string>> {
  if (sealed === null || wrapped === null || key_version === null) return {}
  const text = seal.open(lead_id, {
    sealed: sealed.toString('base64'),
    wrappedKey: wrapped.toString('base64'),
    keyVersion: key_version,
  })
  return leadFromJson(text).subs
}

/** Has the ledger queue postbacks for whoever the version names, before it is in force. */
export async function routePostbacks(db: Kysely<LedgerTables>, snapshot: Snapshot): Promise<void> {
  const wanted = [...snapshot.sources.values()].flatMap(({ id, postbacks }) =>
    [...postbacks.keys()].map((campaign) => ({ campaign, source: id })),
  )
  await sql`
    with wanted as (select * from json_to_recordset(${JSON.stringify(wanted)}::json) as w(campaign text, source text)),
    gone as (delete from postback_routes r where not exists (
      select 1 from wanted w where w.campaign = r.campaign and w.source = r.source))
    insert into postback_routes (campaign, source) select campaign, source from wanted
    on conflict do nothing`.execute(db)
}

export type PostbackState = 'waiting' | 'sent' | 'dead'

/** One entry of the outbox, for operators. `failure` is the last one. */
export interface PostbackEntry {
  readonly id: string
  readonly leadId: string
  readonly event: PostbackEvent
  readonly campaign: string
  readonly source: string
  readonly attempts: number
  readonly failure: string | null
  readonly state: PostbackState
  readonly happenedAt: Date
}

/** Each by the column that its index is on. */
const LATEST = {
  dead: sql`dead_at is not null order by dead_at desc`,
  sent: sql`sent_at is not null and dead_at is null order by sent_at desc`,
  waiting: sql`sent_at is null and dead_at is null order by due_at desc`,
} as const satisfies Record<PostbackState, unknown>

/** The latest entries of one state (default: of all of a lead, else those that were given up), of a source or lead where given. */
export async function postbacksOf(
  db: Kysely<LedgerTables>,
  of: {
    readonly state?: PostbackState | undefined
    readonly source?: string | undefined
    readonly leadId?: string | undefined
  },
  most: number,
): Promise<readonly PostbackEntry[]> {
  const { state, source = null, leadId = null } = of
  const ofState = state === undefined && leadId !== null ? sql`true order by happened_at desc` : LATEST[state ?? 'dead']
  const { rows } = await sql<PostbackEntry>`
    select id, lead_id as "leadId", event, campaign, source, attempts, failure, happened_at as "happenedAt",
      case when dead_at is not null then 'dead' when sent_at is not null then 'sent' else 'waiting' end as state
    from postbacks
    where (${source}::text is null or source = ${source}) and (${leadId}::uuid is null or lead_id = ${leadId}::uuid)
      and ${ofState} limit ${most}`.execute(db)
  return rows
}

/** Sends these again, whether they were heard or given up, under the same ids; says how many there are. Audited. */
export function replayPostbacks(db: Kysely<LedgerTables>, actor: Actor, ids: readonly string[]): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ source: string }>`
      update postbacks set queued_at = now(), due_at = now(), attempts = 0, sent_at = null, dead_at = null
      where id = any(${ids}::uuid[]) returning source`.execute(tx)
    if (rows.length === 0) return 0
    const subject = `source ${[...new Set(rows.map(({ source }) => source))].sort().join(', ')}`
    const changes = JSON.stringify([`${rows.length} postbacks are sent again`])
    const entry = { actor: actor.label, role: actor.role, action: 'replay', subject, changes, version: null }
    await tx.insertInto('audit').values(entry).execute()
    return rows.length
  })
}
