/** What is asked before a sale: pings, their deadline, and whose turn it is. */
import type { AuctionCommand, AuctionEvent } from '../auction.ts'
import type { Reason } from '../reason.ts'
import { byBid, winnersOf } from '../strategy.ts'
import type { Micros } from '../units.ts'
import { lineUp, moveOn } from './selling.ts'
import {
  type AuctionState,
  end,
  enterBid,
  floorOf,
  isAuction,
  letLapse,
  type SeatState,
  stopSelling,
  worthOf,
} from './state.ts'

/** True while a seat has been asked and has neither answered nor timed out. */
export function awaitsPing(state: AuctionState, seat: number): boolean {
  return state.seats[seat]!.phase === 'pinged' && !state.abandoned
}

/** True where a ping's answer at that time counts: otherwise it is late. The deadline's own millisecond is too late. */
export function pingCounts(state: AuctionState, seat: number, at: number): boolean {
  return awaitsPing(state, seat) && at < state.seats[seat]!.deadlineAt
}

/** True while the tier waits to hear whose turn it is. */
export function awaitsTurn(state: AuctionState, tier: number): boolean {
  return state.asksTurn && state.tier === tier
}

/** What a seat's acceptance of its ping bids: its contract's own price for this lead, or else what the buyer says. */
export function bidOf(state: AuctionState, seat: number, said: Micros): Micros {
  return state.seats[seat]!.terms.price ?? said
}

export function pingAnswered(
  state: AuctionState,
  event: Extract<AuctionEvent, { on: 'bid' | 'noBid' }>,
  out: AuctionCommand[],
): void {
  const seat = state.seats[event.seat]!
  if (!pingCounts(state, event.seat, event.at)) return
  if (event.on === 'bid') {
    seat.buyerReference = event.buyerReference
    const { bidLifeMs } = seat.terms
    const longest = bidLifeMs === null ? Number.POSITIVE_INFINITY : event.at + bidLifeMs
    letLapse(state, seat, Math.min(event.endsAt ?? longest, longest))
  }
  const none = event.on === 'noBid' ? event.reason : whyNone(seat, event)
  // A ping that a throttle kept back never left.
  if (none !== null) end(seat, none.startsWith('throttle') ? 'not_asked' : 'lost', none)
  else if (event.on === 'bid') enterBid(state, seat, event.price)
  if (!isAuction(state)) {
    stopSelling(state, seat)
    moveOn(state, event.at, out)
    return
  }
  state.outstandingPings--
  if (seat.terms.maxBid === null) state.unlimitedPings--
  if (state.outstandingPings === 0) closePings(state, event.at, out)
  else if (state.unlimitedPings === 0 && isSettled(state, event.at)) {
    for (const other of state.seats) if (other.phase === 'pinged') end(other, 'lost', 'early_close')
    state.outstandingPings = 0
    closePings(state, event.at, out)
  }
}

/** Why a bid is none, whatever else was bid. */
function whyNone({ terms, endsAt }: SeatState, { price, at }: Extract<AuctionEvent, { on: 'bid' }>): Reason | null {
  if (endsAt <= at) return 'bid_expired'
  if (terms.maxBid !== null && price > terms.maxBid) return 'over_max_bid'
  return price < terms.minBid ? 'under_min_bid' : null
}

export function deadline(state: AuctionState, at: number, out: AuctionCommand[]): void {
  let timedOut = 0
  for (const seat of state.seats) {
    if (seat.phase !== 'pinged' || seat.deadlineAt > at) continue
    end(seat, 'lost', 'ping_timeout')
    if (!isAuction(state)) stopSelling(state, seat)
    timedOut++
  }
  if (timedOut === 0) return
  if (!isAuction(state)) return moveOn(state, at, out)
  state.outstandingPings = 0
  closePings(state, at, out)
}

/** True where the winners would be the same whatever the seats that have not answered bid, up to the most that they declare. */
function isSettled(state: AuctionState, at: number): boolean {
  const { copies, earlyClose } = state.terms.tiers[state.tier]!
  // Whoever would not keep a promise makes room for one that does, however little that is worth.
  if (!earlyClose || state.promise !== null) return false
  const inTime = state.queue.filter((seat) => at + seat.terms.postMs <= state.terms.totalMs && at < seat.endsAt)
  const winners = winnersOf(inTime, copies, (seat) => seat.terms.group)
  const last = winners.at(-1)
  if (last === undefined || winners.length < copies) return false
  return state.seats.every((seat) => {
    if (seat.phase !== 'pinged') return true
    const most = seat.terms.maxBid!
    const rival = winners.find((winner) => winner.terms.group === seat.terms.group) ?? last
    return most < floorOf(state, seat) || byBid(rival, { ...seat, worth: worthOf(seat.terms, most) }) < 0
  })
}

function closePings(state: AuctionState, at: number, out: AuctionCommand[]): void {
  state.queue.sort(byBid)
  moveOn(state, at, out)
}

/** Whoever has the turn comes first; who buys where it does not is drawn, so that nobody gains by a neighbour's refusals. */
export function turnTold(
  state: AuctionState,
  event: Extract<AuctionEvent, { on: 'turn' }>,
  out: AuctionCommand[],
): void {
  if (!awaitsTurn(state, event.tier)) return
  state.asksTurn = false
  const first = event.seats.map((seat) => state.seats[seat]!)
  lineUp(state, [...first, ...state.queue.filter((seat) => !first.includes(seat))])
  moveOn(state, event.at, out)
}
