/** A lead's page as text: one line for each thing that happened, with its time, and one for how each seat ended and why. */
import type {
  EntryPage,
  IntentPage,
  LeadPage,
  ResolutionPage,
  ReturnPage,
  SalePage,
  SeatPage,
  TraceLine,
} from './port.ts'

/** Plain text in UTF-8, for a terminal: control characters that a buyer may have sent are shown as `?`. */
export function waterfall(page: LeadPage): string {
  const sections = [
    head(page),
    section('Timeline, in ms since the lead opened (> done, < heard)', page.trace, timeline),
    section('Seats', page.seats, (seats) => table(seats.map(seatCells))),
    section('Posts', page.intents, (intents) => table(intents.map((one) => intentCells(one, page)))),
    section('Sales', page.sales, (sales) => table(sales.map((one) => saleCells(one, page)))),
    section('Returns', page.returns, (returns) => table(returns.map((one) => returnCells(one, page)))),
    section('Resolutions', page.resolutions, (all) => table(all.map((one) => resolutionCells(one, page)))),
    section('Money', page.entries, (entries) => table(entries.map((one) => entryCells(one, page)))),
  ]
  return `${sections.filter((one) => one.length > 0).join('\n\n')}\n`
}

function head(page: LeadPage): string {
  const facts = [
    ['campaign', page.campaign],
    ['source', page.source + (page.lead_ref === null ? '' : `, its lead_ref ${page.lead_ref}`)],
    ['version', String(page.version)],
    ['received', `${page.received_at}, ${page.mode}${page.test ? ', test' : ''}`],
    ['decided', decidedWords(page)],
    ['owner', `engine ${page.owner}, term ${page.term}`],
    ['payout', `${page.payout} ${page.currency} for ${page.copies} ${page.copies === 1 ? 'copy' : 'copies'}`],
  ]
  const status = page.reasons.length > 0 ? `${page.status}: ${page.reasons.join(', ')}` : page.status
  return [`Lead ${page.lead_id}  ${clean(status)}`, ...indented(table(facts))].join('\n')
}

function decidedWords({ received_at, decided_at }: LeadPage): string {
  if (decided_at === null) return 'not yet'
  return `${decided_at}, after ${Date.parse(decided_at) - Date.parse(received_at)} ms`
}

function section<T>(title: string, rows: readonly T[], lines: (rows: readonly T[]) => string[]): string {
  return rows.length === 0 ? '' : [title, ...indented(lines(rows))].join('\n')
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`)

function timeline(lines: readonly TraceLine[]): string[] {
  const width = Math.max(...lines.map(({ at }) => String(at).length), 4)
  return lines.map(({ at, arrow, text }) => `${String(at).padStart(width)} ${arrow} ${clean(text)}`)
}

const seatCells = ({ tier, contract, buyer, outcome, reason, price }: SeatPage): string[] => [
  tier,
  contract,
  buyer,
  outcome,
  reason,
  price ?? '',
]

const intentCells = (intent: IntentPage, page: LeadPage): string[] => [
  intent.contract,
  `copy ${intent.copy}`,
  `attempt ${intent.term}.${intent.attempt}`,
  intent.state,
  intent.reason ?? '',
  `${intent.price} ${page.currency}`,
  `held ${since(page, intent.held_at)}`,
  `post by ${since(page, intent.post_by)}`,
  intent.ended_at === null ? 'not ended' : `ended ${since(page, intent.ended_at)}`,
  intent.buyer_reference === null ? '' : `reference ${intent.buyer_reference}`,
]

const saleCells = (sale: SalePage, page: LeadPage): string[] => [
  `copy ${sale.copy}`,
  sale.contract,
  sale.buyer,
  `pays ${sale.price} ${page.currency}${sale.price_cut ? ' (price_cut)' : ''}`,
  `source earns ${sale.payout} ${page.currency}`,
  `sold ${since(page, sale.sold_at)}`,
  sale.buyer_reference === null ? '' : `reference ${sale.buyer_reference}`,
]

const returnCells = (one: ReturnPage, page: LeadPage): string[] => [
  `copy ${one.copy}`,
  one.contract,
  one.buyer,
  one.state,
  one.reason_code,
  `gives back ${one.price} ${page.currency}`,
  `of it from the source ${one.clawback} ${page.currency}`,
  `asked ${one.asked_at} by ${one.asked_by}`,
  one.decided_at === null ? '' : `decided ${one.decided_at} by ${one.decided_by}`,
]

const resolutionCells = (one: ResolutionPage, page: LeadPage): string[] => [
  `copy ${one.copy}`,
  one.contract,
  one.applied ? one.verdict : `${one.verdict}, disputed`,
  one.reason,
  `by ${one.by}`,
  since(page, one.at),
]

const entryCells = (entry: EntryPage, page: LeadPage): string[] => [
  `copy ${entry.copy}`,
  entry.cause,
  entry.account,
  `${entry.amount} ${page.currency}`,
]

/** `+412 ms`, from the receipt by the wall clock. */
function since(page: LeadPage, moment: string): string {
  const passed = Date.parse(moment) - Date.parse(page.received_at)
  return `${passed < 0 ? '-' : '+'}${Math.abs(passed)} ms`
}

/** Columns two spaces apart; columns that are blank in every row are left out. */
function table(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(clean))
  const columns = cells[0]!.map((_, at) => at).filter((at) => cells.some((row) => row[at] !== ''))
  const widths = columns.map((at) => Math.max(...cells.map((row) => row[at]!.length)))
  return cells.map((row) =>
    columns
      .map((at, i) => row[at]!.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

export const clean = (text: string): string => text.replace(/\p{Cc}|\p{Cf}|\u2028|\u2029/gu, '?')
