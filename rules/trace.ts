/** A lead's trace: its auction's events and commands as compact rows to store and replay, and as lines for people. */
import type {
  AuctionCommand,
  AuctionEvent,
  AuctionTerms,
  Checked,
  CheckSaid,
  LeadPrices,
  Opening,
  Outcome,
  PostResult,
} from './auction.ts'
import type { Adjustment } from './money.ts'
import { newAuction } from './step/state.ts'
import { step } from './step.ts'
import { formatMoney, type Micros, micros, PPM_PER_WHOLE } from './units.ts'
import type { PayoutRule } from './version.ts'

/** One event (`['bid', at, seat, ...]`) or command (`['>hold', seat, ...]`; it happened at the event's time before it). */
export type TraceRow = readonly (
  | string
  | number
  | null
  | readonly number[]
  | readonly string[]
  | readonly (readonly (string | number)[])[]
  | Checked
)[]

/** What the ledger stores: no lead value is in it, so it outlives an erasure. */
export interface Trace {
  readonly machine: 1
  readonly version: number
  readonly campaign: string
  readonly source: string
  readonly term: number
  readonly opening: Opening
  readonly rows: readonly TraceRow[]
}

/** A stored trace; null where there is none, or its lead was decided without an auction. */
export function readTrace(text: string | null): Trace | null {
  const parsed = text ? JSON.parse(text) : null
  return parsed?.rows ? (parsed as Trace) : null
}

export function eventRow(event: Exclude<AuctionEvent, { on: 'open' }>): TraceRow {
  switch (event.on) {
    case 'bid':
      return event.endsAt === undefined
        ? ['bid', event.at, event.seat, event.price, event.buyerReference]
        : ['bid', event.at, event.seat, event.price, event.buyerReference, event.endsAt]
    case 'late':
      return ['late', event.at, event.seat, event.price]
    case 'noBid':
    case 'denied':
    case 'notSent':
    case 'rejected':
    case 'unknown':
      return [event.on, event.at, event.seat, event.reason]
    case 'accepted':
      return ['accepted', event.at, event.seat, event.price, event.buyerReference]
    case 'full':
      return ['full', event.at, event.seat, event.window]
    case 'checked':
      return ['checked', event.at, event.checked]
    case 'deadline':
      return ['deadline', event.at, event.tier]
    case 'turn':
      return ['turn', event.at, event.tier, event.seats]
    case 'held':
    case 'cold':
    case 'intended':
    case 'gone':
    case 'stale':
    case 'fenced':
      return [event.on, event.at, event.seat]
    case 'answerBy':
    case 'durable':
    case 'recovered':
      return [event.on, event.at]
    default:
      return event satisfies never
  }
}

export function commandRow(command: AuctionCommand): TraceRow {
  switch (command.do) {
    case 'check':
      return ['>check', command.checks, command.deadlineAt]
    case 'ping':
      return ['>ping', command.tier, command.seats, command.deadlineAt]
    case 'turn':
      return ['>turn', command.tier, command.seats, command.copies, command.deadlineAt]
    case 'hold':
      return ['>hold', command.seat, command.attempt, command.price]
    case 'intent': {
      const { seat, attempt, copy, price, payout, postBy } = command
      return ['>intent', seat, attempt, copy, price, payout, postBy, command.results.map(resultCells)]
    }
    case 'post':
      return ['>post', command.seat, command.attempt, command.price, command.postBy]
    case 'commit':
    case 'release':
      return [`>${command.do}`, command.seat, command.attempt]
    case 'result':
      return ['>result', command.status, command.results.map(resultCells)]
    case 'answer':
      return ['>answer', command.status, command.payout, command.copies]
    case 'offer':
      return ['>offer', command.payout, command.bids.map(([seat, price]) => [seat, price])]
    case 'settle':
      return ['>settle']
    default:
      return command satisfies never
  }
}

const resultCells = (result: PostResult): readonly (string | number)[] => [
  result.seat,
  result.copy,
  result.attempt,
  result.state,
  result.reason,
  result.price,
  result.payout,
]

