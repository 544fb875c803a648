/** Reports: the sums of quarters of an hour put together by what they are asked for, per hour to month of any zone. */
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { LedgerTables } from '../store/tables.ts'
import { type Cell, COLUMNS, type Summed } from './columns.ts'
import { BUCKET_COLUMNS, type Dimension, LEAD_SUMS, OF_LEADS, OF_SEATS, SEAT_SUMS, TABLES } from './sums.ts'

type Db = Kysely<LedgerTables>

export const PERIODS = ['hour', 'day', 'week', 'month'] as const

export interface Span {
  readonly from: Date
  readonly to: Date
  readonly per: (typeof PERIODS)[number] | null
  /** IANA zone in which days, weeks and months begin. */
  readonly zone: string
}

export interface ReportQuery extends Span {
  readonly by: readonly Dimension[]
  /** Only what is of these. */
  readonly of?: Readonly<Partial<Record<Dimension, string>>>
}

export type ReportRow = Readonly<Record<string, Cell>>

export const MOST_ROWS = 10_000

/** In the order of the period, then of what it is by. One row for each currency. Null: there are more than `MOST_ROWS`. */
export async function reportOf(db: Db, query: ReportQuery): Promise<readonly ReportRow[] | null> {
  const { by, of = {} } = query
  const told = [...by, ...Object.keys(of)]
  const [isOfSeats, isOfLeads] = [OF_SEATS, OF_LEADS].map((some: readonly string[]) =>
    told.some((one) => some.includes(one)),
  )
  const table = !isOfSeats ? TABLES.leads : isOfLeads ? TABLES.joined : TABLES.seats
  const names = isOfSeats ? SEAT_SUMS : [...LEAD_SUMS, ...SEAT_SUMS]
  const [sums, latencies] = await Promise.all([
    grouped(db, query, { table, keys: [...by, 'currency'], of, values: names.map(summed) }),
    isOfLeads || told.includes('source') ? null : latenciesOf(db, query),
  ])
  if (sums.size > MOST_ROWS) return null
  return [...sums.keys()].sort().map((key) => {
    const cells = JSON.parse(key) as string[]
    const taken = latencies?.get(JSON.stringify(cells.slice(0, -1)))
    const row: Summed = {
      sums: { ...NO_SUMS, ...(sums.get(key) as Partial<Summed['sums']>) },
      ofLeads: !isOfSeats,
      ping: latencies && (taken?.get('ping') ?? []),
      post: latencies && (taken?.get('post') ?? []),
    }
    return {
      ...Object.fromEntries(headOf(query, [...by, 'currency']).map((name, at) => [name, cells[at]!])),
      ...Object.fromEntries(Object.entries(COLUMNS).map(([name, { show }]) => [name, show(row)])),
    }
  })
}

/** Names of a row's first cells. */
export const headOf = ({ per }: Pick<Span, 'per'>, keys: readonly string[]): readonly string[] => [
  ...(per === null ? [] : ['period']),
  ...keys,
]

const NO_SUMS = Object.fromEntries([...LEAD_SUMS, ...SEAT_SUMS].map((name) => [name, 0])) as Summed['sums']

const summed = (name: string) => sql`coalesce(sum(${sql.ref(name)}), 0)::bigint as ${sql.ref(name)}`

type Latencies = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>

async function latenciesOf(db: Db, query: ReportQuery): Promise<Latencies> {
  const sums = BUCKET_COLUMNS.map((name) => sql`coalesce(sum(${sql.ref(name)}), 0)`)
  const counts = sql`array[${sql.join(sums)}]::float8[] as counts`
  const { by, of = {} } = query
  const rows = await grouped(db, query, { table: 'report_latencies', keys: [...by, 'kind'], of, values: [counts] })
  const taken = new Map<string, Map<string, readonly number[]>>()
  for (const [key, row] of rows) {
    const cells = JSON.parse(key) as string[]
    const kind = cells.pop()!
    const place = JSON.stringify(cells)
    taken.set(place, (taken.get(place) ?? new Map()).set(kind, (row as { counts: number[] }).counts))
  }
  return taken
}

