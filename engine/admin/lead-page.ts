/** One lead as the operator reads it, out of its file in the ledger. */
import type { AuctionTerms, Outcome } from '../../rules/auction.ts'
import { explain } from '../../rules/explain.ts'
import { outcomes, step } from '../../rules/step.ts'
import { auctionTerms } from '../../rules/terms.ts'
import { commandRow, eventRow, readTrace, replay, type Trace, type TraceRow, traceLines } from '../../rules/trace.ts'
import { formatMoney, micros, wallMs } from '../../rules/units.ts'
import type { Campaign, Snapshot } from '../../rules/version.ts'
import type { LeadFile } from '../store/queries.ts'
import type { IntentState } from '../store/tables.ts'
import { type LeadPage, type ReplayPage, type SeatPage, type TraceLine, traceLineOf } from './port.ts'

const money = (amount: number): string => formatMoney(micros(amount))
const moment = (at: Date): string => at.toISOString()

/** `version`: the one that decided the lead; null where it cannot be had, and then the page has no seats and no trace. */
export function leadPage(file: LeadFile, version: Snapshot | null): LeadPage {
  const { lead } = file
  const told = tell(file, version)
  return {
    lead_id: lead.id,
    status: lead.status ?? 'received',
    campaign: lead.campaign,
    source: lead.source,
    version: lead.version,
    mode: lead.mode,
    test: lead.test,
    lead_ref: lead.lead_ref,
    received_at: moment(lead.received_at),
    decided_at: lead.decided_at && moment(lead.decided_at),
    owner: lead.owner,
    term: lead.term,
    currency: lead.currency,
    payout: money(lead.payout),
    copies: lead.copies,
    reasons: lead.reasons,
    ...told,
    intents: file.intents.map(intentPage),
    sales: file.sales.map(salePage),
    entries: file.entries.map(entryPage),
    resolutions: file.resolutions.map(resolutionPage),
    returns: file.returns.map(returnPage),
  }
}

/** The version of a stored trace, which may be later than the one that received the lead; null where there is no trace. */
export const traceOf = ({ lead }: LeadFile): Trace | null => readTrace(lead.trace)

function tell(file: LeadFile, version: Snapshot | null): { seats: readonly SeatPage[]; trace: readonly TraceLine[] } {
  const trace = traceOf(file)
  const campaign = version?.campaigns.get(file.lead.campaign)
  const source = version?.sources.get(file.lead.source)
  if (!campaign || !source) return { seats: [], trace: [] }
  if (!trace)
    return wasConcluded(file) ? { seats: lostSeats(campaign, file), trace: [RECOVERED] } : { seats: [], trace: [] }
  const terms = auctionTerms(campaign, source)
  const played = replay(terms, trace)
  const rows = [...trace.rows, ...ending(played.state, file)]
  const names = {
    seat: (seat: number) => terms.seats[trace.opening.eligible[seat]!]!.contract,
    tier: (tier: number) => terms.tiers[tier]!.name,
  }
  return {
    seats: played.state.decided ? seatPages(terms, outcomes(played.state)) : [],
    trace: traceLines(rows, names, trace.opening.prices).map(traceLineOf),
  }
}

/** Why each seat ended so; no seats while the lead is under way, or where its version cannot be had. */
export function explainPage(file: LeadFile, version: Snapshot | null): { readonly seats: readonly object[] } {
  const trace = traceOf(file)
  const campaign = version?.campaigns.get(file.lead.campaign)
  const source = version?.sources.get(file.lead.source)
  if (!version || !campaign || !source || !trace) return { seats: [] }
  const terms = auctionTerms(campaign, source)
  const { state } = replay(terms, trace)
  if (!state.decided) return { seats: [] }
  const at = wallMs(file.lead.received_at.getTime())
  const config = JSON.parse(version.canonical)
  const seats = explain({ terms, campaign, source, config, trace, outcomes: outcomes(state), at })
  return {
    seats: seats.map(({ toWin, bid, why, ...seat }) => ({
      ...seat,
      why: why + givenBack(file, seat.contract),
      bid: bid === null ? null : money(bid),
      to_win: toWin,
    })),
  }
}

/** `; returned on 2026-03-04 (wrong_number)`. */
function givenBack({ returns }: LeadFile, contract: string): string {
  const one = returns.find((given) => given.contract === contract && given.state !== 'refused')
  if (!one) return ''
  const how = one.decided_at === null ? 'its return is asked for' : `returned on ${moment(one.decided_at).slice(0, 10)}`
  return `; ${how} (${one.reason_code})`
}

