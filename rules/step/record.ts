/** How an auction ends and is written down: doubts last, and nobody hears of anything before it is durable. */
import type { AuctionCommand, LeadStatus, PostResult } from '../auction.ts'
import type { Reason } from '../reason.ts'
import { whyBehind } from '../strategy.ts'
import { micros } from '../units.ts'
import { type AuctionState, end, payoutFor, rankOf, type SeatState, standingBid } from './state.ts'

/** A rejection waits for the next seat's INTENT, which carries it, where a hold is under way; nothing else waits. */
export function writeDown(state: AuctionState, out: AuctionCommand[]): void {
  if (state.abandoned) writeDoubts(state)
  if (state.unwritten.length === 0) return
  const sold = state.unwritten.some((result) => result.state === 'accepted')
  if (sold || state.abandoned || !state.seats.some((seat) => seat.phase === 'holding')) record(state, null, out)
}

export function decide(state: AuctionState, out: AuctionCommand[]): void {
  if (state.asks) return offer(state, out)
  if (state.accepted.length + state.doubted.length > 0) endUnsold(state)
  state.decided = state.accepted.length > 0 ? 'sold' : state.doubted.length > 0 ? 'pending' : unsoldStatus(state)
  if (state.decided === 'unsold') state.payout = state.owed
  writeDoubts(state)
  record(state, state.decided, out)
}

/** Nobody bought it; somebody who is closed may yet. */
function unsoldStatus({ excluded, refused }: AuctionState): 'unsold' | 'queued' {
  if (refused) return 'unsold'
  const waits = Object.hasOwn(excluded.excluded, 'queued') || excluded.crowd?.reasons.includes('queued')
  return waits ? 'queued' : 'unsold'
}

/** Seats whose turn never came: what stands behind the last winner lost to it, whatever its group. */
function endUnsold(state: AuctionState): void {
  const order = rankOf(state)
  const lastWinner = [...state.accepted, ...state.doubted].sort(order).at(-1)!
  for (const seat of state.seats) {
    if (seat.outcome) continue
    const bid = seat.phase === 'bid'
    if (seat.terms.tier !== state.tier) end(seat, 'not_asked', 'not_reached')
    else if (order(lastWinner, seat) > 0) end(seat, bid ? 'lost' : 'not_asked', 'group_sold')
    else if (bid) end(seat, 'lost', whyBehind(seat, lastWinner))
    else end(seat, 'not_asked', 'not_reached')
  }
}

/** The source is told what it may have: the bids of the tier that has some, in its order. */
function offer(state: AuctionState, out: AuctionCommand[]): void {
  const known = (seat: SeatState) => seat.phase === 'bid' || (seat.phase === 'waiting' && !seat.terms.pinged)
  const ranked = new Set([...state.offered, ...state.queue.filter(known)])
  const bids = state.tier < state.terms.tiers.length ? [...ranked].sort(rankOf(state)) : []
  const declined = state.seats.flatMap(({ seat, outcome }) => (outcome ? [[seat, outcome.reason] as const] : []))
  out.push({
    do: 'offer',
    payout: bids.length === 0 ? micros(0) : payoutFor(state, [], bids[0]!.value),
    bids: bids.map(standingBid),
    declined,
  })
  out.push({ do: 'settle' })
}

/** Each doubt with what it would add to the payout if it and those before it turned out to be sales. */
function writeDoubts(state: AuctionState): void {
  let sold = state.promised
  for (const seat of state.doubted) {
    const payout = payoutFor(state, sold, seat.value)
    sold = [...sold, seat.value]
    state.unwritten.push({ ...postResult(seat, 'rejected', seat.outcome!.reason), state: 'in_doubt', payout })
  }
  state.doubted = []
}

/** Writes down what is known; nobody hears of it before it is durable. */
function record(state: AuctionState, status: LeadStatus | null, out: AuctionCommand[]): void {
  const committed = new Set(
    state.unwritten.filter((result) => result.state === 'accepted').map((result) => result.seat),
  )
  state.recording.push({ commit: state.accepted.filter((seat) => committed.has(seat.seat)), status })
  out.push({ do: 'result', results: state.unwritten, status })
  state.unwritten = []
}

export function durable(state: AuctionState, out: AuctionCommand[]): void {
  const recorded = state.recording.shift()
  if (!recorded) return
  if (recorded.status === 'pending' || recorded.status === 'queued') return answerPending(state, out)
  if (recorded.status && !state.answered) {
    state.answered = true
    const { payout, redirectUrl } = state
    const reasons = recorded.status === 'unsold' ? ['no_buyer'] : []
    out.push({ do: 'answer', status: recorded.status, payout, copies: state.accepted.length, reasons, redirectUrl })
  }
  for (const seat of recorded.commit) out.push({ do: 'commit', seat: seat.seat, attempt: seat.attempt })
  if (recorded.status) out.push({ do: 'settle' })
}

export function answerPending(state: AuctionState, out: AuctionCommand[]): void {
  if (state.answered) return
  state.answered = true
  out.push({ do: 'answer', status: 'pending', payout: micros(0), copies: 0, reasons: [], redirectUrl: null })
}

export function postResult(seat: SeatState, end: 'rejected' | 'not_sent', why: Reason): PostResult {
  return {
    seat: seat.seat,
    copy: seat.copy,
    attempt: seat.attempt,
    state: end,
    reason: why,
    price: seat.value,
    payout: micros(0),
    buyerReference: seat.buyerReference,
    redirectUrl: null,
    priceCut: false,
  }
}