interface Grouping {
  readonly table: string
  readonly keys: readonly string[]
  readonly of: Readonly<Record<string, string>>
  readonly values: readonly RawBuilder<unknown>[]
}

/** Groups are hashed in so much memory, by several processes: the planner expects far more of them than there are, and would sort all rows. */
const GROUP_MEMORY = '32MB'

/** Values by the JSON text of the period, where one is asked for, and the keys. At most one more than `MOST_ROWS`. */
export async function grouped(
  db: Db,
  { from, to, per, zone }: Span,
  { table, keys, of, values }: Grouping,
): Promise<Map<string, Readonly<Record<string, unknown>>>> {
  const columns = keys.map((name) => sql`${sql.ref(name)}`)
  // Finding a quarter among the beginnings of the periods costs half of what cutting its moment down costs.
  const periods = per === null ? [] : [sql`width_bucket(quarter, (select began from periods)) as period`]
  const places = [...periods, ...columns].map((_, at) => sql.raw(String(at + 1)))
  const only = Object.entries(of).map(([name, value]) => sql` and ${sql.ref(name)} = ${value}`)
  const where = sql.join([sql`quarter >= ${from} and quarter < ${to}`, ...only], sql``)
  const groups = places.length === 0 ? sql`()` : sql.join(places)
  const shown = sql.join([...(per === null ? [] : [shownPeriod(per, zone)]), ...columns])
  // What is shown is worked out for each group, not for each row; a plan this simple is not worth compiling.
  const rows = await db.transaction().execute(async (tx) => {
    await sql`select set_config('jit', 'off', true), set_config('timezone', ${zone}, true),
      set_config('work_mem', ${GROUP_MEMORY}, true), set_config('enable_sort', 'off', true),
      set_config('parallel_tuple_cost', '0', true)`.execute(tx)
    const { rows } = await sql<{ key: string[] }>`
      with periods as materialized (
        select array_agg(began order by began) as began
        from (
          select distinct date_trunc(${per ?? 'day'}::text, quarter) as began
          from (select min(quarter) as first, max(quarter) as last from report_quarters) as known,
            generate_series(greatest(date_bin('15 minutes', ${from}::timestamptz, 'epoch'), first),
              least(${to}::timestamptz, last), '15 minutes') as quarter
        ) as each_one
      )
      select json_build_array(${shown}) as key, grouped.*
      from (
        select ${sql.join([...periods, ...columns, ...values])} from ${sql.table(table)}
        where ${where} group by ${groups} limit ${MOST_ROWS + 1}
      ) as grouped`.execute(tx)
    return rows
  })
  return new Map(rows.map(({ key, ...row }) => [JSON.stringify(key), row]))
}

/** As the zone's own clock shows its beginning: `2026-03-02`, `2026-03-02 14:00 -06:00`, `2026-03`. */
function shownPeriod(per: NonNullable<Span['per']>, zone: string): RawBuilder<unknown> {
  const began = sql`(select began from periods)[period]`
  const local = sql`(${began} at time zone ${zone}::text)`
  switch (per) {
    case 'hour':
      return sql`to_char(${local}, 'YYYY-MM-DD HH24:MI') || to_char(${local} - (${began} at time zone 'UTC'), ' HH24:MI')`
    case 'day':
    case 'week':
      return sql`to_char(${local}, 'YYYY-MM-DD')`
    case 'month':
      return sql`to_char(${local}, 'YYYY-MM')`
    default:
      return per satisfies never
  }
}

/** Quarters of an hour of a time that are still to be counted again: because of an upgrade, or something that came late. */
export async function lateQuarters(db: Db, { from, to }: Pick<Span, 'to' | 'from'>): Promise<number> {
  const { n } = await db
    .selectFrom('late_quarters')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('quarter', '>=', from)
    .where('quarter', '<', to)
    .executeTakeFirstOrThrow()
  return n
}
