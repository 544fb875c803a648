/** What a stored trace says of each seat, for reports: whether it was asked, what it answered, how soon, and how it ended. */
import type { AuctionTerms, Outcome } from './auction.ts'
import { reasonName } from './reason.ts'
import { eventOf, replay, type Trace } from './trace.ts'
import type { Micros } from './units.ts'

export interface SeatMeasures {
  /** Its ping left, or was tried to. */
  pinged: boolean
  /** What it bid in time for that ping; null: nothing. */
  bid: Micros | null
  /** It bid after the deadline. */
  lateBid: boolean
  /** Its ping could not be sent, or its answer not be read. */
  pingFailed: boolean
  /** It was chosen to be sold to. */
  chosen: boolean
  /** From its ping to its answer; null where there is none that can be read. */
  pingMs: number | null
  /** From its post to its answer; null where there is none. */
  postMs: number | null
  /** How it ended; null where its trace does not tell. */
  outcome: Outcome | null
}

/** A throttle, a breaker or a full queue kept the ping back. */
const NEVER_LEFT: ReadonlySet<string> = new Set(['throttle', 'breaker', 'queue_full'])

/** By position in the opening. `terms`: of the version that decided; null: it is not known, and neither is how seats ended. */
export function measuresOf(trace: Trace, terms: AuctionTerms | null): readonly SeatMeasures[] {
  const seats = trace.opening.eligible.map((): SeatMeasures => ({ ...NOTHING }))
  const since = { ping: [] as number[], post: [] as number[] }
  let now = 0
  for (const row of trace.rows) {
    const event = eventOf(row)
    if (event === null) {
      if (row[0] === '>ping')
        for (const seat of row[2] as readonly number[]) {
          seats[seat]!.pinged = true
          since.ping[seat] = now
        }
      else if (row[0] === '>hold') seats[row[1] as number]!.chosen = true
      else if (row[0] === '>post') since.post[row[1] as number] = now
      continue
    }
    now = event.at
    if ('seat' in event) hear(seats[event.seat]!, event, now - since.ping[event.seat]!, now - since.post[event.seat]!)
  }
  if (terms !== null) endSeats(seats, trace, terms)
  return seats
}

const NOTHING: SeatMeasures = {
  ...{ pinged: false, bid: null, lateBid: false, pingFailed: false, chosen: false },
  ...{ pingMs: null, postMs: null, outcome: null },
}

type SeatEvent = Extract<NonNullable<ReturnType<typeof eventOf>>, { readonly seat: number }>

function hear(seat: SeatMeasures, event: SeatEvent, pingMs: number, postMs: number): void {
  switch (event.on) {
    case 'bid':
      seat.bid = event.price
      seat.pingMs = pingMs
      break
    case 'noBid': {
      const why = reasonName(event.reason)
      if (NEVER_LEFT.has(why)) seat.pinged = false
      else if (why === 'ping_error') seat.pingFailed = true
      else if (why !== 'ping_timeout') seat.pingMs = pingMs
      break
    }
    case 'late':
      // Without a price it may be a refusal, or no answer at all.
      if (event.price === null) break
      seat.lateBid = true
      seat.pingMs = pingMs
      break
    case 'accepted':
    case 'rejected':
      seat.postMs = postMs
      break
    default:
  }
}

/** A trace of a machine that this one is not tells nothing. */
function endSeats(seats: readonly SeatMeasures[], trace: Trace, terms: AuctionTerms): void {
  try {
    const { state } = replay(terms, trace)
    for (const { seat, outcome } of state.seats) seats[seat]!.outcome = outcome
  } catch {
    for (const seat of seats) seat.outcome = null
  }
}