/** The event that a stored row stands for; null for a command's row. A redirect is not stored, so it comes back as none. */
export function eventOf(row: TraceRow): Exclude<AuctionEvent, { on: 'open' }> | null {
  const [on, at, a, b, c, endsAt] = row as [string, number, number, never, never, number | undefined]
  if (on.startsWith('>')) return null
  switch (on) {
    case 'bid':
      return { on, at, seat: a, price: b, buyerReference: c, endsAt }
    case 'late':
      return { on, at, seat: a, price: b }
    case 'accepted':
      return { on, at, seat: a, price: b, buyerReference: c, redirectUrl: null }
    case 'full':
      return { on, at, seat: a, window: b }
    case 'checked':
      return { on, at, checked: a as unknown as Checked }
    case 'deadline':
      return { on, at, tier: a }
    case 'turn':
      return { on, at, tier: a, seats: b }
    case 'noBid':
    case 'denied':
    case 'notSent':
    case 'rejected':
    case 'unknown':
      return { on, at, seat: a, reason: b }
    case 'answerBy':
    case 'durable':
    case 'recovered':
      return { on, at }
    default:
      return { on: on as 'held', at, seat: a }
  }
}

/** What the lead's checks came to; undefined where it had none. */
export function checkedOf({ rows }: Pick<Trace, 'rows'>): Checked | undefined {
  return rows.find((row) => row[0] === 'checked')?.[2] as Checked | undefined
}

/** Runs a stored trace through the machine again; the rows it gives must equal the stored ones, byte for byte. */
export function replay(
  terms: AuctionTerms,
  trace: Pick<Trace, 'opening' | 'rows'>,
): { readonly rows: TraceRow[]; readonly state: ReturnType<typeof newAuction> } {
  const state = newAuction(terms)
  // A takeover is told before the auction opens.
  const before = trace.rows[0]?.[0] === 'recovered' ? 1 : 0
  const rows = trace.rows.slice(0, before)
  rows.push(...step(state, { on: 'open', at: 0, opening: trace.opening }).map(commandRow))
  for (const row of trace.rows.slice(before)) {
    const event = eventOf(row)
    if (event) rows.push(row, ...step(state, event).map(commandRow))
  }
  return { rows, state }
}

/** Names of a trace's seats and tiers, for people. */
export interface TraceNames {
  readonly seat: (seat: number) => string
  readonly tier: (tier: number) => string
}

/**
 * `  40 < bid acme 22.00`: time, direction (`<` heard, `>` done), words. One ping command is a line for each seat. What
 * rules said of the lead comes first.
 */
export function traceLines(rows: readonly TraceRow[], names: TraceNames, prices?: LeadPrices): string[] {
  let at = 0
  const lines = priceWords(prices ?? {}, names).map((words) => `   0 < ${words}`)
  for (const row of rows) {
    const head = String(row[0])
    if (!head.startsWith('>')) at = Number(row[1])
    const time = String(at).padStart(4)
    if (head === '>ping')
      for (const seat of row[2] as readonly number[]) lines.push(`${time} > ping ${names.seat(seat)}`)
    else if (head === 'checked')
      lines.push(...checkedWords(row[2] as Checked, names).map((words) => `${time} < ${words}`))
    else lines.push(`${time} ${head.startsWith('>') ? `> ${commandWords(row, names)}` : `< ${eventWords(row, names)}`}`)
  }
  return lines
}

/** One line for each check, for whom they turn away, and for what rules say of the others. */
function checkedWords({ said, refused, fell = [], prices = {} }: Checked, names: TraceNames): string[] {
  return [
    ...said.map(saidWords),
    ...(refused === undefined ? [] : [`refused ${refused}`]),
    ...fell.map(([seat, why]) => `fell ${names.seat(seat)} ${why}`),
    ...priceWords(prices, names),
  ]
}

/** `check fraud: score 82, line_type mobile (kept)`, `check fraud failed: timeout`. */
function saidWords({ check, via, outputs, failed, cost }: CheckSaid): string {
  const how = [via === 'asked' ? [] : [via], cost === undefined ? [] : [`costs ${formatMoney(cost)}`]].flat().join(', ')
  const found =
    outputs === null
      ? ` failed: ${failed}`
      : `: ${
          Object.entries(outputs)
            .map(([name, value]) => `${name} ${value}`)
            .join(', ') || 'nothing'
        }`
  return `check ${check}${found}${how === '' ? '' : ` (${how})`}`
}

/** `adjust acme x0.9 (rule 2)`: whose price, floor or bid, what it is, and by which rule of its list. */
function priceWords({ floor, payout, seats = [] }: LeadPrices, names: TraceNames): string[] {
  const words: string[] = []
  if (floor !== undefined) words.push(`floor ${formatMoney(floor)}`)
  if (payout !== undefined) words.push(`payout ${payoutWords(payout)}`)
  for (const { seat, price, floor: least, adjust } of seats) {
    const name = names.seat(seat)
    if (price) words.push(`price ${name} ${formatMoney(price.is)} (rule ${price.rule})`)
    if (least) words.push(`floor ${name} ${formatMoney(least.is)} (rule ${least.rule})`)
    if (adjust) words.push(`adjust ${name} ${adjustWords(adjust.is)} (rule ${adjust.rule})`)
  }
  return words
}

