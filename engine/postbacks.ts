/** Tells sources what became of their leads. */
import { type Kysely, sql } from 'kysely'
import type { Courier, Delivered } from '../buyers/courier.ts'
import { postbackRequest } from '../buyers/postback.ts'
import type { Clock } from '../buyers/wire.ts'
import { leadFromJson } from '../rules/lead.ts'
import type { PostbackEvent } from '../rules/postback.ts'
import { micros } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import { type Due, Outbox } from './outbox.ts'
import type { Sealer } from './seal.ts'
import type { LedgerTables } from './store/tables.ts'

export interface PostbacksSettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly courier: Courier
  readonly seal: Sealer
  readonly snapshot: () => Snapshot
  readonly log: (message: string) => void
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
  const { db, clock, log } = settings
  const read = sql<DuePostback>`
    select m.*, l.lead_ref, l.sealed, k.wrapped, k.key_version
    from mine m left join leads l on l.id = m.lead_id left join lead_keys k on k.lead_id = m.lead_id
    order by m.happened_at`
  return new Outbox({ ...{ db, clock, log, read }, table: 'postbacks', send: (due) => sendPostback(settings, due) })
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

/** One entry of the outbox, for operators. `failure` is the last one. */
export interface PostbackEntry {
  readonly id: string
  readonly leadId: string
  readonly event: PostbackEvent
  readonly campaign: string
  readonly source: string
  readonly attempts: number
  readonly failure: string | null
  readonly state: 'waiting' | 'sent' | 'dead'
  readonly happenedAt: Date
}

/** The latest entries, newest first; those of one state, source or lead where given. */
export async function listPostbacks(
  db: Kysely<LedgerTables>,
  most: number,
  of: { readonly state?: PostbackEntry['state']; readonly source?: string; readonly leadId?: string } = {},
): Promise<readonly PostbackEntry[]> {
  const { rows } = await sql<PostbackEntry>`
    select * from (
      select id, lead_id as "leadId", event, campaign, source, attempts, failure, happened_at as "happenedAt",
        case when dead_at is not null then 'dead' when sent_at is not null then 'sent' else 'waiting' end as state
      from postbacks) as p
    where (${of.state ?? null}::text is null or state = ${of.state ?? null})
      and (${of.source ?? null}::text is null or source = ${of.source ?? null})
      and (${of.leadId ?? null}::uuid is null or "leadId" = ${of.leadId ?? null}::uuid)
    order by "happenedAt" desc limit ${most}`.execute(db)
  return rows
}

/** Sends these again, whether they were heard or given up, under the same ids; says how many there are. */
export async function replayPostbacks(db: Kysely<LedgerTables>, ids: readonly string[]): Promise<number> {
  const { numAffectedRows } = await sql`
    update postbacks set queued_at = now(), due_at = now(), attempts = 0, sent_at = null, dead_at = null
    where id = any(${ids}::uuid[])`.execute(db)
  return Number(numAffectedRows ?? 0)
}
