/** The commands on leads: lead, replay, tail. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Context } from './context.ts'
import { Complaint, table } from './output.ts'

interface Seat {
  readonly tier: string
  readonly contract: string
  readonly outcome: string
  readonly why: string
  readonly to_win: string | null
}
interface Found {
  readonly lead_id: string
  readonly status: string
  readonly campaign: string
  readonly source: string
  readonly received_at: string
  readonly payout: string
  readonly currency: string
  readonly buyers: readonly string[]
}

/** Its timeline, and for each seat what would have won; with --bytes what was said to its buyers. */
export async function lead({ plane, output, args, options }: Context): Promise<void> {
  const path = `/admin/v1/leads/${idOf(args)}`
  const admin = plane()
  if (options['bytes']) {
    const bytes = `${path}/exchanges`
    if (options['json']) return output.show(await admin.call<object>('GET', bytes), [])
    return output.show(null, (await admin.text(bytes)).trimEnd().split('\n'))
  }
  const { seats } = await admin.call<{ seats: readonly Seat[] }>('GET', `${path}/explain`)
  if (options['json']) return output.show({ ...(await admin.call<object>('GET', path)), explained: seats }, [])
  const rows = seats.map(({ tier, contract, outcome, why, to_win }) => [
    ` ${tier}`,
    contract,
    outcome,
    why,
    to_win === null ? '' : `to win: ${to_win}`,
  ])
  const waterfall = (await admin.text(path)).trimEnd().split('\n')
  output.show(null, [...waterfall, ...(rows.length > 0 ? ['', 'Why', ...table(rows)] : [])])
}

export async function replay({ plane, output, args }: Context): Promise<void> {
  const path = `/admin/v1/leads/${idOf(args)}:replay`
  const replayed = await plane().call<{
    same: boolean
    rows: number
    differs: { at: number; stored: string; played: string } | null
  }>('POST', path, {})
  const { same, rows, differs } = replayed
  const lines = differs
    ? [`Row ${differs.at} differs:`, `  stored ${differs.stored}`, `  played ${differs.played}`]
    : [`The same: ${rows} rows.`]
  output.show(replayed, lines)
  if (!same) throw new Complaint('')
}

const LOOK_MS = 500
const AT_ONCE = 100
/** A lead that came so long ago and is not decided is no longer waited for. */
const WAIT_MS = 120_000

/** Prints each lead as it is decided; --count ends it after so many. */
export async function tail({ plane, output, options }: Context): Promise<void> {
  const admin = plane()
  const told = new Set<string>()
  const most = options['count'] === undefined ? Number.POSITIVE_INFINITY : Number(options['count'])
  const from = Date.now()
  output.note('Leads as they are decided; Ctrl-C ends it.\n')
  for (let shown = 0; shown < most; await pause(LOOK_MS)) {
    const since = new Date(Math.max(from, Date.now() - WAIT_MS)).toISOString()
    const { items } = await admin.call<{ items: Found[] }>('POST', '/admin/v1/leads:search', {
      from: since,
      limit: AT_ONCE,
    })
    for (const found of items.reverse()) {
      if (found.status === 'received' || told.has(found.lead_id) || shown >= most) continue
      told.add(found.lead_id)
      shown++
      output.show(found, [tailLine(found)])
    }
    // Older ones no longer come back.
    for (const id of told) if (told.size > 10_000) told.delete(id)
  }
}

const tailLine = ({ received_at, status, payout, currency, campaign, source, buyers, lead_id }: Found): string =>
  [
    received_at.slice(11, 23),
    status.padEnd(9),
    `${payout} ${currency}`.padStart(12),
    `${campaign} from ${source}`.padEnd(24),
    lead_id,
    buyers.length > 0 ? `to ${buyers.join(', ')}` : '',
  ]
    .join('  ')
    .trimEnd()

function idOf([id]: readonly string[]): string {
  if (id === undefined) throw new Complaint('Say which lead: gavelpost lead 0197...', 2)
  return encodeURIComponent(id)
}
