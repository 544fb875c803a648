/** Opens tiers and sells them down: who comes next, and whether it may. */
import type { AuctionCommand } from '../auction.ts'
import { payoutOf, sumOf } from '../money.ts'
import { byBid, byPriority, drawByWeight } from '../strategy.ts'
import { micros } from '../units.ts'
import { decide, writeDown } from './record.ts'
import {
  type AuctionState,
  end,
  enterBid,
  isAuction,
  isTaken,
  reachesFloor,
  type SeatState,
  takeCopy,
} from './state.ts'

/** A hot store that has not said whose turn it is by then is done without. */
const TURN_MS = 250

/** Of a round-robin tier with more seats those drawn first are asked about: the hot store looks at each. */
const MOST_TURNS = 200

/** Sells on; where nothing is under way any more, opens the next tier or decides the lead. */
export function moveOn(state: AuctionState, at: number, out: AuctionCommand[]): void {
  if (state.abandoned) return writeDown(state, out)
  sell(state, at, out)
  if (state.underWay === 0) {
    if (isTaken(state)) decide(state, out)
    else {
      endUncovered(state)
      openNextTier(state, at, out)
    }
  }
  if (!state.decided) writeDown(state, out)
}

/** Opens tiers until one has something under way; when none is left, decides the lead. */
export function openNextTier(state: AuctionState, at: number, out: AuctionCommand[]): void {
  while (++state.tier < state.terms.tiers.length) {
    const members = state.seats.filter((seat) => seat.terms.tier === state.tier && seat.outcome === null)
    if (members.length === 0) continue
    state.copiesUsed = new Array(state.terms.tiers[state.tier]!.copies).fill(false)
    if (isAuction(state)) openAuction(state, members, at, out)
    else openLine(state, members, at, out)
    if (state.outstandingPings > 0 || state.asksTurn) return
    sell(state, at, out)
    if (state.underWay > 0 || isTaken(state)) break
    endUncovered(state)
  }
  if (state.underWay > 0) return
  decide(state, out)
}

function openAuction(state: AuctionState, members: SeatState[], at: number, out: AuctionCommand[]): void {
  state.queue = []
  state.unlimitedPings = 0
  const pinged: number[] = []
  const deadlineAt = pingDeadline(
    state,
    members.filter((seat) => seat.terms.pinged),
    at,
  )
  for (const seat of members) {
    if (!seat.terms.pinged) enterBid(state, seat, seat.terms.price ?? micros(0))
    else if (deadlineAt <= at) end(seat, 'not_asked', 'no_time')
    else {
      seat.phase = 'pinged'
      seat.deadlineAt = deadlineAt
      if (seat.terms.maxBid === null) state.unlimitedPings++
      pinged.push(seat.seat)
    }
  }
  state.outstandingPings = pinged.length
  if (pinged.length > 0) out.push({ do: 'ping', tier: state.tier, seats: pinged, deadlineAt })
  else state.queue.sort(byBid)
}

function openLine(state: AuctionState, members: SeatState[], at: number, out: AuctionCommand[]): void {
  const { strategy, copies } = state.terms.tiers[state.tier]!
  const byWeight = (): SeatState[] => {
    const [weights, dice] = [members.map((seat) => seat.terms.weight), members.map((seat) => seat.die)]
    return drawByWeight(weights, dice).map((place) => members[place]!)
  }
  lineUp(state, strategy === 'waterfall' ? members.toSorted(byPriority) : byWeight())
  const mayBuy = state.queue.filter((seat) => seat.terms.pinged || reachesFloor(state, seat)).slice(0, MOST_TURNS)
  if (state.asks || state.chosen || strategy !== 'round_robin' || mayBuy.length < 2) return
  state.asksTurn = true
  const seats = mayBuy.map(({ seat }) => seat).sort((a, b) => a - b)
  out.push({ do: 'turn', tier: state.tier, seats, copies, deadlineAt: at + TURN_MS })
}

export function lineUp(state: AuctionState, drawn: readonly SeatState[]): void {
  const line = state.chosen ? drawn.toSorted((a, b) => a.choice - b.choice) : [...drawn]
  line.forEach((seat, turn) => {
    seat.turn = turn
  })
  state.queue = line
}

