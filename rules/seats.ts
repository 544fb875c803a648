/** Lists of seats, short enough for a trace to carry those of 10,000 contracts. */
import type { Opening, SeatList } from './auction.ts'
import { CompactWriter, readAscending } from './compact.ts'
import { type Bits, count, rowsOf } from './eligibility/bits.ts'
import type { Reason } from './reason.ts'

/** Lists of so many seats are left as they are: people read them. */
const LISTED = 32
/** Stands for every seat that is in no other list. */
const THE_REST = '*'

const writer = new CompactWriter()

/** Seats by reason: short lists as numbers, long ones as text, and the longest of those as the rest. */
export function listSeats(byReason: Iterable<readonly [Reason, Bits]>): Record<Reason, SeatList> {
  const lists: Record<Reason, SeatList> = {}
  let longest: readonly [Reason, Bits] | null = null
  let most = LISTED
  const long: (readonly [Reason, Bits])[] = []
  for (const entry of byReason) {
    const [reason, bits] = entry
    const seats = count(bits)
    if (seats === 0) continue
    if (seats <= LISTED) lists[reason] = rowsOf(bits)
    else long.push(entry)
    if (seats <= most) continue
    most = seats
    longest = entry
  }
  for (const entry of long) lists[entry[0]] = entry === longest ? THE_REST : writer.ofBits(entry[1])
  return lists
}

/** All seats under one reason. */
export function everySeat(seats: number): SeatList {
  return seats > LISTED ? THE_REST : Array.from({ length: seats }, (_, seat) => seat)
}

/** Every excluded seat of a campaign with so many seats, by reason, each list ascending. */
export function excludedSeats(
  { eligible, excluded }: Pick<Opening, 'eligible' | 'excluded'>,
  seats: number,
): ReadonlyMap<Reason, readonly number[]> {
  const byReason = new Map<Reason, readonly number[]>()
  for (const [reason, list] of Object.entries(excluded)) {
    if (list === THE_REST) byReason.set(reason, [])
    else byReason.set(reason, typeof list === 'string' ? readAscending(list) : list)
  }
  for (const [reason, list] of Object.entries(excluded)) {
    if (list !== THE_REST) continue
    const listed = new Set([eligible, ...byReason.values()].flat())
    const rest: number[] = []
    for (let seat = 0; seat < seats; seat++) if (!listed.has(seat)) rest.push(seat)
    byReason.set(reason, rest)
  }
  return byReason
}
