/**
 * The auction's machine: `step(state, event) -> commands`.
 *
 * A lead's tiers open one after the other. An auction tier is `pinging` until every seat has answered, no bid that is still
 * awaited could win, or its deadline has come; then it sells down its ranking. The other tiers sell down a line at once, pinging a seat first where its
 * contract says so: a waterfall's is in order of priority, a weighted one is drawn by the dice; a round-robin tier asks
 * whose turn it is, puts them in front of a drawn line, and does without where nobody says in time. Selling takes a seat through `holding` (a place in every cap), `intending` (INTENT and posting) and
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
 * The machine owns its state and changes it in place; it reads no clock, draws no dice and touches nothing else.
 */
import type {
  AuctionCommand,
  AuctionEvent,
  AuctionTerms,
  LeadStatus,
  Opening,
  Outcome,
  PayoutPromise,
  PostResult,
  SeatTerms,
} from './auction.ts'
import type { SeatEnd } from './duplicates.ts'
import { adjusted, effectiveFloor, payoutOf, sumOf } from './money.ts'
import { leadSeats, leadTerms } from './prices.ts'
import { fullReason, type Reason } from './reason.ts'
import { excludedSeats } from './seats.ts'
import { byBid, byPriority, drawByWeight, type Ranked, whyBehind, winnersOf } from './strategy.ts'
import { type Micros, micros } from './units.ts'

/** A post must leave this soon after its INTENT was asked for: well under the age at which a silent engine is fenced. */
export const POST_BY_MS = 4_000
/** How often a seat is held anew because the hot store was rebuilt under it. */
const MAX_ATTEMPTS = 3
/** A hot store that has not said whose turn it is by then is done without. */
export const TURN_MS = 250
/** Of a round-robin tier with more seats those drawn first are asked about: the hot store looks at each. */
const MOST_TURNS = 200

type Phase = 'waiting' | 'pinged' | 'bid' | 'holding' | 'intending' | 'posting' | 'ended'

