/** One seat on its way to a sale: held, intended, posted, and how that ended. */
import type { AuctionCommand, AuctionEvent } from '../auction.ts'
import { fullReason, type Reason } from '../reason.ts'
import { byWorth } from '../strategy.ts'
import { micros } from '../units.ts'
import { answerPending, postResult } from './record.ts'
import { hold, moveOn } from './selling.ts'
import { type AuctionState, end, type Phase, payoutFor, type SeatState, stopSelling } from './state.ts'

/** A post must leave this soon after its INTENT was asked for: well under the age at which a silent engine is fenced. */
export const POST_BY_MS = 4_000

/** How often a seat is held anew because the hot store was rebuilt under it. */
const MAX_ATTEMPTS = 3

type SellingEvent = Exclude<
  AuctionEvent,
  { on: 'open' | 'bid' | 'noBid' | 'late' | 'recovered' | 'checked' | 'deadline' | 'turn' | 'answerBy' | 'durable' }
>

/** Which phase each selling event belongs to; in any other phase it is an echo and changes nothing. */
const PHASE_OF: Readonly<Record<SellingEvent['on'], Phase>> = {
  held: 'holding',
  full: 'holding',
  denied: 'holding',
  cold: 'holding',
  intended: 'intending',
  gone: 'intending',
  stale: 'intending',
  fenced: 'intending',
  notSent: 'posting',
  rejected: 'posting',
  accepted: 'posting',
  unknown: 'posting',
}

export function sellingStep(state: AuctionState, event: SellingEvent, out: AuctionCommand[]): void {
  const seat = state.seats[event.seat]!
  if (seat.phase !== PHASE_OF[event.on]) return
  switch (event.on) {
    case 'held':
      return intend(state, seat, event.at, out)
    case 'full':
      return passOver(state, seat, fullReason(event.window), event.at, out)
    case 'denied':
      return passOver(state, seat, event.reason, event.at, out)
    case 'cold':
      return passOver(state, seat, 'cold', event.at, out)
    case 'intended':
      return post(state, seat, event.at, out)
    case 'gone':
      return postFailed(state, seat, 'not_sent', 'hold_expired', event.at, out)
    case 'stale':
      return holdAnew(state, seat, event.at, out)
    case 'fenced':
      return abandon(state, seat, event.at, out)
    case 'notSent':
      return postFailed(state, seat, 'not_sent', whyNotSent(seat, event), event.at, out)
    case 'rejected':
      return postFailed(state, seat, 'rejected', event.reason, event.at, out)
    case 'accepted':
      return accept(state, seat, event, out)
    case 'unknown':
      return doubt(state, seat, event.reason, event.at, out)
    default:
      event satisfies never
  }
}

/** A post's moment may have passed because its bid had ended. */
function whyNotSent(seat: SeatState, { reason, at }: Extract<AuctionEvent, { on: 'notSent' }>): Reason {
  return reason === 'post_by' && seat.endsAt <= at ? 'bid_expired' : reason
}

/** The seat was chosen, but its post never left. */
function passOver(state: AuctionState, seat: SeatState, why: Reason, at: number, out: AuctionCommand[]): void {
  stopSelling(state, seat)
  end(seat, 'not_asked', why)
  moveOn(state, at, out)
}

function letGo(state: AuctionState, seat: SeatState, why: Reason, at: number, out: AuctionCommand[]): void {
  out.push({ do: 'release', seat: seat.seat, attempt: seat.attempt })
  passOver(state, seat, why, at, out)
}

/** Another engine owns the lead: it decides, and the source asks later. */
function abandon(state: AuctionState, seat: SeatState, at: number, out: AuctionCommand[]): void {
  state.abandoned = true
  answerPending(state, out)
  letGo(state, seat, 'fenced', at, out)
}

