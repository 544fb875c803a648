/** The command that reports: what came, was bid, sold and earned, or why not, as a table, CSV or JSON. */
import { DateTime } from 'luxon'
import type { Context } from './context.ts'
import { Complaint, headed } from './output.ts'

type Row = Readonly<Record<string, string | number | null>>

/** What fits on a screen; CSV and JSON have everything. */
const SHOWN = [
  ...['received', 'valid', 'duplicates', 'sold', 'fill_rate', 'pinged', 'bids', 'average_bid', 'posts'],
  ...['reject_rate', 'in_doubt', 'returns', 'revenue', 'payout', 'margin', 'epl', 'ping_p90', 'post_p90'],
]
const DAYS = 7

export async function report({ plane, output, options }: Context): Promise<void> {
  const admin = plane()
  const path = options['reasons'] === undefined ? '/admin/v1/reports' : '/admin/v1/reports/reasons'
  const query = queryOf(options)
  if (options['csv'] !== undefined) return void process.stdout.write(await admin.text(`${path}?${query}&format=csv`))
  const said = await admin.call<{ rows: readonly Row[]; recounting: number }>('GET', `${path}?${query}`)
  output.show(said, linesOf(said.rows, options))
  if (said.recounting > 0)
    output.note(`${said.recounting} quarters of an hour of this time are still to be counted again.\n`)
}

function linesOf(rows: readonly Row[], options: Context['options']): readonly string[] {
  const [first] = rows
  if (first === undefined) return ['Nothing came in this time.']
  const asked = options['columns']?.split(',')
  const unknown = asked?.find((name) => !Object.hasOwn(first, name))
  if (unknown !== undefined) throw new Complaint(`There is no column "${unknown}" in this report.`, 2)
  const named = ['period', ...(options['by']?.split(',') ?? []), 'kind', 'reason', 'currency', ...(asked ?? SHOWN), 'n']
  const columns = [...new Set(named)].filter((name) => rows.some((row) => (row[name] ?? null) !== null))
  return headed(
    columns,
    rows.map((row) => columns.map((name) => String(row[name] ?? ''))),
  )
}

function queryOf(options: Context['options']): URLSearchParams {
  const zone = options['zone'] ?? 'UTC'
  const query = new URLSearchParams({ zone })
  for (const name of ['by', 'per'] as const) if (options[name] !== undefined) query.set(name, options[name])
  for (const pair of options['only']?.split(',') ?? []) {
    const [name, ...value] = pair.split('=')
    query.set(name!, value.join('='))
  }
  const now = DateTime.fromMillis(Date.now(), { zone: 'UTC' })
  const { from, to } = options
  const span = {
    from: from === undefined ? now.startOf('day').minus({ days: DAYS - 1 }) : momentOf(from, zone),
    to: to === undefined ? now : momentOf(to, zone),
  }
  for (const [name, moment] of Object.entries(span))
    query.set(name, moment.toUTC().toISO({ suppressMilliseconds: true })!)
  return query
}

/** A day begins in the zone that is asked for. */
function momentOf(text: string, zone: string): DateTime {
  const moment = DateTime.fromISO(text, { zone })
  if (!moment.isValid) throw new Complaint(`${text} is no moment: write it as 2026-03-02 or 2026-03-02T14:00.`, 2)
  return moment
}