/** The stored trace once more through the machine; null where there is none, or its version cannot be had. */
export function replayPage(file: LeadFile, version: Snapshot | null): ReplayPage | null {
  const trace = traceOf(file)
  const campaign = version?.campaigns.get(file.lead.campaign)
  const source = version?.sources.get(file.lead.source)
  if (!trace || !campaign || !source) return null
  const [stored, played] = [trace.rows, replay(auctionTerms(campaign, source), trace).rows].map((rows) =>
    rows.map((row) => JSON.stringify(row)),
  ) as [string[], string[]]
  const length = Math.max(stored.length, played.length)
  const at = Array.from({ length }, (_, i) => i).find((i) => stored[i] !== played[i])
  const differs = at === undefined ? null : { at, stored: stored[at] ?? null, played: played[at] ?? null }
  return { same: differs === null, rows: stored.length, differs }
}

/** Its engine died, and recovery ended it by its intents: what else happened nobody knows. */
const wasConcluded = ({ lead }: LeadFile): boolean => lead.status !== null && lead.status !== 'duplicate'

const RECOVERED: TraceLine = { at: 0, arrow: '<', text: 'recovered' }

const ENDS = {
  open: 'in_doubt',
  in_doubt: 'in_doubt',
  accepted: 'sold',
  rejected: 'rejected',
  not_sent: 'not_asked',
} as const satisfies Record<IntentState, Outcome['kind']>

function lostSeats({ contracts, tiers }: Campaign, { intents }: LeadFile): SeatPage[] {
  return contracts.map(({ id, buyer, tier }) => {
    const seat = { contract: id, buyer: buyer.id, tier: tiers[tier]!.name }
    const intent = intents.findLast(({ contract }) => contract === id)
    if (!intent) return { ...seat, outcome: 'not_asked', reason: 'engine_lost', price: null }
    const outcome = ENDS[intent.state]
    const price = outcome === 'sold' || outcome === 'in_doubt' ? money(intent.price) : null
    return { ...seat, outcome, reason: intent.reason ?? 'engine_lost', price }
  })
}

/** A trace is stored with its result; what follows is fixed, and happened when the ledger had written it. */
function ending(state: Parameters<typeof step>[0], { lead }: LeadFile): TraceRow[] {
  if (!lead.decided_at || !state.decided) return []
  const at = Math.max(0, lead.decided_at.getTime() - lead.received_at.getTime())
  const durable = { on: 'durable', at } as const
  return [eventRow(durable), ...step(state, durable).map(commandRow)]
}

function seatPages(terms: AuctionTerms, ended: ReadonlyMap<string, Outcome>): SeatPage[] {
  return terms.seats.map((seat) => {
    const { kind, reason, price } = ended.get(seat.contract)!
    return {
      contract: seat.contract,
      buyer: seat.buyer,
      tier: terms.tiers[seat.tier]!.name,
      outcome: kind,
      reason,
      price: price === null ? null : money(price),
    }
  })
}

const intentPage = (intent: LeadFile['intents'][number]): LeadPage['intents'][number] => ({
  contract: intent.contract,
  buyer: intent.buyer,
  copy: intent.copy,
  term: intent.term,
  attempt: intent.attempt,
  state: intent.state,
  reason: intent.reason,
  price: money(intent.price),
  payout: money(intent.payout),
  held_at: moment(intent.held_at),
  post_by: moment(intent.post_by),
  ended_at: intent.ended_at && moment(intent.ended_at),
  buyer_reference: intent.buyer_reference,
})

const salePage = (sale: LeadFile['sales'][number]): LeadPage['sales'][number] => ({
  copy: sale.copy,
  contract: sale.contract,
  buyer: sale.buyer,
  price: money(sale.price),
  payout: money(sale.payout),
  price_cut: sale.price_cut,
  sold_at: moment(sale.sold_at),
  buyer_reference: sale.buyer_reference,
})

const returnPage = (one: LeadFile['returns'][number]): LeadPage['returns'][number] => ({
  id: one.id,
  copy: one.copy,
  contract: one.contract,
  buyer: one.buyer,
  reason_code: one.reason_code,
  state: one.state,
  price: money(one.price),
  clawback: money(one.clawback),
  asked_by: one.asked_by,
  asked_at: moment(one.asked_at),
  decided_by: one.decided_by,
  decided_at: one.decided_at && moment(one.decided_at),
})

const resolutionPage = (one: LeadFile['resolutions'][number]): LeadPage['resolutions'][number] => ({
  copy: one.copy,
  contract: one.contract,
  verdict: one.verdict,
  reason: one.reason,
  applied: one.applied,
  by: one.by,
  at: moment(one.at),
})

const entryPage = (entry: LeadFile['entries'][number]): LeadPage['entries'][number] => ({
  copy: entry.copy,
  cause: entry.cause,
  account: entry.account,
  amount: money(entry.amount),
  entered_at: moment(entry.entered_at),
})