/**
 * A ping gets the tier's time, or what is left of the lead's when the quickest post is set aside. An offer has no post:
 * it must be made before its source stops waiting.
 */
function pingDeadline(state: AuctionState, seats: readonly SeatState[], at: number): number {
  const { tiers, totalMs, answerWithinMs } = state.terms
  let quickestPost = Number.POSITIVE_INFINITY
  for (const seat of seats) quickestPost = Math.min(quickestPost, seat.terms.postMs)
  return Math.min(at + tiers[state.tier]!.pingMs, state.asks ? answerWithinMs : totalMs - quickestPost)
}

/** Starts as many seats as there are copies free, best first. */
function sell(state: AuctionState, at: number, out: AuctionCommand[]): void {
  if (state.lapses) dropLapsed(state, at)
  for (let i = 0; i < state.queue.length && state.copiesUsed.includes(false); ) {
    const seat = state.queue[i]!
    const clash = groupClash(state, seat)
    if (clash === 'under_way' || !keepsPromise(state, seat)) {
      i++
      continue
    }
    state.queue.splice(i, 1)
    if (clash === 'sold') end(seat, seat.phase === 'bid' ? 'lost' : 'not_asked', 'group_sold')
    else if (!state.asks && at + seat.terms.postMs > state.terms.totalMs) end(seat, 'not_asked', 'no_time')
    else start(state, seat, at, out)
  }
}

/** Bids whose own end has come while a copy is left for them. */
function dropLapsed(state: AuctionState, at: number): void {
  if (!state.copiesUsed.includes(false)) return
  for (const seat of state.queue) if (seat.endsAt <= at) end(seat, 'not_asked', 'bid_expired')
  state.queue = state.queue.filter((seat) => seat.outcome === null)
}

/** Buyers of one group never get two copies: one that is being sold to makes the others of its group wait. */
function groupClash(state: AuctionState, seat: SeatState): 'sold' | 'under_way' | null {
  let underWay = false
  for (const other of state.seats) {
    if (other.terms.group !== seat.terms.group || other === seat) continue
    if (other.outcome?.kind === 'sold' || other.outcome?.kind === 'in_doubt') return 'sold'
    if (other.copy >= 0) underWay = true
  }
  return underWay ? 'under_way' : null
}

function start(state: AuctionState, seat: SeatState, at: number, out: AuctionCommand[]): void {
  if (seat.phase === 'waiting' && seat.terms.pinged) {
    const deadlineAt = pingDeadline(state, [seat], at)
    if (deadlineAt <= at) return end(seat, 'not_asked', 'no_time')
    seat.phase = 'pinged'
    seat.deadlineAt = deadlineAt
    takeCopy(state, seat)
    state.underWay++
    out.push({ do: 'ping', tier: state.tier, seats: [seat.seat], deadlineAt })
    return
  }
  if (!reachesFloor(state, seat)) return end(seat, 'lost', 'below_floor')
  takeCopy(state, seat)
  if (state.asks) {
    state.offered.push(seat)
    return
  }
  state.underWay++
  hold(seat, out)
}

/**
 * True where the source would earn what it was promised if this seat bought beside those that have. One that would not
 * waits: the promise may be kept by another copy first.
 */
function keepsPromise(state: AuctionState, seat: SeatState): boolean {
  const { promise, terms } = state
  if (promise === null || (seat.phase === 'waiting' && seat.terms.pinged)) return true
  const bids = [...state.promised, seat.value]
  return (promise.marginGives ? sumOf(bids) : payoutOf(terms.payout, bids, terms.minorDigits)) >= promise.payout
}

/** Nobody kept the promise, so those that waited for it cannot buy. */
function endUncovered(state: AuctionState): void {
  for (const seat of state.queue.splice(0)) end(seat, 'lost', 'below_offer')
}

export function hold(seat: SeatState, out: AuctionCommand[]): void {
  seat.phase = 'holding'
  seat.attempt++
  out.push({ do: 'hold', seat: seat.seat, attempt: seat.attempt, price: seat.value })
}