interface SeatState extends Ranked {
  readonly terms: SeatTerms
  readonly seat: number
  phase: Phase
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
  asks: boolean
  promise: PayoutPromise | null
  /** Seats that would have been held, had the auction not only asked. */
  offered: SeatState[]
  tier: number
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
    asks: false,
    promise: null,
    offered: [],
    tier: -1,
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

/** Applies one event and says what must be done, in order. An event that no longer matters changes nothing. */
export function step(state: AuctionState, event: AuctionEvent): readonly AuctionCommand[] {
  const out: AuctionCommand[] = []
  switch (event.on) {
    case 'open':
      open(state, event.opening)
      openNextTier(state, event.at, out)
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
  return state.seats.map(({ terms, order, deadlineAt, outcome }) => {
    const had = outcome?.kind === 'sold' || outcome?.kind === 'in_doubt'
    // Whoever's bid came with an offer was pinged for that.
    const pinged = deadlineAt > 0 || terms !== state.terms.seats[order]
    return { buyer: terms.buyer, asked: had || outcome?.kind === 'rejected' || pinged, had }
  })
}

function open(state: AuctionState, opening: Opening): void {
  state.excluded = opening
  state.asks = opening.asks === true
  state.promise = opening.promise ?? null
  state.owed = opening.owed ?? micros(0)
  const bids = new Map(opening.bids?.map(([seat, price, reference]) => [seat, { price, reference }]))
  const seats = leadSeats(state.terms, opening.eligible, opening.prices)
  state.terms = leadTerms(state.terms, opening.prices)
  state.seats = opening.eligible.map((seatNumber, seat) => {
    const bid = bids.get(seat)
    const terms = bid ? { ...seats[seat]!, price: bid.price, pinged: false } : seats[seat]!
    const value = terms.price ?? micros(0)
    return {
      terms,
      seat,
      phase: 'waiting',
      value,
      worth: worthOf(terms, value),
      turn: 0,
      priority: terms.priority,
      die: opening.dice[seat] ?? 0,
      order: seatNumber,
      deadlineAt: 0,
      postBy: 0,
      buyerReference: bid?.reference ?? null,
      redirectUrl: null,
      attempt: 0,
      copy: -1,
      outcome: null,
    }
  })
}

/** Opens tiers until one has something under way; when none is left, decides the lead. */
function openNextTier(state: AuctionState, at: number, out: AuctionCommand[]): void {
  while (++state.tier < state.terms.tiers.length) {
    const members = state.seats.filter((seat) => seat.terms.tier === state.tier)
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
  if (state.asks || strategy !== 'round_robin' || mayBuy.length < 2) return
  state.asksTurn = true
  const seats = mayBuy.map(({ seat }) => seat).sort((a, b) => a - b)
  out.push({ do: 'turn', tier: state.tier, seats, copies, deadlineAt: at + TURN_MS })
}

function lineUp(state: AuctionState, line: SeatState[]): void {
  line.forEach((seat, turn) => {
    seat.turn = turn
  })
  state.queue = line
}

/** Whoever has the turn comes first; who buys where it does not is drawn, so that nobody gains by a neighbour's refusals. */
function turnTold(state: AuctionState, event: Extract<AuctionEvent, { on: 'turn' }>, out: AuctionCommand[]): void {
  if (!awaitsTurn(state, event.tier)) return
  state.asksTurn = false
  const first = event.seats.map((seat) => state.seats[seat]!)
  lineUp(state, [...first, ...state.queue.filter((seat) => !first.includes(seat))])
  moveOn(state, event.at, out)
}

const floorOf = (state: AuctionState, seat: SeatState): Micros => effectiveFloor(state.terms, seat.terms.floor)
const reachesFloor = (state: AuctionState, seat: SeatState): boolean => seat.value >= floorOf(state, seat)

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

function enterBid(state: AuctionState, seat: SeatState, price: Micros): void {
  seat.value = price
  seat.worth = worthOf(seat.terms, price)
  if (!reachesFloor(state, seat)) end(seat, 'lost', 'below_floor')
  else {
    seat.phase = 'bid'
    if (isAuction(state)) state.queue.push(seat)
    else state.queue.unshift(seat)
  }
}

const worthOf = ({ adjust }: SeatTerms, bid: Micros): number => (adjust === null ? bid : adjusted(adjust, bid))

/** Why a bid is none, whatever else was bid. */
function beyondLimits({ terms }: SeatState, price: Micros): Reason | null {
  if (terms.maxBid !== null && price > terms.maxBid) return 'over_max_bid'
  return price < terms.minBid ? 'under_min_bid' : null
}

function pingAnswered(
  state: AuctionState,
  event: Extract<AuctionEvent, { on: 'bid' | 'noBid' }>,
  out: AuctionCommand[],
): void {
  const seat = state.seats[event.seat]!
  if (!pingCounts(state, event.seat, event.at)) return
  if (event.on === 'bid') seat.buyerReference = event.buyerReference
  const none = event.on === 'noBid' ? event.reason : beyondLimits(seat, event.price)
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

function deadline(state: AuctionState, at: number, out: AuctionCommand[]): void {
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
  const inTime = state.queue.filter((seat) => at + seat.terms.postMs <= state.terms.totalMs)
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

const isAuction = (state: AuctionState): boolean => state.terms.tiers[state.tier]!.strategy === 'auction'

/** The order of the open tier. */
const rankOf = (state: AuctionState) =>
  isAuction(state) ? byBid : (a: SeatState, b: SeatState): number => a.turn - b.turn

/** Sells on; where nothing is under way any more, opens the next tier or decides the lead. */
function moveOn(state: AuctionState, at: number, out: AuctionCommand[]): void {
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

/** A rejection waits for the next seat's INTENT, which carries it, where a hold is under way; nothing else waits. */
function writeDown(state: AuctionState, out: AuctionCommand[]): void {
  if (state.abandoned) writeDoubts(state)
  if (state.unwritten.length === 0) return
  const sold = state.unwritten.some((result) => result.state === 'accepted')
  if (sold || state.abandoned || !state.seats.some((seat) => seat.phase === 'holding')) record(state, null, out)
}

/** Starts as many seats as there are copies free, best first. */
function sell(state: AuctionState, at: number, out: AuctionCommand[]): void {
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

/** Somebody has a copy, or may have it, or was found for the source's offer: no later tier opens. */
const isTaken = (state: AuctionState): boolean =>
  state.accepted.length + state.doubted.length + state.offered.length > 0

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

/** The source is told what it may have: the bids of the tier that has some, in its order. */
function offer(state: AuctionState, out: AuctionCommand[]): void {
  const known = (seat: SeatState) => seat.phase === 'bid' || (seat.phase === 'waiting' && !seat.terms.pinged)
  const ranked = new Set([...state.offered, ...state.queue.filter(known)])
  const bids = state.tier < state.terms.tiers.length ? [...ranked].sort(rankOf(state)) : []
  const declined = state.seats.flatMap(({ seat, outcome }) => (outcome ? [[seat, outcome.reason] as const] : []))
  out.push({
    do: 'offer',
    payout: bids.length === 0 ? micros(0) : payoutFor(state, [], bids[0]!.value),
    bids: bids.map((bid) => [bid.seat, bid.value, bid.buyerReference]),
    declined,
  })
  out.push({ do: 'settle' })
}

function takeCopy(state: AuctionState, seat: SeatState): void {
  seat.copy = state.copiesUsed.indexOf(false)
  state.copiesUsed[seat.copy] = true
}

/** The seat is no longer under way; its copy is free for the next one. */
function stopSelling(state: AuctionState, seat: SeatState): void {
  state.underWay--
  state.copiesUsed[seat.copy] = false
  seat.copy = -1
}

function hold(seat: SeatState, out: AuctionCommand[]): void {
  seat.phase = 'holding'
  seat.attempt++
  out.push({ do: 'hold', seat: seat.seat, attempt: seat.attempt, price: seat.value })
}

type SellingEvent = Exclude<
  AuctionEvent,
  { on: 'open' | 'bid' | 'noBid' | 'late' | 'recovered' | 'deadline' | 'turn' | 'answerBy' | 'durable' }
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

function sellingStep(state: AuctionState, event: SellingEvent, out: AuctionCommand[]): void {
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
      return postFailed(state, seat, 'not_sent', event.reason, event.at, out)
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
  seat.phase = 'intending'
  const { attempt, copy, value: price } = seat
  seat.postBy = Math.min(at + POST_BY_MS, state.terms.totalMs - seat.terms.postMs)
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

/** What one more copy at this price adds to what the source earns for copies that sold at these. */
function payoutFor(state: AuctionState, sold: readonly Micros[], price: Micros): Micros {
  return micros(earned(state, [...sold, price]) - earned(state, sold))
}

function earned({ terms, promise }: AuctionState, bids: readonly Micros[]): Micros {
  const payout = payoutOf(terms.payout, bids, terms.minorDigits)
  return promise === null || bids.length === 0 ? payout : micros(Math.max(payout, promise.payout))
}

function postResult(seat: SeatState, end: 'rejected' | 'not_sent', why: Reason): PostResult {
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
  state.redirectUrl = state.accepted.toSorted(byBid).find((sold) => sold.redirectUrl !== null)?.redirectUrl ?? null
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

function end(seat: SeatState, kind: Outcome['kind'], why: Reason, price: Micros | null = null): void {
  if (seat.outcome) throw new Error(`seat of ${seat.terms.contract} ended twice: ${seat.outcome.kind}, then ${kind}`)
  seat.phase = 'ended'
  seat.outcome = { kind, reason: why, price }
}

function decide(state: AuctionState, out: AuctionCommand[]): void {
  if (state.asks) return offer(state, out)
  if (state.accepted.length + state.doubted.length > 0) endUnsold(state)
  state.decided = state.accepted.length > 0 ? 'sold' : state.doubted.length > 0 ? 'pending' : 'unsold'
  if (state.decided === 'unsold') state.payout = state.owed
  writeDoubts(state)
  record(state, state.decided, out)
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

function durable(state: AuctionState, out: AuctionCommand[]): void {
  const recorded = state.recording.shift()
  if (!recorded) return
  if (recorded.status === 'pending') return answerPending(state, out)
  if (recorded.status && !state.answered) {
    state.answered = true
    const { payout, redirectUrl } = state
    const reasons = recorded.status === 'unsold' ? ['no_buyer'] : []
    out.push({ do: 'answer', status: recorded.status, payout, copies: state.accepted.length, reasons, redirectUrl })
  }
  for (const seat of recorded.commit) out.push({ do: 'commit', seat: seat.seat, attempt: seat.attempt })
  if (recorded.status) out.push({ do: 'settle' })
}

function answerPending(state: AuctionState, out: AuctionCommand[]): void {
  if (state.answered) return
  state.answered = true
  out.push({ do: 'answer', status: 'pending', payout: micros(0), copies: 0, reasons: [], redirectUrl: null })
}
