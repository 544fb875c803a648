/** Who comes first: the total order of bids, and the line of a tier that is sold in turns. */
import type { ReasonName } from './reason.ts'

export interface Ranked {
  /** Place in the consumer's ordered choice of sellers; 0 for all where the consumer did not choose. */
  readonly choice: number
  /** What the bid counts for: its effective value. */
  readonly worth: number
  readonly priority: number
  readonly die: number
  /** Place in contract order: the last word, so that no order depends on arrival. */
  readonly order: number
}

/** The consumer's choice first, where there is one; then the better bid. */
export function byBid(a: Ranked, b: Ranked): number {
  return a.choice - b.choice || byWorth(a, b)
}

/** Effective value, then priority (1 is first), then the higher die, then contract order. */
export function byWorth(a: Ranked, b: Ranked): number {
  return b.worth - a.worth || byPriority(a, b)
}

/** A waterfall's order: priority, then the higher die, then contract order. */
export function byPriority(a: Omit<Ranked, 'worth' | 'choice'>, b: Omit<Ranked, 'worth' | 'choice'>): number {
  return a.priority - b.priority || b.die - a.die || a.order - b.order
}

/** Who would have the copies if nobody refused: the best bids, of each group one. */
export function winnersOf<B extends Ranked>(bids: readonly B[], copies: number, groupOf: (bid: B) => string): B[] {
  const winners = new Map<string, B>()
  for (const bid of bids.toSorted(byBid)) {
    if (winners.size === copies) break
    if (!winners.has(groupOf(bid))) winners.set(groupOf(bid), bid)
  }
  return [...winners.values()]
}

/** Why `loser` stands behind `winner` in the order of bids. */
export function whyBehind(loser: Ranked, winner: Ranked): ReasonName {
  if (loser.choice > winner.choice) return 'later_choice'
  if (loser.worth < winner.worth) return 'lower_bid'
  if (loser.priority > winner.priority) return 'tie_priority'
  return loser.die === winner.die ? 'tie_order' : 'tie_dice'
}

/** A die is a whole number from 0 to one under this. */
const DIE_SIDES = 65_536

/**
 * Draws a line by weight: whoever is drawn stands behind those drawn before, and is out of the hat. The k-th draw takes
 * ticket `floor(dice[k] * tickets / 65536)`, where each of those left has as many tickets as its weight, in list order.
 * Whole numbers only, so that a replay draws alike; a share is exact to 1 in 65,536. Answers places of the list.
 */
export function drawByWeight(weights: readonly number[], dice: readonly number[]): number[] {
  const hat = new Hat(weights)
  return weights.map((_, at) => hat.take(Math.floor(((dice[at] ?? 0) * hat.tickets) / DIE_SIDES)))
}

/** Weights as a tree of partial sums (Fenwick's), so that drawing all of ten thousand costs a millisecond. */
class Hat {
  tickets = 0
  readonly #left: number[]
  readonly #sums: Float64Array
  readonly #top: number

  constructor(weights: readonly number[]) {
    this.#left = [...weights]
    this.#sums = new Float64Array(weights.length + 1)
    this.#top = 2 ** Math.floor(Math.log2(weights.length))
    weights.forEach((weight, at) => {
      this.#add(at, weight)
    })
  }

  /** Takes out whoever has that ticket. */
  take(ticket: number): number {
    let at = 0
    let rest = ticket
    for (let span = this.#top; span >= 1; span /= 2) {
      const sum = this.#sums[at + span]
      if (sum === undefined || sum > rest) continue
      at += span
      rest -= sum
    }
    this.#add(at, -this.#left[at]!)
    this.#left[at] = 0
    return at
  }

  #add(at: number, weight: number): void {
    this.tickets += weight
    for (let i = at + 1; i < this.#sums.length; i += i & -i) this.#sums[i]! += weight
  }
}
