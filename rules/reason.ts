/** Why a seat ended as it did: the numbered, append-only, public list. */

/**
 * A reason's number is its place here, for ever: append, never reorder, never remove.
 * A reason may carry one detail after it: the field a filter fell on (`filter_state`), the window that was
 * full (`cap_day`), the buyer's own word (`no_bid:not_interested`), an HTTP status (`http_503`).
 */
export const REASONS = [
  'won', //               0  sold: this seat bought the lead
  'below_floor', //       1  its effective bid is under the floor
  'lower_bid', //         2  somebody bid more
  'tie_priority', //      3  an equal bid with a better priority won
  'tie_dice', //          4  an equal bid of equal priority won by the dice
  'ping_timeout', //      5  no answer before the tier's deadline
  'no_bid', //            6  the buyer declined the ping (detail: its reason)
  'ping_error', //        7  the ping could not be sent or its answer not be read (detail: what)
  'cap', //               8  a cap had no place left (detail: the window)
  'filter', //            9  the contract's filter fell (detail: the field)
  'not_reached', //      10  the lead was decided before this seat's turn
  'group_sold', //       11  a buyer of the same group has a copy
  'no_time', //          12  its full post would not fit before the lead's deadline
  'cold', //             13  the hot store was being rebuilt; nothing capped is sold
  'hold_expired', //     14  its hold lapsed before the post could leave
  'inactive', //         15  paused, archived, or in test
  'source_not_allowed', // 16  the contract does not buy from this source
  'duplicate', //        17  the buyer says that it has this lead
  'rejected', //         18  the buyer refused the post (detail: its reason)
  'http', //             19  the buyer's server answered with this status (detail: the status)
  'dns', //              20  the buyer's host has no address
  'connect', //          21  no connection to the buyer
  'tls', //              22  the buyer's certificate was refused
  'guard', //            23  the buyer's address is a forbidden one
  'post_by', //          24  the moment after which the post must not leave had passed
  'timeout', //          25  the post was sent and not answered in time
  'reset', //            26  the connection broke after a byte had left
  'truncated', //        27  the reply ended early or was over its limit
  'engine_lost', //      28  the engine that worked on it died; nobody knows
  'fenced', //           29  another engine owns the lead now
  'unresolved', //       30  an in-doubt post was not resolved in time: no sale
  'doubts', //           31  the contract has three posts in doubt
  'queue_full', //       32  too many pings or posts to this buyer were under way
  'tie_order', //        33  equal in everything; the contract listed first won
  'closed', //           34  outside the contract's schedule
  'no_consent', //       35  the consumer did not name this seller
  'campaign_filter', //  36  the campaign's filter turned the lead away (detail: the field)
  'source_filter', //    37  the source's filter turned the lead away (detail: the field)
  'over_max_bid', //     38  it bid more than its contract declares as its most
  'under_min_bid', //    39  it bid less than its contract's least bid
  'early_close', //      40  the tier closed before it answered: it could not have won any more
  'paused', //           41  the contract or its buyer is paused for a while
  'throttle', //         42  it is pinged as often as it may be (detail: second, minute or day)
  'balance', //          43  the buyer's balance and credit do not cover the price
  'queued', //           44  it is closed, and the lead waits for its opening
  'buyer_duplicate', //  45  the buyer or its group has had this person
  'suppressed', //       46  a suppression list names this person (detail: the list)
  'breaker', //          47  the buyer's server is unwell and is left alone for a while
  'blocked', //          48  an operator or the buyer has blocked this source or sub-id (detail: which)
  'capped', //           49  the buyer says that it takes no more
  'check', //            50  a check of the lead turned it away (detail: the check)
  'not_chosen', //       51  the consumer chose other sellers
  'below_offer', //      52  it pays too little for what the source was offered for its ping
  'bid_expired', //      53  its bid had ended before a post could leave
  'later_choice', //     54  another seller stood before it in the consumer's choice
] as const

export type ReasonName = (typeof REASONS)[number]
/** A reason with its detail, as shown: `lower_bid`, `filter_state`, `cap_day`, `http_503`, `no_bid:not_interested`. */
export type Reason = string

const JOINED_BY_COLON: ReadonlySet<ReasonName> = new Set(['no_bid', 'rejected', 'ping_error'])

/** Joins a reason with its detail. A buyer's free words stand behind a colon; our own details behind an underscore. */
export function reason(name: ReasonName, detail?: string): Reason {
  if (!detail) return name
  return JOINED_BY_COLON.has(name) ? `${name}:${detail}` : `${name}_${detail}`
}

/** Why a seat has no place: the window that was full, or a balance that does not cover the price. */
export const fullReason = (window: string): Reason => (window === 'balance' ? 'balance' : reason('cap', window))

/** The listed name that a shown reason begins with, for metrics and reports (bounded labels). Throws on an unlisted one: that is a bug. */
export function reasonName(shown: Reason): ReasonName {
  const colon = shown.indexOf(':')
  const head = colon < 0 ? shown : shown.slice(0, colon)
  if (NAMES.has(head)) return head as ReasonName
  for (let cut = head.lastIndexOf('_'); cut > 0; cut = head.lastIndexOf('_', cut - 1)) {
    if (NAMES.has(head.slice(0, cut))) return head.slice(0, cut) as ReasonName
  }
  throw new Error(`reason "${shown}" is not on the list in rules/reason.ts`)
}

const NAMES: ReadonlySet<string> = new Set(REASONS)
