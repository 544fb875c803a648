/** The operation by which a source sees which of its channels sell, and what becomes of their leads. */
import Type from 'typebox'
import { isZone } from '../../rules/configuration/zones.ts'
import { writeCsv } from '../../rules/csv.ts'
import { type Call, json, type Operation, type Page, page } from '../admin/operation.ts'
import { given, object, words } from '../admin/shapes.ts'
import * as problem from '../problem.ts'
import { COLUMNS } from '../reports/columns.ts'
import { headOf, MOST_ROWS, PERIODS, type ReportQuery, reportOf } from '../reports/report.ts'
import { type Dimension, OF_LEADS } from '../reports/sums.ts'
import type { PortalParts } from './operations.ts'
import { noSuchTime, spanOf } from './pages.ts'

const opt = Type.Optional

/** What a source knows of its own leads. */
const BY = ['campaign', ...OF_LEADS] as const satisfies readonly Dimension[]
/** Neither prices nor margins, nor what buyers were asked and said. */
const SHOWN = [
  ...['received', 'valid', 'invalid', 'duplicates', 'sold', 'unsold', 'pending', 'expired', 'fill_rate'],
  ...['copies', 'returns', 'payout', 'disposed', 'contacted', 'contact_rate', 'converted', 'conversion_rate'],
] as const

const Query = Type.Object({
  from: given('The first quarter of an hour: 2026-03-02T00:00:00Z.'),
  to: given('The quarter of an hour after the last.'),
  by: opt(
    Type.String({
      maxLength: 100,
      description: `Any of ${BY.join(', ')}, joined by commas; campaign,sub1 where it is not given.`,
    }),
  ),
  per: opt(words(...PERIODS)),
  zone: opt(Type.String({ maxLength: 100, description: 'In which days begin: America/Chicago. UTC otherwise.' })),
  format: opt(words('json', 'csv')),
})

export function reportOperations(parts: PortalParts): readonly Operation[] {
  const told = SHOWN.map((column) => `${column}: ${COLUMNS[column]!.about}`)
  const cell = Type.Union([Type.String(), Type.Number(), Type.Null()])
  const row = Type.Record(Type.String(), cell, { description: told.join('\n') })
  return [
    {
      ...{ id: 'sourceReport', method: 'GET', path: '/v1/source/report', tag: 'sources', role: 'source', heavy: true },
      query: Query,
      summary: 'Your leads by campaign and sub-id: received, sold, earned, and what became of them.',
      answers: {
        200: {
          description: 'One row for each period, each of what it is by, and each currency. Some seconds behind.',
          schema: object({ rows: Type.Array(row) }),
          orText: 'text/csv',
        },
      },
      run: (call) => report(parts, call),
    },
  ]
}

async function report({ db, clock }: PortalParts, call: Call): Promise<Page> {
  const { actor, query } = call
  if (actor.test) return problem.liveKeyNeeded()
  const span = spanOf(call, clock.wall())
  if ('faults' in span) return noSuchTime(span.faults)
  const { by = 'campaign,sub1', per = null, zone = 'UTC' } = query
  const named = [...new Set(by.split(',').filter((one) => one !== ''))] as Dimension[]
  const faults = [
    ...(named.every((one) => (BY as readonly string[]).includes(one))
      ? []
      : [{ path: 'query.by', message: `may be of ${BY.join(', ')}.` }]),
    ...(isZone(zone) ? [] : [{ path: 'query.zone', message: 'is no IANA time zone: write it as America/Chicago.' }]),
  ]
  if (faults.length > 0) return problem.faulty('There is no such report.', faults)
  const asked = { ...span, by: named, of: { source: actor.label }, per: per as ReportQuery['per'], zone }
  const rows = await reportOf(db, asked)
  if (rows === null) {
    const message = `has more than ${MOST_ROWS} rows: take less time, a longer period, or fewer to report by.`
    return problem.faulty('The report is too large.', [{ path: 'query', message }])
  }
  const names = [...headOf(asked, [...named, 'currency']), ...SHOWN]
  return query['format'] === 'csv'
    ? page(writeCsv([names, ...rows.map((one) => names.map((name) => one[name] ?? ''))]), 'text/csv; charset=utf-8')
    : json({ rows: rows.map((one) => Object.fromEntries(names.map((name) => [name, one[name] ?? null]))) })
}
