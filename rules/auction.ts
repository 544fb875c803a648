/** The auction: a pure state machine from what happened to what must be done. */
import type { Comparable } from './filter/check.ts'
import type { Adjustment } from './money.ts'
import type { Reason } from './reason.ts'
import type { Micros, Ms } from './units.ts'
import type { PayoutRule, Tier } from './version.ts'

/** What the machine needs of one contract; static per version, campaign and source. */
export interface SeatTerms {
  readonly contract: string
  readonly buyer: string
  readonly group: string
  readonly tier: number
  readonly priority: number
  readonly weight: number
  readonly price: Micros | null
  readonly pinged: boolean
  readonly floor: Micros
  readonly minBid: Micros
  /** The most that it declares to bid; null: it declares nothing. */
  readonly maxBid: Micros | null
  /** What its bid counts for; null: what it says. */
  readonly adjust: Adjustment | null
  readonly postMs: Ms
  readonly timeoutIsNoSale: boolean
  /** How long a bid of its stands at most; null: until the lead is decided. */
  readonly bidLifeMs: Ms | null
}

export interface AuctionTerms {
  readonly tiers: readonly Tier[]
  /** Every contract of the campaign, in seat order. */
  readonly seats: readonly SeatTerms[]
  /** The larger of the campaign's and the source's floor. */
  readonly floor: Micros
  readonly payout: PayoutRule
  /** The source refuses to be paid less; 0: it takes what comes. */
  readonly minPayout: Micros
  readonly minMargin: Micros
  readonly allowLoss: boolean
  readonly minorDigits: number
  readonly totalMs: Ms
  readonly answerWithinMs: Ms
}

/** Seats of reasons that keep many out; `rules/seats` reads it. */
export interface Crowd {
  readonly reasons: readonly Reason[]
  readonly seats: string
}

/** What a source was offered for its ping: a sale earns it no less. */
export interface PayoutPromise {
  readonly payout: Micros
  /** True: a price that covers the payout is enough, and the margin gives way. False: the price must earn that payout by the rule. */
  readonly marginGives: boolean
}

/** What a rule says, and which it was: its number in its list, from 1 on. */
export interface Ruled<T> {
  readonly rule: number
  readonly is: T
}

/** What rules make of one seat; what they say nothing of stays as its terms have it. */
export interface SeatPrices {
  readonly seat: number
  readonly price?: Ruled<Micros>
  readonly floor?: Ruled<Micros>
  readonly adjust?: Ruled<Adjustment>
}

/** What rules say of one lead. `floor`: the larger of the campaign's and the source's. */
export interface LeadPrices {
  readonly floor?: Micros
  readonly payout?: PayoutRule
  readonly seats?: readonly SeatPrices[]
}

/** A bid that a seat made. `endsAt`: milliseconds after the lead's opening, for one that ends by itself. */
export type StandingBid = readonly [seat: number, price: Micros, buyerReference: string | null, endsAt?: number]

/** How a check's answer came: its service was asked, for this lead or for one under way; it is remembered; a list has it; the lead is a test. */
export type CheckVia = 'asked' | 'shared' | 'kept' | 'list' | 'test'

/** What one check said of the lead. */
export interface CheckSaid {
  readonly check: string
  readonly via: CheckVia
  /** By name; null: nothing was found out. */
  readonly outputs: Readonly<Record<string, Comparable>> | null
  /** Why nothing was. */
  readonly failed?: string
  /** What the call costs that was made for this lead; absent: nothing. */
  readonly cost?: Micros
}

/** What all checks of a lead came to. */
export interface Checked {
  readonly said: readonly CheckSaid[]
  /** A check of the campaign keeps the lead from everybody. */
  readonly refused?: Reason
  /** Seats that fell out by it. */
  readonly fell?: readonly (readonly [seat: number, reason: Reason])[]
  /** Instead of the opening's. */
  readonly prices?: LeadPrices
}

/** How the seats stand when the lead opens. `dice[i]` belongs to `eligible[i]`, from 0 to 65535; the highest wins a tie. */
export interface Opening {
  /** Seat numbers (contract order) that may take part. Positions in this list are the `seat` of every event and command. */
  readonly eligible: readonly number[]
  readonly dice: readonly number[]
  /** Seats that fell out before the auction, by reason, ascending. */
  readonly excluded: Readonly<Record<Reason, readonly number[]>>
  /** Those of reasons that have too many to be listed one by one. */
  readonly crowd?: Crowd
  /** The auction asks and ranks, and ends with an offer to the source: nothing is held. */
  readonly asks?: true
  /** Bids that seats made for the source's ping: they are not pinged again. */
  readonly bids?: readonly StandingBid[]
  /** Seats in the order in which the consumer chose them: it ranks them, whatever they bid. */
  readonly choice?: readonly number[]
  readonly promise?: PayoutPromise
  readonly prices?: LeadPrices
  /** What the source earns for the lead although nobody buys it; absent: nothing. */
  readonly owed?: Micros
  /** The lead is checked first: by these, the slowest of which has answered or failed by then. */
  readonly checks?: { readonly names: readonly string[]; readonly deadlineAt: number }
}

