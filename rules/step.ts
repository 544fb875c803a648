/**
 * The auction's machine: `step(state, event) -> commands`.
 *
 * Where the lead is to be checked first, no tier opens before every check has answered or failed; whoever their answers
 * turn away is not asked.
 *
 * A lead's tiers open one after the other. An auction tier is `pinging` until every seat has answered, no bid that is
 * still awaited could win, or its deadline has come; then it sells down its ranking. The other tiers sell down a line at
 * once, pinging a seat first where its contract says so: a waterfall's is in order of priority, a weighted one is drawn by
 * the dice; a round-robin tier asks whose turn it is, puts them in front of a drawn line, and does without where nobody
 * says in time. Selling takes a seat through `holding` (a place in every cap), `intending` (INTENT and posting) and
 * `posting`, up to `copies` seats at a time. A rejection frees the copy for the next seat; a sale or a doubt uses it up,
 * and after either no later tier opens. When nothing is under way and nobody is left, the lead is decided: its result is
 * recorded, and once that is durable the source is answered, sold places are committed, and the lead settles.
 *
 * Where the source only pings, the auction `asks`: whoever would be held is offered instead, and the first tier that has
 * a bid ends it. Where a lead comes for such an offer, its bids stand as they were made, and a copy is sold only if the
 * source earns what it was promised.
 *
 * A lead that another engine took over is `abandoned`: nothing more is offered, what is held is released, and only the
 * ends of posts that had left are still written down.
 *
 * The machine owns its state and changes it in place; it reads no clock, draws no dice and touches nothing else. Its parts
 * stand in `rules/step/`, each on those before it: `state`, `record`, `selling`, `pings` and `posts`.
 */
import type { AuctionCommand, AuctionEvent, Opening, Outcome } from './auction.ts'
import type { SeatEnd } from './duplicates.ts'
import { leadSeats, leadTerms } from './prices.ts'
import { excludedSeats } from './seats.ts'
import { deadline, pingAnswered, turnTold } from './step/pings.ts'
import { sellingStep } from './step/posts.ts'
import { answerPending, durable } from './step/record.ts'
import { openNextTier } from './step/selling.ts'
import { type AuctionState, end, worthOf } from './step/state.ts'
import { micros } from './units.ts'

/** Applies one event and says what must be done, in order. An event that no longer matters changes nothing. */
export function step(state: AuctionState, event: AuctionEvent): readonly AuctionCommand[] {
  const out: AuctionCommand[] = []
  switch (event.on) {
    case 'open':
      if (event.opening.checks) awaitChecks(state, event.opening, out)
      else {
        open(state, event.opening)
        openNextTier(state, event.at, out)
      }
      break
    case 'checked':
      checked(state, event, out)
      break
    case 'bid':
    case 'noBid':
      pingAnswered(state, event, out)
      break
    case 'deadline':
      deadline(state, event.at, out)
      break
    case 'turn':
      turnTold(state, event, out)
      break
    case 'late':
    case 'recovered':
      break
    case 'answerBy':
      if (!state.asks) answerPending(state, out)
      break
    case 'durable':
      durable(state, out)
      break
    default:
      sellingStep(state, event, out)
  }
  return out
}

/** Every seat's outcome by contract, once the lead is decided; excluded seats are `not_asked`. Asserts that each has one. */
export function outcomes(state: AuctionState): ReadonlyMap<string, Outcome> {
  const all = new Map<string, Outcome>()
  for (const [why, seats] of excludedSeats(state.excluded, state.terms.seats.length)) {
    for (const seat of seats)
      all.set(state.terms.seats[seat]!.contract, { kind: 'not_asked', reason: why, price: null })
  }
  for (const seat of state.seats) {
    if (!seat.outcome) throw new Error(`seat of ${seat.terms.contract} has no outcome although the lead is decided`)
    all.set(seat.terms.contract, seat.outcome)
  }
  return all
}

/** Whom a decided lead was shown to, and who has it or may have. */
export function seatEnds(state: AuctionState): SeatEnd[] {
  return state.seats.map(({ terms, deadlineAt, hasBid, outcome }) => {
    const had = outcome?.kind === 'sold' || outcome?.kind === 'in_doubt'
    return { buyer: terms.buyer, asked: had || outcome?.kind === 'rejected' || deadlineAt > 0 || hasBid, had }
  })
}

function awaitChecks(state: AuctionState, opening: Opening, out: AuctionCommand[]): void {
  const { names, deadlineAt } = opening.checks!
  state.checking = opening
  out.push({ do: 'check', checks: names, deadlineAt })
}

function checked(state: AuctionState, event: Extract<AuctionEvent, { on: 'checked' }>, out: AuctionCommand[]): void {
  const opening = state.checking
  if (opening === null || state.abandoned) return
  state.checking = null
  const { refused, fell = [], prices } = event.checked
  open(state, { ...opening, ...(prices && { prices }) })
  for (const [seat, why] of fell) end(state.seats[seat]!, 'not_asked', why)
  if (refused !== undefined) {
    for (const seat of state.seats) end(seat, 'not_asked', refused)
    state.refused = true
    state.owed = micros(0)
  }
  openNextTier(state, event.at, out)
}

function open(state: AuctionState, opening: Opening): void {
  state.excluded = opening
  state.asks = opening.asks === true
  state.promise = opening.promise ?? null
  state.chosen = opening.choice !== undefined
  state.owed = opening.owed ?? micros(0)
  state.lapses = opening.bids?.some((bid) => bid[3] !== undefined) ?? false
  const bids = new Map(opening.bids?.map((bid) => [bid[0], bid]))
  const seats = leadSeats(state.terms, opening.eligible, opening.prices)
  state.terms = leadTerms(state.terms, opening.prices)
  state.seats = opening.eligible.map((seatNumber, seat) => {
    const bid = bids.get(seat)
    const terms = bid ? { ...seats[seat]!, price: bid[1], pinged: false } : seats[seat]!
    const value = terms.price ?? micros(0)
    return {
      terms,
      seat,
      hasBid: bid !== undefined,
      phase: 'waiting',
      value,
      worth: worthOf(terms, value),
      turn: 0,
      choice: opening.choice?.indexOf(seat) ?? 0,
      priority: terms.priority,
      die: opening.dice[seat] ?? 0,
      order: seatNumber,
      deadlineAt: 0,
      postBy: 0,
      endsAt: bid?.[3] ?? Number.POSITIVE_INFINITY,
      buyerReference: bid?.[2] ?? null,
      redirectUrl: null,
      attempt: 0,
      copy: -1,
      outcome: null,
    }
  })
}
