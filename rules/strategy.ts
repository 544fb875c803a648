/** Who comes first: the total order of bids, and of a waterfall's seats. */
import type { ReasonName } from './reason.ts'

export interface Ranked {
  readonly value: number
  readonly priority: number
  readonly die: number
  /** Place in contract order: the last word, so that no order depends on arrival. */
  readonly order: number
}

/** The better bid first: value, then priority (1 is first), then the higher die, then contract order. */
export function byBid(a: Ranked, b: Ranked): number {
  return b.value - a.value || byTurn(a, b)
}

/** A waterfall's order: priority, then the higher die, then contract order. */
export function byTurn(a: Ranked, b: Ranked): number {
  return a.priority - b.priority || b.die - a.die || a.order - b.order
}

/** Why `loser` stands behind `winner` in the order of bids. */
export function whyBehind(loser: Ranked, winner: Ranked): ReasonName {
  if (loser.value < winner.value) return 'lower_bid'
  if (loser.priority > winner.priority) return 'tie_priority'
  return loser.die === winner.die ? 'tie_order' : 'tie_dice'
}
