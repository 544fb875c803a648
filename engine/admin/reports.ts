/** The operations that report: what came, what was bid, sold and earned, and why not, by any of what it is kept by. */
import type { Kysely } from 'kysely'
import Type, { type TObject, type TSchema } from 'typebox'
import { isZone } from '../../rules/configuration/zones.ts'
import { writeCsv } from '../../rules/csv.ts'
import type { Fault } from '../../rules/version.ts'
import * as problem from '../problem.ts'
import { type Cell, COLUMNS } from '../reports/columns.ts'
import { REASON_DIMENSIONS, reasonsOf } from '../reports/reasons.ts'
import { headOf, lateQuarters, MOST_ROWS, PERIODS, reportOf, type Span } from '../reports/report.ts'
import { DIMENSIONS } from '../reports/sums.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, type Operation, type Page, page } from './operation.ts'
import { given, object, whole, words } from './shapes.ts'

type Db = Kysely<LedgerTables>

const opt = Type.Optional
const MOST_BY = 6

/** One kind of report: what it may be by, what it shows, and how it is read. */
interface Kind<D extends string> {
  readonly dimensions: readonly D[]
  /** By what, where nothing is asked for. */
  readonly otherwise: readonly D[]
  /** Behind the period and what it is by. */
  readonly columns: Readonly<Record<string, string>>
  readonly read: (db: Db, query: Asked<D>) => Promise<readonly Readonly<Record<string, Cell>>[] | null>
}

interface Asked<D extends string> extends Span {
  readonly by: readonly D[]
  readonly of: Readonly<Partial<Record<D, string>>>
}

const SUMS: Kind<(typeof DIMENSIONS)[number]> = {
  dimensions: DIMENSIONS,
  otherwise: [],
  columns: {
    currency: 'Of all that is money.',
    ...Object.fromEntries(Object.entries(COLUMNS).map(([name, { about }]) => [name, about])),
  },
  read: reportOf,
}

const REASONS: Kind<(typeof REASON_DIMENSIONS)[number]> = {
  dimensions: REASON_DIMENSIONS,
  otherwise: ['kind', 'reason'],
  columns: { n: 'How often.' },
  read: reasonsOf,
}

const cell = Type.Union([Type.String(), Type.Number(), Type.Null()])
const name = (about: string) => opt(Type.String({ maxLength: 100, description: about }))

function queryOf({ dimensions, otherwise }: Kind<string>): TObject {
  const without = otherwise.length > 0 ? ` Without it by ${otherwise.join(' and ')}.` : ''
  const only = dimensions.map((one) => [one, name(`Only what is of this ${one}.`)] as const)
  return Type.Object({
    from: given('The first quarter of an hour: 2026-03-02T00:00:00Z.'),
    to: given('The quarter of an hour after the last.'),
    by: opt(
      Type.String({
        maxLength: 100,
        description: `Up to ${MOST_BY}, joined by commas, of ${dimensions.join(', ')}.${without}`,
      }),
    ),
    per: opt(words(...PERIODS)),
    zone: name('In which days begin: America/Chicago. UTC where it is not given.'),
    format: opt(words('json', 'csv')),
    ...Object.fromEntries(only),
  })
}

function rowOf({ columns }: Kind<string>): TSchema {
  const told = Object.entries(columns).map(([column, about]) => `${column}: ${about}`)
  return Type.Record(Type.String(), cell, { description: told.join('\n') })
}

const answerOf = (kind: Kind<string>) => ({
  description: 'One row for each period and each of what it is by.',
  orText: 'text/csv',
  schema: object({
    rows: Type.Array(rowOf(kind)),
    recounting: whole(
      'Quarters of an hour of this time that are still to be counted again, after an upgrade or a return.',
    ),
  }),
})

export function reportOperations(db: Db): readonly Operation[] {
  const get = { method: 'GET', tag: 'reports', role: 'viewer' } as const
  return [
    {
      ...{ ...get, id: 'reasons', path: '/admin/v1/reports/reasons', query: queryOf(REASONS as Kind<string>) },
      summary:
        'Why posts were refused (kind rejected), bids lost, and contracts were not asked: the most frequent first.',
      answers: { 200: answerOf(REASONS as Kind<string>) },
      run: (call) => report(db, REASONS, call),
    },
    {
      ...{ ...get, id: 'report', path: '/admin/v1/reports', query: queryOf(SUMS as Kind<string>) },
      summary:
        'Sums of leads and of seats, as JSON or CSV. A few seconds behind the ledger, and exact to it. Tests are left out.',
      answers: { 200: answerOf(SUMS as Kind<string>) },
      run: (call) => report(db, SUMS, call),
    },
  ]
}

async function report<D extends string>(db: Db, kind: Kind<D>, { query }: Call): Promise<Page> {
  const named = [...new Set((query['by'] ?? '').split(',').filter((one) => one !== ''))] as D[]
  const only = kind.dimensions.flatMap((one) => (query[one] === undefined ? [] : [[one, query[one]] as const]))
  const asked: Asked<D> = {
    from: new Date(query['from']!),
    to: new Date(query['to']!),
    by: named.length === 0 ? kind.otherwise : named,
    of: Object.fromEntries(only) as Asked<D>['of'],
    per: (query['per'] ?? null) as Span['per'],
    zone: query['zone'] ?? 'UTC',
  }
  const faults = faultsOf(kind, asked)
  if (faults.length > 0) return problem.faulty('There is no such report.', faults)
  const rows = await kind.read(db, asked).catch(orTooLong)
  if (rows === null) {
    const message = `has more than ${MOST_ROWS} rows: take less time, a longer period, or fewer to report by.`
    return problem.faulty('The report is too large.', [{ path: 'query', message }])
  }
  if (rows === TOO_LONG) {
    const message = 'takes too long: take less time, or only what leads were or only whom they were offered to.'
    return problem.faulty('The report is too large.', [{ path: 'query', message }])
  }
  if (query['format'] === 'csv') {
    const names = headOf(asked, [...asked.by, ...Object.keys(kind.columns)])
    return page(writeCsv([names, ...rows.map((row) => names.map((one) => row[one] ?? ''))]), 'text/csv; charset=utf-8')
  }
  return json({ rows, recounting: await lateQuarters(db, asked) })
}

const TOO_LONG = 'too long'
/** SQLSTATE of a statement that the server ended for its time. */
const STATEMENT_ENDED = '57014'

function orTooLong(error: unknown): typeof TOO_LONG {
  if ((error as { code?: unknown }).code === STATEMENT_ENDED) return TOO_LONG
  throw error
}

function faultsOf<D extends string>({ dimensions }: Kind<D>, { from, to, by, zone }: Asked<D>): readonly Fault[] {
  const faults: Fault[] = []
  const fault = (message: string, at: string) => faults.push({ path: `query.${at}`, message })
  const unknown = by.filter((one) => !dimensions.includes(one))
  if (Number.isNaN(from.getTime())) fault('is no day of the calendar.', 'from')
  if (Number.isNaN(to.getTime())) fault('is no day of the calendar.', 'to')
  if (from >= to) fault('is not after from.', 'to')
  if (unknown.length > 0) fault(`knows no "${unknown[0]!.slice(0, 40)}": give any of ${dimensions.join(', ')}.`, 'by')
  if (by.length > MOST_BY) fault(`has more than ${MOST_BY}.`, 'by')
  if (!isZone(zone)) fault('is no IANA time zone: write it as America/Chicago, or UTC.', 'zone')
  return faults
}