function payoutWords(rule: PayoutRule): string {
  if ('fixed' in rule) return `${formatMoney(rule.fixed)}${rule.on === 'accepted' ? ' sold or not' : ''}`
  const share = `${(rule.share * 100) / PPM_PER_WHOLE}%`
  return rule.marginFloor === undefined ? share : `${share} less ${formatMoney(rule.marginFloor)} at least`
}

function adjustWords(adjustment: Adjustment): string {
  if ('factor' in adjustment) return `x${adjustment.factor / PPM_PER_WHOLE}`
  return `${adjustment.amount < 0 ? '' : '+'}${formatMoney(adjustment.amount)}`
}

const money = (cell: TraceRow[number]): string => formatMoney(micros(cell as Micros))

function commandWords(row: TraceRow, names: TraceNames): string {
  const word = String(row[0]).slice(1)
  switch (word) {
    case 'post':
      return `post ${names.seat(Number(row[1]))} ${money(row[3]!)}`
    case 'result':
      return `result ${row[1] === null ? 'copy' : row[1] === 'pending' ? 'in_doubt' : row[1]}`
    case 'answer':
      return row[1] === 'sold'
        ? `answer sold payout ${money(row[2]!)}`
        : row[1] === 'unsold'
          ? `answer unsold no_buyer${row[2] === 0 ? '' : ` payout ${money(row[2]!)}`}`
          : `answer ${row[1]}`
    case 'offer':
      return offerWords(row[1]!, row[2] as readonly (readonly [number, number])[], names)
    case 'check':
      return `check ${(row[1] as readonly string[]).join(', ')}`
    case 'settle':
      return word
    case 'turn':
      return `turn ${names.tier(Number(row[1]))}`
    default:
      return `${word} ${names.seat(Number(row[1]))}`
  }
}

function offerWords(
  payout: TraceRow[number],
  bids: readonly (readonly [seat: number, price: number])[],
  names: TraceNames,
): string {
  if (bids.length === 0) return 'offer nothing'
  return `offer payout ${money(payout)} of ${bids.map(([seat, price]) => `${names.seat(seat)} ${money(price)}`).join(', ')}`
}

function eventWords(row: TraceRow, names: TraceNames): string {
  const [word, at, a, b, c, d] = row
  switch (word) {
    case 'bid':
      return `bid ${names.seat(Number(a))} ${money(b!)}${d === undefined ? '' : ` for ${Number(d) - Number(at)} ms`}`
    case 'late':
      return `late ${names.seat(Number(a))}${b === null ? '' : ` ${money(b!)}`}`
    case 'accepted':
      return `accepted ${names.seat(Number(a))}${c === null ? '' : ` ${c}`}${b === null ? '' : ` at ${money(b!)}`}`
    case 'noBid':
    case 'rejected':
      return `${word} ${names.seat(Number(a))} ${withoutPrefix(String(b))}`
    case 'full':
    case 'denied':
    case 'notSent':
    case 'unknown':
      return `${word} ${names.seat(Number(a))} ${b}`
    case 'deadline':
      return `deadline ${names.tier(Number(a))}`
    case 'turn':
      return `turn ${(b as readonly number[]).map(names.seat).join(' ') || 'of nobody'}`
    case 'answerBy':
    case 'durable':
    case 'recovered':
      return String(word)
    default:
      return `${word} ${names.seat(Number(a))}`
  }
}

/** A buyer's own words stand alone: the line's verb says already what they are about. */
const withoutPrefix = (why: string): string => why.replace(/^(no_bid|rejected):/, '')

/** `sold 18.50`, `in_doubt 22.00`, `lost lower_bid`, `rejected duplicate`, `not_asked cap_day`. */
export function outcomeWords(outcome: Outcome): string {
  if (outcome.kind === 'sold' || outcome.kind === 'in_doubt')
    return `${outcome.kind} ${formatMoney(outcome.price ?? micros(0))}`
  return `${outcome.kind} ${outcome.kind === 'rejected' ? withoutPrefix(outcome.reason) : outcome.reason}`
}
