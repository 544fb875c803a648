/** How much of the last day's traffic a change of the configuration would have touched. */
import { type Kysely, sql } from 'kysely'
import { type Difference, scopeOf } from '../../rules/configuration/difference.ts'
import type { LedgerTables } from '../store/tables.ts'

export interface Touched {
  /** Leads of campaigns and sources that the change touches. */
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
