/** Lists in pages: a time that is asked for, a cursor to go on from, JSON or CSV. */
import Type, { type TSchema } from 'typebox'
import { writeCsv } from '../../rules/csv.ts'
import type { Fault } from '../../rules/version.ts'
import { type Answer, type Call, json, type Page, page } from '../admin/operation.ts'
import { given, nullable, numeral, object, text, words } from '../admin/shapes.ts'
import * as problem from '../problem.ts'

const opt = Type.Optional

export const PAGE = 100
export const PAGE_MOST = 1_000
const DAY_MS = 86_400_000

export const Times = {
  from: opt(given('From then on: 2026-03-02T00:00:00Z. A day before its end where it is not given.')),
  to: opt(given('Before then. Now where it is not given.')),
}
export const Pages = {
  ...Times,
  limit: opt(numeral(`At most so many, up to ${PAGE_MOST}; ${PAGE} where it is not given.`)),
  format: opt(words('json', 'csv')),
}

export interface Span {
  readonly from: Date
  readonly to: Date
}

/** Null: the calendar has no such day (31 June). */
export function momentOf(text: string): Date | null {
  const moment = new Date(text)
  return !Number.isNaN(moment.getTime()) && moment.toISOString().slice(0, 10) === text.slice(0, 10) ? moment : null
}

/** The time that is asked for, or what is wrong with it. */
export function spanOf({ query }: Call, now: number): Span | { readonly faults: readonly Fault[] } {
  const { from: first, to: last } = query
  const to = last === undefined ? new Date(now) : momentOf(last)
  const from = first === undefined ? new Date((to?.getTime() ?? now) - DAY_MS) : momentOf(first)
  const faults: Fault[] = []
  if (!to) faults.push({ path: 'query.to', message: NO_DAY })
  if (!from) faults.push({ path: 'query.from', message: NO_DAY })
  if (to && from && from >= to) faults.push({ path: 'query.from', message: 'is not before to.' })
  return to && from && faults.length === 0 ? { from, to } : { faults }
}

export const NO_DAY = 'is no day of the calendar.'
export const noSuchTime = (faults: readonly Fault[]): Page => problem.faulty('There is no such time.', faults)

export const limitOf = ({ query }: Call): number => Math.min(Math.max(Number(query['limit'] ?? PAGE), 1), PAGE_MOST)

/** `items` and where to go on, also as a Link header. */
export function listed(item: TSchema, description: string): Record<number, Answer> {
  const next = nullable(text('What "after" takes to go on; null: there is no more.'))
  return { 200: { description, schema: object({ items: Type.Array(item), next }), orText: 'text/csv' } }
}

type Cell = string | number | boolean | null | readonly string[]

/** `rows`: one more than is shown where there are more. `columns` also names what CSV has, in its order. */
export function pageOf<R>(
  call: Call,
  path: string,
  rows: readonly R[],
  columns: readonly string[],
  show: (row: R) => Readonly<Record<string, Cell>>,
  cursorOf: (row: R) => string,
): Page {
  const most = limitOf(call)
  const items = rows.slice(0, most).map(show)
  const next = rows.length > most ? cursorOf(rows[most - 1]!) : null
  const query = new URLSearchParams({ ...call.query, after: next ?? '' })
  const headers: Record<string, string> = next === null ? {} : { link: `<${path}?${query}>; rel="next"` }
  if (call.query['format'] !== 'csv') return json({ items, next }, 200, headers)
  const cells = items.map((item) => columns.map((name) => cellOf(item[name] ?? '')))
  return page(writeCsv([columns, ...cells]), 'text/csv; charset=utf-8', 200, headers)
}

const cellOf = (value: NonNullable<Cell>): string | number =>
  typeof value === 'object' ? value.join(' ') : typeof value === 'boolean' ? String(value) : value
