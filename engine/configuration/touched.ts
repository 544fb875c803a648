/** How much of the last day's traffic a change of the configuration would have touched. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { type Difference, scopeOf } from '../../rules/configuration/difference.ts'
import { Comparison } from '../../rules/consequence.ts'
import { leadFromJson } from '../../rules/lead.ts'
import { wallMs } from '../../rules/units.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'

export interface Touched {
  /** Leads of campaigns and sources that the change can touch at all. */
  readonly touched: number
  /** All leads. */
  readonly leads: number
}

/** Counts the leads of the last 24 hours, tests left out. */
export async function touchedLeads(
  db: Kysely<LedgerTables>,
  changes: readonly Difference[],
  before: unknown,
  after: unknown,
): Promise<Touched> {
  const rows = await db
    .selectFrom('leads')
    .select(['campaign', 'source', (eb) => eb.fn.countAll<number>().as('n')])
    .where('id', '>=', sql<string>`uuid_at(now() - interval '24 hours')`)
    .where('test', '=', false)
    .groupBy(['campaign', 'source'])
    .execute()
  const { all, campaigns, sources } = scopeOf(changes, before, after)
  const sum = (some: typeof rows) => some.reduce((total, { n }) => total + n, 0)
  const touched = all ? rows : rows.filter(({ campaign, source }) => campaigns.has(campaign) || sources.has(source))
  return { touched: sum(touched), leads: sum(rows) }
}

/** Leads that were looked at one by one, and how many of them the change would have treated otherwise. */
export interface Consequences {
  readonly sampled: number
  /** Other contracts may take part. */
  readonly other_seats: number
  /** The same ones, and their tiers, prices or floors differ. */
  readonly other_terms: number
}

const SAMPLES = 300
/** For all of them together. */
const WITHIN_MS = 2_000

/**
 * Opens leads from all over the last day under both versions, as far as the time goes. Caps, doubts and whom a buyer has
 * had already are not judged, nor what buyers would have bid.
 */
export async function consequencesFor(
  db: Kysely<LedgerTables>,
  sealer: Sealer,
  before: Snapshot,
  after: Snapshot,
): Promise<Consequences> {
  const { rows } = await sql<SampleRow>`
    select distinct on (l.id) l.id, l.campaign, l.source, l.received_at, l.sealed, k.wrapped, k.key_version
    from generate_series(1, ${SAMPLES}) as nth
    cross join lateral (
      select * from leads where id >= uuid_at(now() - interval '24 hours' * nth / ${SAMPLES}::float) and not test
      order by id limit 1
    ) as l
    join lead_keys k on k.lead_id = l.id`.execute(db)
  const comparison = new Comparison(before, after)
  const found = { sampled: 0, other_seats: 0, other_terms: 0, same: 0 }
  const until = performance.now() + WITHIN_MS
  for (const { id, campaign, source, received_at, sealed, wrapped, key_version: keyVersion } of rows) {
    if (performance.now() > until) break
    const from = { sealed: sealed.toString('base64'), wrappedKey: wrapped.toString('base64'), keyVersion }
    const lead = leadFromJson(sealer.open(id, from))
    found[comparison.of({ campaign, source, lead, at: wallMs(received_at.getTime()) })]++
    found.sampled++
    // Leads under way get their turns.
    await nextTurn()
  }
  const { sampled, other_seats, other_terms } = found
  return { sampled, other_seats, other_terms }
}

interface SampleRow {
  readonly id: string
  readonly campaign: string
  readonly source: string
  readonly received_at: Date
  readonly sealed: Buffer
  readonly wrapped: Buffer
  readonly key_version: number
}
