/** Counts what the ledger has of one lead, or of one source's ping, into the sums of its quarter. */
import { standingOf } from '../../rules/dispositions.ts'
import { leadFromJson } from '../../rules/lead.ts'
import { measuresOf, type SeatMeasures } from '../../rules/measures.ts'
import { reasonName } from '../../rules/reason.ts'
import { auctionTerms } from '../../rules/terms.ts'
import type { Trace } from '../../rules/trace.ts'
import type { Campaign, Snapshot } from '../../rules/version.ts'
import type { Sealer } from '../seal.ts'
import type { DisposedRow, LeadRow, MoneyRow, OfferRow, PostRow } from './quarter.ts'
import { type LeadTally, NO_SUB, type SeatKey, type SeatTally, type Subs, type Sums } from './sums.ts'

export interface Counted {
  readonly lead: LeadRow
  readonly posts: readonly PostRow[]
  readonly money: readonly MoneyRow[]
  readonly disposed: readonly DisposedRow[]
  readonly trace: Trace | null
  /** The version that decided it; null where the ledger has none that compiles. */
  readonly snapshot: Snapshot | null
}

const ENDED: Readonly<Record<string, 'duplicates' | 'sold' | 'unsold' | 'pending' | 'expired'>> = {
  duplicate: 'duplicates',
  sold: 'sold',
  unsold: 'unsold',
  pending: 'pending',
  expired: 'expired',
}

export function countLead(sums: Sums, counted: Counted, sealer: Sealer): void {
  const { lead, posts, money, disposed, trace, snapshot } = counted
  const { campaign, source, currency, status } = lead
  const terms = snapshot?.campaigns.get(campaign) ?? null
  const said = saidBy(lead, sealer)
  const tally = sums.lead({ campaign, source, vertical: terms?.vertical.id ?? '', ...said, currency })
  tally.add('valid')
  const ended = status === null ? undefined : ENDED[status]
  if (ended) tally.add(ended)
  for (const post of posts) {
    const { contract, buyer, state, reason } = post
    countPost(seatOf(tally, terms, contract, buyer), post)
    if (state === 'rejected' && reason !== null) countReason(sums, { campaign, buyer, contract }, 'rejected', reason)
  }
  for (const one of money) countMoney(tally, terms, one)
  for (const [contract, said] of Map.groupBy(disposed, (one) => one.contract))
    countDisposed(seatOf(tally, terms, contract, said[0]!.buyer), said)
  if (trace !== null && terms !== null) {
    countTrace(sums, tally, terms, trace, snapshot!)
  }
}

/** A source's ping: its buyers were asked and bid, and nobody knows yet of which lead. */
export function countOffer(sums: Sums, offer: OfferRow, trace: Trace | null, snapshot: Snapshot | null): void {
  const { campaign, source, currency, offered } = offer
  const terms = snapshot?.campaigns.get(campaign) ?? null
  const tally = sums.lead({
    ...{ campaign, source, vertical: terms?.vertical.id ?? '', state: '', ...NO_SUB, currency },
  })
  tally.add('offers')
  if (offered) tally.add('offered')
  if (trace !== null && terms !== null) countTrace(sums, tally, terms, trace, snapshot!)
}

function countPost(seat: SeatTally, { state, bid, price, doubt }: PostRow): void {
  seat.add(state === 'not_sent' ? 'not_sent' : 'posts')
  if (state === 'rejected') seat.add('rejects')
  else if (state === 'accepted') seat.add('copies')
  else if (state === 'in_doubt') seat.add('in_doubt')
  if (doubt !== null) seat.add('doubts')
  if (state !== 'accepted' || price >= bid) return
  seat.add('price_cuts')
  seat.add('price_cut', bid - price)
}

function countDisposed(seat: SeatTally, said: readonly DisposedRow[]): void {
  const { contacted, converted, revenue } = standingOf(said)
  seat.add('disposed')
  if (contacted) seat.add('contacted')
  if (converted) seat.add('converted')
  seat.add('disposed_revenue', revenue)
}

/** What nobody bought earns its source something all the same: that belongs to no seat, as the price of a check does. */
function countMoney(tally: LeadTally, terms: Campaign | null, { contract, buyer, cause, account, amount }: MoneyRow) {
  if (account.startsWith('check:')) return tally.add('check_cost', amount)
  const of = contract === null || buyer === null ? tally : seatOf(tally, terms, contract, buyer)
  if (account.startsWith('source:')) of.add('payout', amount)
  if (!account.startsWith('buyer:')) return
  of.add('revenue', -amount)
  if (cause !== 'return') return
  of.add('returns')
  of.add('returned', amount)
}

