/** Finds leads: by whom they are about, without that being stored in the clear; by references, time, status, who sent and who bought. */
import { type Kysely, sql } from 'kysely'
import { printsOf } from '../rules/duplicates.ts'
import { type FieldValue, fieldType, readField } from '../rules/fields.ts'
import type { Lead } from '../rules/lead.ts'
import type { Campaign, Snapshot } from '../rules/version.ts'
import { fingerprintsOf } from './intake.ts'
import type { Sealer } from './seal.ts'
import type { LedgerTables } from './store/tables.ts'

/** All that is given must hold. Moments are ISO 8601. */
export interface LeadQuery {
  readonly phone?: string
  readonly email?: string
  readonly lead_id?: string
  readonly lead_ref?: string
  readonly buyer_reference?: string
  readonly from?: string
  readonly to?: string
  readonly status?: string
  readonly campaign?: string
  readonly source?: string
  readonly buyer?: string
  readonly contract?: string
  /** Begin below this id: the last one of the page before. */
  readonly before?: string
  readonly limit?: number
}

export interface FoundLead {
  readonly lead_id: string
  readonly status: string
  readonly campaign: string
  readonly source: string
  readonly received_at: string
  readonly lead_ref: string | null
  readonly test: boolean
  readonly payout: number
  readonly currency: string
  readonly buyers: readonly string[]
}

export const PAGE_MOST = 100
const PAGE = 20
/** Where nothing that is indexed is asked for, only so much of the past is looked through. */
const SPAN_HOURS = 24

/** Newest first. A person is found where a campaign's or buyer's rule compares the phone or email by itself, as all do unless told otherwise. */
export async function searchLeads(
  db: Kysely<LedgerTables>,
  sealer: Sealer,
  snapshot: Snapshot,
  query: LeadQuery,
): Promise<FoundLead[]> {
  const [phone, email] = [
    printsOfPerson(sealer, snapshot, 'phone', query.phone),
    printsOfPerson(sealer, snapshot, 'email', query.email),
  ]
  if (phone?.length === 0 || email?.length === 0) return []
  let found = db
    .selectFrom('leads as l')
    .select([
      'l.id',
      'l.status',
      'l.campaign',
      'l.source',
      'l.received_at',
      'l.lead_ref',
      'l.test',
      'l.payout',
      'l.currency',
    ])
    .select(sql<string[]>`array(select s.buyer from sales s where s.lead_id = l.id order by s.copy)`.as('buyers'))
  for (const prints of [phone, email])
    if (prints) found = found.where(sql<boolean>`l.fingerprints && ${prints}::text[]`)
  for (const name of ['lead_ref', 'campaign', 'source'] as const) {
    const value = query[name]
    if (value !== undefined) found = found.where(`l.${name}`, '=', value)
  }
  if (query.lead_id !== undefined) found = found.where('l.id', '=', query.lead_id)
  if (query.before !== undefined) found = found.where('l.id', '<', query.before)
  if (query.status !== undefined) found = found.where(sql<boolean>`coalesce(l.status, 'received') = ${query.status}`)
  const sent = sentTo(query)
  if (sent) found = found.where(sql<boolean>`l.id in (${sent})`)
  for (const bound of spanOf(query)) found = found.where(bound)
  const rows = await found
    .orderBy('l.id', 'desc')
    .limit(Math.min(query.limit ?? PAGE, PAGE_MOST))
    .execute()
  return rows.map(({ id, status, received_at, ...rest }) => ({
    lead_id: id,
    status: status ?? 'received',
    received_at: received_at.toISOString(),
    ...rest,
  }))
}

/** What the ids of leads must lie between: an id says when its lead came. */
function spanOf({ from, to, phone, email, lead_id, lead_ref, buyer_reference }: LeadQuery) {
  const pointed = [phone, email, lead_id, lead_ref, buyer_reference].some((one) => one !== undefined)
  const bounds = []
  if (from !== undefined) bounds.push(sql<boolean>`l.id >= uuid_at(${from}::timestamptz)`)
  else if (!pointed)
    bounds.push(
      sql<boolean>`l.id >= uuid_at(coalesce(${to ?? null}::timestamptz, now()) - ${SPAN_HOURS} * interval '1 hour')`,
    )
  if (to !== undefined) bounds.push(sql<boolean>`l.id < uuid_at(${to}::timestamptz)`)
  return bounds
}

/** Leads of which a post was offered to this buyer or contract, or answered under this reference; null where none is asked for. */
function sentTo({ buyer, contract, buyer_reference }: LeadQuery) {
  const asked = { buyer, contract, buyer_reference }
  const conditions = Object.entries(asked).flatMap(([name, value]) =>
    value === undefined ? [] : [sql<boolean>`i.${sql.ref(name)} = ${value}`],
  )
  return conditions.length === 0 ? null : sql`select i.lead_id from intents i where ${sql.join(conditions, sql` and `)}`
}

/** The fingerprints that a lead with this value has in each campaign; null where none is asked for. */
function printsOfPerson(
  sealer: Sealer,
  { campaigns }: Snapshot,
  field: string,
  given: string | undefined,
): readonly string[] | null {
  if (given === undefined) return null
  const prints = new Set<string>()
  for (const campaign of campaigns.values()) {
    const value = campaign.duplicates.keys.includes(field) ? valueIn(campaign, field, given) : null
    if (value === null) continue
    const lead = { values: new Map([[field, value]]), subs: {}, leadRef: null } as unknown as Lead
    for (const print of fingerprintsOf(sealer, campaign, printsOf([field], lead))) prints.add(print)
  }
  return [...prints]
}

function valueIn({ vertical }: Campaign, field: string, given: string): FieldValue | null {
  const spec = vertical.fields.find(({ name }) => name === field)
  const value = spec ? readField(fieldType(spec.type), spec, given, { now: null }) : 'unknown'
  return typeof value === 'string' ? null : value
}