function post(state: AuctionState, seat: SeatState, at: number, out: AuctionCommand[]): void {
  seat.phase = 'posting'
  if (state.abandoned) return postFailed(state, seat, 'not_sent', 'fenced', at, out)
  const { attempt, value: price, postBy, buyerReference } = seat
  out.push({ do: 'post', seat: seat.seat, attempt, price, postBy, buyerReference })
}

/** The hold is of a rebuilt store's older epoch: it counts nowhere, so the seat is held again under the new one. */
function holdAnew(state: AuctionState, seat: SeatState, at: number, out: AuctionCommand[]): void {
  if (state.abandoned) return letGo(state, seat, 'fenced', at, out)
  if (seat.attempt >= MAX_ATTEMPTS) return letGo(state, seat, 'cold', at, out)
  out.push({ do: 'release', seat: seat.seat, attempt: seat.attempt })
  hold(seat, out)
}

function intend(state: AuctionState, seat: SeatState, at: number, out: AuctionCommand[]): void {
  if (state.abandoned) return letGo(state, seat, 'fenced', at, out)
  if (at + seat.terms.postMs > state.terms.totalMs) return letGo(state, seat, 'no_time', at, out)
  if (seat.endsAt <= at) return letGo(state, seat, 'bid_expired', at, out)
  seat.phase = 'intending'
  const { attempt, copy, value: price } = seat
  seat.postBy = Math.min(at + POST_BY_MS, state.terms.totalMs - seat.terms.postMs, seat.endsAt)
  const payout = payoutFor(state, state.promised, price)
  out.push({
    do: 'intent',
    seat: seat.seat,
    attempt,
    copy,
    price,
    payout,
    postBy: seat.postBy,
    results: state.unwritten,
  })
  state.unwritten = []
}

function postFailed(
  state: AuctionState,
  seat: SeatState,
  how: 'rejected' | 'not_sent',
  why: Reason,
  at: number,
  out: AuctionCommand[],
): void {
  out.push({ do: 'release', seat: seat.seat, attempt: seat.attempt })
  state.unwritten.push(postResult(seat, how, why))
  stopSelling(state, seat)
  end(seat, how === 'rejected' ? 'rejected' : 'not_asked', why)
  moveOn(state, at, out)
}

/** The buyer pays its bid, or the lower price its acceptance names; the source's payout stays that of the bid. */
function accept(
  state: AuctionState,
  seat: SeatState,
  event: Extract<AuctionEvent, { on: 'accepted' }>,
  out: AuctionCommand[],
): void {
  const payout = payoutFor(state, state.promised, seat.value)
  const price = event.price !== null && event.price > 0 && event.price < seat.value ? event.price : seat.value
  state.unwritten.push({
    ...postResult(seat, 'rejected', 'won'),
    state: 'accepted',
    price,
    payout,
    buyerReference: event.buyerReference ?? seat.buyerReference,
    redirectUrl: event.redirectUrl,
    priceCut: price < seat.value,
  })
  state.promised = [...state.promised, seat.value]
  state.payout = micros(state.payout + payout)
  seat.redirectUrl = event.redirectUrl
  state.accepted.push(seat)
  state.redirectUrl = state.accepted.toSorted(byWorth).find((sold) => sold.redirectUrl !== null)?.redirectUrl ?? null
  state.underWay--
  end(seat, 'sold', 'won', price)
  moveOn(state, event.at, out)
}

/**
 * The buyer may own the lead: the copy counts as used, and its place stays taken until the doubt is resolved. An INTENT
 * without a result means the same, so the doubt is written down last, when it is known what the sold copies earn.
 */
function doubt(state: AuctionState, seat: SeatState, why: Reason, at: number, out: AuctionCommand[]): void {
  if (why === 'timeout' && seat.terms.timeoutIsNoSale) return postFailed(state, seat, 'rejected', why, at, out)
  state.doubted.push(seat)
  state.underWay--
  end(seat, 'in_doubt', why, seat.value)
  moveOn(state, at, out)
}
