/** Reports: the sums of quarters of an hour put together by what they are asked for, per hour to month of any zone. */
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { formatMoney, micros } from '../../rules/units.ts'
import type { LedgerTables } from '../store/tables.ts'

type Db = Kysely<LedgerTables>

/** What both leads and seats have, what a lead alone has, what a seat alone has. */
const BOTH = ['campaign', 'source'] as const
const OF_LEADS = ['vertical', 'state', 'sub1'] as const
const OF_SEATS = ['tier', 'buyer', 'contract'] as const
export const DIMENSIONS = [...BOTH, ...OF_LEADS, ...OF_SEATS] as const
export type Dimension = (typeof DIMENSIONS)[number]
export const PERIODS = ['hour', 'day', 'week', 'month'] as const

export interface ReportQuery {
  readonly from: Date
  readonly to: Date
  readonly by: readonly Dimension[]
  readonly per: (typeof PERIODS)[number] | null
  /** IANA zone in which days, weeks and months begin. */
  readonly zone: string
}

/** Money is a decimal string, a rate a number from 0 to 1; null: it cannot be told by what was asked for. */
export type ReportRow = Readonly<Record<string, string | number | null>>

const LEAD_SUMS = [
  'invalid',
  'valid',
  'duplicates',
  'sold',
  'unsold',
  'pending',
  'expired',
  'copies',
  'revenue',
  'payout',
] as const
const SEAT_SUMS = [
  'pinged',
  'bids',
  'bid_sum',
  'wins',
  'posts',
  'rejects',
  'sold',
  'in_doubt',
  'returns',
  'revenue',
  'payout',
] as const
export const COLUMNS = [
  ...['received', 'valid', 'invalid', 'duplicates', 'sold', 'unsold', 'pending', 'expired', 'copies', 'fill_rate'],
  ...['pinged', 'bids', 'bid_rate', 'average_bid', 'wins', 'posts', 'rejects', 'in_doubt', 'returns'],
  ...['revenue', 'payout', 'margin', 'epl'],
] as const

export const MOST_ROWS = 10_000

/** True where no sum is kept of all that is asked for together. */
export const isMixed = (by: readonly Dimension[]): boolean =>
  by.some((one) => includes(OF_LEADS, one)) && by.some((one) => includes(OF_SEATS, one))

/** In the order of the period, then of what it is by. One row for each currency. Null: there are more than `MOST_ROWS`. */
export async function reportOf(db: Db, query: ReportQuery): Promise<readonly ReportRow[] | null> {
  const { by } = query
  const [leads, seats] = await Promise.all([
    by.some((one) => includes(OF_SEATS, one)) ? null : sumsOf(db, 'report_leads', LEAD_SUMS, query),
    by.some((one) => includes(OF_LEADS, one)) ? null : sumsOf(db, 'report_seats', SEAT_SUMS, query),
  ])
  const keys = new Map([...(leads ?? []), ...(seats ?? [])])
  if (keys.size > MOST_ROWS) return null
  return [...keys.keys()].sort().map((key) => {
    const names = [...(query.per === null ? [] : ['period']), ...by, 'currency']
    const cells = JSON.parse(key) as string[]
    return {
      ...Object.fromEntries(names.map((name, at) => [name, cells[at]!])),
      ...metricsOf(leads?.get(key), seats?.get(key), leads !== null, seats !== null),
    }
  })
}

const includes = (list: readonly string[], one: string): boolean => list.includes(one)

type Sums = Readonly<Record<string, number>>

async function sumsOf(
  db: Db,
  table: string,
  sums: readonly string[],
  { from, to, by, per, zone }: ReportQuery,
): Promise<Map<string, Sums>> {
  const period = per === null ? [] : [sql`date_trunc(${per}::text, quarter) as period`]
  const keys = [...by, 'currency'].map((name) => sql`${sql.ref(name)}`)
  const totals = sums.map((name) => sql`sum(${sql.ref(name)})::bigint as ${sql.ref(name)}`)
  const places = [...period, ...keys].map((_, at) => sql.raw(String(at + 1)))
  const names = [...(per === null ? [] : [shownPeriod(per, zone)]), ...keys]
  // What is shown is worked out for each group, not for each row; a plan this simple is not worth compiling.
  const rows = await db.transaction().execute(async (tx) => {
    // The session's own zone is found once, a named one for each row.
    await sql`select set_config('jit', 'off', true), set_config('timezone', ${zone}, true)`.execute(tx)
    const { rows } = await sql<Sums & { key: string[] }>`
      select json_build_array(${sql.join(names)}) as key, ${sql.join(sums.map((name) => sql.ref(name)))}
      from (
        select ${sql.join([...period, ...keys, ...totals])} from ${sql.table(table)}
        where quarter >= ${from} and quarter < ${to} group by ${sql.join(places)} limit ${MOST_ROWS + 1}
      ) as grouped`.execute(tx)
    return rows
  })
  return new Map(rows.map(({ key, ...row }) => [JSON.stringify(key), row as Sums]))
}

/** As the zone's own clock shows its beginning: `2026-03-02`, `2026-03-02 14:00 -06:00`, `2026-03`. */
function shownPeriod(per: NonNullable<ReportQuery['per']>, zone: string): RawBuilder<unknown> {
  const local = sql`(period at time zone ${zone}::text)`
  switch (per) {
    case 'hour':
      return sql`to_char(${local}, 'YYYY-MM-DD HH24:MI') || to_char(${local} - (period at time zone 'UTC'), ' HH24:MI')`
    case 'day':
    case 'week':
      return sql`to_char(${local}, 'YYYY-MM-DD')`
    case 'month':
      return sql`to_char(${local}, 'YYYY-MM')`
    default:
      return per satisfies never
  }
}

const rate = (part: number, of: number): number | null => (of === 0 ? null : Math.round((part / of) * 10_000) / 10_000)
const money = (amount: number): string => formatMoney(micros(Math.round(amount)))
const average = (sum: number, n: number): string | null => (n === 0 ? null : money(sum / n))

function metricsOf(leads: Sums | undefined, seats: Sums | undefined, ofLeads: boolean, ofSeats: boolean): ReportRow {
  const lead = (name: string): number | null => (ofLeads ? (leads?.[name] ?? 0) : null)
  const seat = (name: string): number | null => (ofSeats ? (seats?.[name] ?? 0) : null)
  const [revenue, payout] = ['revenue', 'payout'].map((name) => lead(name) ?? seat(name) ?? 0) as [number, number]
  const valid = lead('valid')
  return {
    received: valid === null ? null : valid + lead('invalid')!,
    ...Object.fromEntries(
      ['valid', 'invalid', 'duplicates', 'unsold', 'pending', 'expired'].map((name) => [name, lead(name)]),
    ),
    sold: lead('sold') ?? seat('sold'),
    copies: lead('copies') ?? seat('sold'),
    fill_rate: valid === null ? null : rate(lead('sold')!, valid),
    ...Object.fromEntries(
      ['pinged', 'bids', 'wins', 'posts', 'rejects', 'in_doubt', 'returns'].map((name) => [name, seat(name)]),
    ),
    bid_rate: ofSeats ? rate(seat('bids')!, seat('pinged')!) : null,
    average_bid: ofSeats ? average(seat('bid_sum')!, seat('bids')!) : null,
    revenue: money(revenue),
    payout: money(payout),
    margin: money(revenue - payout),
    epl: valid === null ? null : average(revenue, valid),
  }
}