/** Pings, bids, choices and how seats ended stand in the trace alone. A bid that came with the lead was counted with the source's ping. */
function countTrace(sums: Sums, tally: LeadTally, campaign: Campaign, trace: Trace, { sources }: Snapshot): void {
  const { contracts } = campaign
  const source = sources.get(trace.source)
  const measures = measuresOf(trace, source ? termsOf(campaign, source) : null)
  trace.opening.eligible.forEach((at, position) => {
    const { id: contract, buyer } = contracts[at]!
    const measured = measures[position]!
    // Whoever was neither asked nor chosen has no row.
    if (measured.pinged || measured.chosen) countSeat(seatOf(tally, campaign, contract, buyer.id), measured)
    const { outcome } = measured
    if (outcome?.kind !== 'lost' && outcome?.kind !== 'not_asked') return
    countReason(sums, { campaign: campaign.id, buyer: buyer.id, contract }, outcome.kind, outcome.reason)
  })
  sums.exclusions.see(campaign, trace.opening)
}

function countSeat(seat: SeatTally, measured: SeatMeasures): void {
  const { pinged, bid, lateBid, pingFailed, chosen, pingMs, postMs, outcome } = measured
  if (pinged) seat.add('pinged')
  if (bid !== null) {
    seat.add('bids')
    seat.add('bid_sum', bid)
  }
  if (lateBid) seat.add('late_bids')
  if (pingFailed) seat.add('ping_errors')
  if (outcome?.reason === 'ping_timeout') seat.add('ping_timeouts')
  if (chosen) seat.add('wins')
  seat.took('ping', pingMs)
  seat.took('post', postMs)
}

interface Place {
  readonly campaign: string
  readonly buyer: string
  readonly contract: string
}

function countReason(
  sums: Sums,
  { campaign, buyer, contract }: Place,
  kind: 'rejected' | 'lost' | 'not_asked',
  full: string,
) {
  sums.reason(campaign, buyer, contract, kind, { full, name: reasonName(full) })
}

const TERMS = new WeakMap<Campaign, Map<string, ReturnType<typeof auctionTerms>>>()

function termsOf(campaign: Campaign, source: Parameters<typeof auctionTerms>[1]): ReturnType<typeof auctionTerms> {
  const known = TERMS.get(campaign) ?? new Map<string, ReturnType<typeof auctionTerms>>()
  TERMS.set(campaign, known)
  const terms = known.get(source.id) ?? auctionTerms(campaign, source)
  known.set(source.id, terms)
  return terms
}

const KEYS = new WeakMap<Campaign, ReadonlyMap<string, string>>()

function seatOf(tally: LeadTally, campaign: Campaign | null, contract: string, buyer: string): SeatTally {
  return tally.seat({
    tier: campaign === null ? '' : (tiersOf(campaign).get(contract) ?? ''),
    buyer,
    contract,
  } satisfies SeatKey)
}

/** Name of each contract's tier. */
function tiersOf(campaign: Campaign): ReadonlyMap<string, string> {
  const known = KEYS.get(campaign)
  if (known) return known
  const tiers = new Map(campaign.contracts.map(({ id, tier }) => [id, campaign.tiers[tier]!.name]))
  KEYS.set(campaign, tiers)
  return tiers
}

/** What of the lead itself reports are made by; blank where the lead was erased. */
function saidBy({ id, sealed, wrapped, key_version: keyVersion }: LeadRow, sealer: Sealer): Subs & { state: string } {
  if (wrapped === null || keyVersion === null) return { state: '', ...NO_SUB }
  const from = { sealed: sealed.toString('base64'), wrappedKey: wrapped.toString('base64'), keyVersion }
  const { values, subs } = leadFromJson(sealer.open(id, from))
  const sub = (name: string): string => subs[name] ?? ''
  return {
    state: String(values.get('state')?.normal ?? ''),
    ...{ sub1: sub('sub1'), sub2: sub('sub2'), sub3: sub('sub3'), sub4: sub('sub4'), sub5: sub('sub5') },
  }
}
