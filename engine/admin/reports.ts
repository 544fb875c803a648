/** The operation that reports: what came, what was bid, sold and earned, by any of what it is kept by. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { isZone } from '../../rules/configuration/zones.ts'
import type { Fault } from '../../rules/version.ts'
import { writeCsv } from '../csv.ts'
import * as problem from '../problem.ts'
import {
  COLUMNS,
  DIMENSIONS,
  type Dimension,
  isMixed,
  MOST_ROWS,
  PERIODS,
  type ReportQuery,
  type ReportRow,
  reportOf,
} from '../reports/report.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, type Operation, type Page, page } from './operation.ts'
import { given, object, words } from './shapes.ts'

type Db = Kysely<LedgerTables>

const opt = Type.Optional
const cell = Type.Union([Type.String(), Type.Number(), Type.Null()])

const Query = Type.Object({
  from: given('The first quarter of an hour: 2026-03-02T00:00:00Z.'),
  to: given('The quarter of an hour after the last.'),
  by: opt(Type.String({ maxLength: 100, description: `Up to four, joined by commas, of ${DIMENSIONS.join(', ')}.` })),
  per: opt(words(...PERIODS)),
  zone: opt(
    Type.String({ maxLength: 60, description: 'In which days begin: America/Chicago. UTC where it is not given.' }),
  ),
  format: opt(words('json', 'csv')),
})

export function reportOperations(db: Db): readonly Operation[] {
  return [
    {
      ...{ id: 'report', method: 'GET', path: '/admin/v1/reports', tag: 'reports', role: 'viewer', query: Query },
      summary:
        'Sums of leads and of seats, as JSON or CSV. A few seconds behind the ledger, and exact to it. Tests are left out.',
      answers: {
        200: {
          description: 'One row for each period, each of what it is by, and each currency.',
          orText: 'text/csv',
          schema: object({ rows: Type.Array(Type.Record(Type.String(), cell)) }),
        },
      },
      run: (call) => report(db, call),
    },
  ]
}

async function report(db: Db, { query }: Call): Promise<Page> {
  const asked = {
    from: new Date(query['from']!),
    to: new Date(query['to']!),
    by: [...new Set((query['by'] ?? '').split(',').filter((one) => one !== ''))] as Dimension[],
    per: (query['per'] ?? null) as ReportQuery['per'],
    zone: query['zone'] ?? 'UTC',
  }
  const faults = faultsOf(asked)
  if (faults.length > 0) return problem.faulty('There is no such report.', faults)
  const rows = await reportOf(db, asked)
  if (rows === null) {
    const message = `has more than ${MOST_ROWS} rows: take less time, a longer period, or fewer to report by.`
    return problem.faulty('The report is too large.', [{ path: 'query', message }])
  }
  return query['format'] === 'csv' ? page(csvOf(asked, rows), 'text/csv; charset=utf-8') : json({ rows })
}

function faultsOf({ from, to, by, zone }: ReportQuery): readonly Fault[] {
  const faults: Fault[] = []
  const fault = (message: string, name: string) => faults.push({ path: `query.${name}`, message })
  const unknown = by.filter((one) => !(DIMENSIONS as readonly string[]).includes(one))
  if (Number.isNaN(from.getTime())) fault('is no day of the calendar.', 'from')
  if (Number.isNaN(to.getTime())) fault('is no day of the calendar.', 'to')
  if (from >= to) fault('is not after from.', 'to')
  if (unknown.length > 0) fault(`knows no "${unknown[0]!.slice(0, 40)}": give any of ${DIMENSIONS.join(', ')}.`, 'by')
  if (by.length > 4) fault('has more than four.', 'by')
  if (isMixed(by))
    fault(
      'joins what is known of leads (vertical, state, sub1) with what is known of seats (tier, buyer, contract): ask for one of them.',
      'by',
    )
  if (!isZone(zone)) fault('is no IANA time zone: write it as America/Chicago, or UTC.', 'zone')
  return faults
}

function csvOf({ by, per }: ReportQuery, rows: readonly ReportRow[]): string {
  const names = [...(per === null ? [] : ['period']), ...by, 'currency', ...COLUMNS]
  return writeCsv([names, ...rows.map((row) => names.map((name) => row[name] ?? ''))])
}
