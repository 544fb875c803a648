/** The state of one auction, and what its parts share: its seats, their money, and how a seat ends. */
import type {
  AuctionTerms,
  LeadStatus,
  Opening,
  Outcome,
  PayoutPromise,
  PostResult,
  SeatTerms,
  StandingBid,
} from '../auction.ts'
import { adjusted, earnedFor, effectiveFloor } from '../money.ts'
import type { Reason } from '../reason.ts'
import { byBid, type Ranked } from '../strategy.ts'
import { type Micros, micros } from '../units.ts'

export type Phase = 'waiting' | 'pinged' | 'bid' | 'holding' | 'intending' | 'posting' | 'ended'

export interface SeatState extends Ranked {
  readonly terms: SeatTerms
  readonly seat: number
  /** Its bid came with the lead: it was pinged for the offer. */
  readonly hasBid: boolean
  phase: Phase
  /** Its bid may not be posted from then on; infinite for one that does not end by itself. */
  endsAt: number
  /** What the buyer pays. */
  value: Micros
  worth: number
  /** Place in the line of its tier, where that is no auction. */
  turn: number
  deadlineAt: number
  postBy: number
  buyerReference: string | null
  redirectUrl: string | null
  attempt: number
  copy: number
  outcome: Outcome | null
}

export interface AuctionState {
  /** Once the lead is open: with what rules say of it. */
  terms: AuctionTerms
  seats: SeatState[]
  excluded: Pick<Opening, 'excluded' | 'crowd'>
  /** While checks are asked: how the seats stand but for them. */
  checking: Opening | null
  /** A check of the campaign keeps the lead from everybody. */
  refused: boolean
  asks: boolean
  promise: PayoutPromise | null
  /** The consumer's choice ranks the seats. */
  chosen: boolean
  /** Seats that would have been held, had the auction not only asked. */
  offered: SeatState[]
  tier: number
  /** True once there was a bid that ends by itself. */
  lapses: boolean
  /** Seats of the open tier that may still be sold to, best first. Filled when the tier's pings are over. */
  queue: SeatState[]
  outstandingPings: number
  /** Of those, seats that may bid anything. */
  unlimitedPings: number
  /** True while it is asked whose turn it is in the open tier. */
  asksTurn: boolean
  /** Seats being pinged one by one, held, intended or posted. */
  underWay: number
  copiesUsed: boolean[]
  accepted: SeatState[]
  /** Doubts that are not written down yet. */
  doubted: SeatState[]
  /** Bids of the accepted copies: what the payout is made of. */
  promised: readonly Micros[]
  payout: Micros
  /** What the source earns although nobody buys. */
  owed: Micros
  /** Where the consumer is sent: the best accepted copy that names a place. */
  redirectUrl: string | null
  /** Ends of posts that no command has carried to the ledger yet. */
  unwritten: PostResult[]
  /** One entry for each `result` that is not durable yet: whom to commit then, and how the lead was decided. */
  recording: { readonly commit: readonly SeatState[]; readonly status: LeadStatus | null }[]
  decided: LeadStatus | null
  answered: boolean
  abandoned: boolean
}

export function newAuction(terms: AuctionTerms): AuctionState {
  return {
    terms,
    seats: [],
    excluded: { excluded: {} },
    checking: null,
    refused: false,
    asks: false,
    promise: null,
    chosen: false,
    offered: [],
    tier: -1,
    lapses: false,
    queue: [],
    outstandingPings: 0,
    unlimitedPings: 0,
    asksTurn: false,
    underWay: 0,
    copiesUsed: [],
    accepted: [],
    doubted: [],
    promised: [],
    payout: micros(0),
    owed: micros(0),
    redirectUrl: null,
    unwritten: [],
    recording: [],
    decided: null,
    answered: false,
    abandoned: false,
  }
}

export function end(seat: SeatState, kind: Outcome['kind'], why: Reason, price: Micros | null = null): void {
  if (seat.outcome) throw new Error(`seat of ${seat.terms.contract} ended twice: ${seat.outcome.kind}, then ${kind}`)
  seat.phase = 'ended'
  seat.outcome = { kind, reason: why, price }
}

export const isAuction = (state: AuctionState): boolean => state.terms.tiers[state.tier]!.strategy === 'auction'

/** The order of the open tier. */
export const rankOf = (state: AuctionState) =>
  isAuction(state) ? byBid : (a: SeatState, b: SeatState): number => a.turn - b.turn

/** Somebody has a copy, or may have it, or was found for the source's offer: no later tier opens. */
export const isTaken = (state: AuctionState): boolean =>
  state.accepted.length + state.doubted.length + state.offered.length > 0

export const floorOf = (state: AuctionState, seat: SeatState): Micros => effectiveFloor(state.terms, seat.terms.floor)

export const reachesFloor = (state: AuctionState, seat: SeatState): boolean => seat.value >= floorOf(state, seat)

export const worthOf = ({ adjust }: SeatTerms, bid: Micros): number => (adjust === null ? bid : adjusted(adjust, bid))

export function enterBid(state: AuctionState, seat: SeatState, price: Micros): void {
  seat.value = price
  seat.worth = worthOf(seat.terms, price)
  if (!reachesFloor(state, seat)) end(seat, 'lost', 'below_floor')
  else {
    seat.phase = 'bid'
    if (isAuction(state)) state.queue.push(seat)
    else state.queue.unshift(seat)
  }
}

/** Its bid stands for as long as the buyer says and its contract allows. */
export function letLapse(state: AuctionState, seat: SeatState, endsAt: number): void {
  seat.endsAt = endsAt
  if (endsAt !== Number.POSITIVE_INFINITY) state.lapses = true
}

export const standingBid = ({ seat, value, buyerReference, endsAt }: SeatState): StandingBid =>
  endsAt === Number.POSITIVE_INFINITY ? [seat, value, buyerReference] : [seat, value, buyerReference, endsAt]

export function takeCopy(state: AuctionState, seat: SeatState): void {
  seat.copy = state.copiesUsed.indexOf(false)
  state.copiesUsed[seat.copy] = true
}

/** The seat is no longer under way; its copy is free for the next one. */
export function stopSelling(state: AuctionState, seat: SeatState): void {
  state.underWay--
  state.copiesUsed[seat.copy] = false
  seat.copy = -1
}

/** What one more copy at this price adds to what the source earns for copies that sold at these. */
export function payoutFor(state: AuctionState, sold: readonly Micros[], price: Micros): Micros {
  const { terms, promise } = state
  return micros(earnedFor(terms, promise, [...sold, price]) - earnedFor(terms, promise, sold))
}
