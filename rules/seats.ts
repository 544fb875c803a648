/** The seats that fell out of an auction, short enough for a trace to carry those of 10,000 contracts. */
import type { Opening } from './auction.ts'
import { readBitmaps, writeBitmaps } from './compact.ts'
import { type Bits, count, rowsOf } from './eligibility/bits.ts'
import type { Reason } from './reason.ts'

type Excluded = Pick<Opening, 'excluded' | 'crowd'>

/** A reason with so many seats is listed, for people to read. */
const LISTED = 32

/** Sorts the seats of a campaign that has so many; every seat has one reason at most. */
export function sortOut(byReason: Iterable<readonly [Reason, Bits]>, seats: number): Excluded {
  const excluded: Record<Reason, readonly number[]> = {}
  const reasons: Reason[] = []
  const crowds: Bits[] = []
  for (const [reason, bits] of byReason) {
    const some = count(bits, LISTED + 1)
    if (some > LISTED) crowds[reasons.push(reason) - 1] = bits
    else if (some > 0) excluded[reason] = rowsOf(bits)
  }
  return reasons.length === 0 ? { excluded } : { excluded, crowd: { reasons, seats: crowdText(crowds, seats) } }
}

/** Each seat's reason by its number from 1 on, 0 for none, as bitmaps of the numbers' bits: half a kilobyte for 1,000 seats. */
function crowdText(crowds: readonly Bits[], seats: number): string {
  const bitmaps: Bits[] = []
  for (let bit = 0; 1 << bit <= crowds.length; bit++) bitmaps.push(new Int32Array(crowds[0]!.length))
  crowds.forEach((bits, at) => {
    bitmaps.forEach((bitmap, bit) => {
      if ((((at + 1) >>> bit) & 1) === 0) return
      for (let word = 0; word < bits.length; word++) bitmap[word]! |= bits[word]!
    })
  })
  return writeBitmaps(bitmaps, seats)
}

/** Every excluded seat of a campaign with so many seats, by reason, each list ascending. */
export function excludedSeats({ excluded, crowd }: Excluded, seats: number): ReadonlyMap<Reason, readonly number[]> {
  const byReason = new Map<Reason, readonly number[]>(Object.entries(excluded))
  if (!crowd) return byReason
  const lists = crowd.reasons.map((): number[] => [])
  readBitmaps(crowd.seats, seats).forEach((number, seat) => {
    if (number > 0) lists[number - 1]!.push(seat)
  })
  crowd.reasons.forEach((reason, at) => {
    byReason.set(reason, lists[at]!)
  })
  return byReason
}