/** `at`: whole milliseconds since the lead opened. `seat`: a position in `Opening.eligible`. */
export type AuctionEvent =
  | { readonly on: 'open'; readonly at: number; readonly opening: Opening }
  /** Every check has answered or failed. */
  | { readonly on: 'checked'; readonly at: number; readonly checked: Checked }
  | {
      readonly on: 'bid'
      readonly at: number
      readonly seat: number
      readonly price: Micros
      readonly buyerReference: string | null
      /** When the buyer's word ends by itself, where it says so. */
      readonly endsAt?: number | undefined
    }
  | { readonly on: 'noBid'; readonly at: number; readonly seat: number; readonly reason: Reason }
  /** An answer to a ping that came after its deadline: recorded, never counted. */
  | { readonly on: 'late'; readonly at: number; readonly seat: number; readonly price: Micros | null }
  /** The lead was taken over from an engine that died; this auction is a new term. */
  | { readonly on: 'recovered'; readonly at: number }
  | { readonly on: 'deadline'; readonly at: number; readonly tier: number }
  /** Whose turn it is in a round-robin tier, best first; nobody's where the hot store did not say in time. */
  | { readonly on: 'turn'; readonly at: number; readonly tier: number; readonly seats: readonly number[] }
  | { readonly on: 'answerBy'; readonly at: number }
  | { readonly on: 'held'; readonly at: number; readonly seat: number }
  | { readonly on: 'full'; readonly at: number; readonly seat: number; readonly window: string }
  /** An operator has paused or blocked it meanwhile. */
  | { readonly on: 'denied'; readonly at: number; readonly seat: number; readonly reason: Reason }
  | { readonly on: 'cold'; readonly at: number; readonly seat: number }
  | { readonly on: 'intended'; readonly at: number; readonly seat: number }
  | { readonly on: 'gone'; readonly at: number; readonly seat: number }
  | { readonly on: 'stale'; readonly at: number; readonly seat: number }
  | { readonly on: 'fenced'; readonly at: number; readonly seat: number }
  | { readonly on: 'notSent'; readonly at: number; readonly seat: number; readonly reason: Reason }
  | { readonly on: 'rejected'; readonly at: number; readonly seat: number; readonly reason: Reason }
  | {
      readonly on: 'accepted'
      readonly at: number
      readonly seat: number
      readonly price: Micros | null
      readonly buyerReference: string | null
      readonly redirectUrl: string | null
    }
  | { readonly on: 'unknown'; readonly at: number; readonly seat: number; readonly reason: Reason }
  | { readonly on: 'durable'; readonly at: number }

/** `queued`: nobody bought it, and it waits for a contract to open. */
export type LeadStatus = 'sold' | 'unsold' | 'pending' | 'queued'

/** How one post ended: what RESULT writes. */
export interface PostResult {
  readonly seat: number
  readonly copy: number
  readonly attempt: number
  readonly state: 'accepted' | 'rejected' | 'not_sent' | 'in_doubt'
  readonly reason: Reason
  /** What the buyer pays, where accepted or in doubt. */
  readonly price: Micros
  /** This copy's part of what the source earns. */
  readonly payout: Micros
  readonly buyerReference: string | null
  readonly redirectUrl: string | null
  readonly priceCut: boolean
}

export type AuctionCommand =
  /** Ask these checks of the lead, all at once. A `checked` event must follow, at `deadlineAt` at the latest. */
  | { readonly do: 'check'; readonly checks: readonly string[]; readonly deadlineAt: number }
  /** Ping all of these at once; `deadlineAt` closes the tier (or, in a waterfall, this one seat). */
  | { readonly do: 'ping'; readonly tier: number; readonly seats: readonly number[]; readonly deadlineAt: number }
  /** Ask whose turn it is among these seats, for so many copies; after `deadlineAt` the tier does without. A `turn` event must follow. */
  | {
      readonly do: 'turn'
      readonly tier: number
      readonly seats: readonly number[]
      readonly copies: number
      readonly deadlineAt: number
    }
  | { readonly do: 'hold'; readonly seat: number; readonly attempt: number; readonly price: Micros }
  /** INTENT and `posting` together; `results` are earlier posts' ends, written first in the same transaction. */
  | {
      readonly do: 'intent'
      readonly seat: number
      readonly attempt: number
      readonly copy: number
      readonly price: Micros
      readonly payout: Micros
      /** The post must have left by then. */
      readonly postBy: number
      readonly results: readonly PostResult[]
    }
  | {
      readonly do: 'post'
      readonly seat: number
      readonly attempt: number
      readonly price: Micros
      readonly postBy: number
      readonly buyerReference: string | null
    }
  | { readonly do: 'commit'; readonly seat: number; readonly attempt: number }
  | { readonly do: 'release'; readonly seat: number; readonly attempt: number }
  /** RESULT: `status` is null while other copies are still on their way. A `durable` event must follow. */
  | { readonly do: 'result'; readonly results: readonly PostResult[]; readonly status: LeadStatus | null }
  | {
      readonly do: 'answer'
      readonly status: Exclude<LeadStatus, 'queued'>
      readonly payout: Micros
      readonly copies: number
      readonly reasons: readonly string[]
      readonly redirectUrl: string | null
    }
  /** What the source may have for its ping: bids from the best on, and seats that would not buy. Nobody's where no bid is left. */
  | {
      readonly do: 'offer'
      readonly payout: Micros
      readonly bids: readonly StandingBid[]
      readonly declined: readonly (readonly [seat: number, reason: Reason])[]
    }
  | { readonly do: 'settle' }

export type OutcomeKind = 'sold' | 'rejected' | 'in_doubt' | 'lost' | 'not_asked'
export interface Outcome {
  readonly kind: OutcomeKind
  readonly reason: Reason
  /** What is paid (sold) or would be (in doubt). */
  readonly price: Micros | null
}
