/** The report of reasons: why posts were refused, bids lost, and contracts not asked, the most frequent first. */
import { type Kysely, sql } from 'kysely'
import type { LedgerTables } from '../store/tables.ts'
import { grouped, headOf, MOST_ROWS, type Span } from './report.ts'

export const REASON_DIMENSIONS = ['campaign', 'buyer', 'contract', 'kind', 'reason'] as const
export type ReasonDimension = (typeof REASON_DIMENSIONS)[number]

export interface ReasonQuery extends Span {
  readonly by: readonly ReasonDimension[]
  readonly of: Readonly<Partial<Record<ReasonDimension, string>>>
}

export type ReasonRow = Readonly<Record<string, string | number>>

/** Null: there are more than `MOST_ROWS`. */
export async function reasonsOf(db: Kysely<LedgerTables>, query: ReasonQuery): Promise<readonly ReasonRow[] | null> {
  const { by, of } = query
  const values = [sql`sum(n)::bigint as n`]
  const rows = await grouped(db, query, { table: 'report_reasons', keys: by, of, values })
  if (rows.size > MOST_ROWS) return null
  const names = headOf(query, by)
  const shown = [...rows].map(([key, { n }]) => ({ cells: JSON.parse(key) as string[], key, n: n as number }))
  const period = ({ cells }: { readonly cells: readonly string[] }) => (query.per === null ? '' : cells[0]!)
  shown.sort((a, b) => compare(period(a), period(b)) || b.n - a.n || compare(a.key, b.key))
  return shown.map(({ cells, n }) => ({ ...Object.fromEntries(names.map((name, at) => [name, cells[at]!])), n }))
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
