/** What reports show of their sums: one entry for each column, in the order in which they stand. */
import { percentile } from '../../rules/latency.ts'
import { formatMoney, micros } from '../../rules/units.ts'
import type { LeadSum, SeatSum } from './sums.ts'

/** Money is a decimal string, a rate a number from 0 to 1, a time a number of milliseconds; null: it cannot be told. */
export type Cell = string | number | null

export interface Summed {
  /** A sum that was not asked for is 0. */
  readonly sums: Readonly<Record<LeadSum | SeatSum, number>>
  /** False where the report is by seats: what leads were is not told then. */
  readonly ofLeads: boolean
  /** Answers by their bucket; null where latencies are not kept by what the report is by. */
  readonly ping: readonly number[] | null
  readonly post: readonly number[] | null
}

interface Column {
  readonly about: string
  readonly show: (of: Summed) => Cell
}

const rate = (part: number, of: number): number | null => (of === 0 ? null : Math.round((part / of) * 10_000) / 10_000)
const shownMoney = (amount: number): string => formatMoney(micros(Math.round(amount)))
const average = (sum: number, n: number): string | null => (n === 0 ? null : shownMoney(sum / n))

const ofLeads = (about: string, show: (sums: Summed['sums']) => Cell): Column => ({
  about: `${about} Of leads: null where the report is by tier, buyer or contract.`,
  show: (of) => (of.ofLeads ? show(of.sums) : null),
})
const ofSeats = (about: string, show: (sums: Summed['sums']) => Cell): Column => ({
  about,
  show: ({ sums }) => show(sums),
})
const leads = (sum: LeadSum, about: string): Column => ofLeads(about, (sums) => sums[sum])
const seats = (sum: SeatSum, about: string): Column => ofSeats(about, (sums) => sums[sum])
const money = (sum: SeatSum, about: string): Column => ofSeats(about, (sums) => shownMoney(sums[sum]))
const latency = (of: 'ping' | 'post', share: number, about: string): Column => ({
  about: `${about} Within one part in sixteen; null where the report is by source, state or sub-id.`,
  show: (summed) => summed[of] && percentile(summed[of], share),
})

export const COLUMNS: Readonly<Record<string, Column>> = {
  received: ofLeads('Leads that came, invalid ones too.', ({ valid, invalid }) => valid + invalid),
  valid: leads('valid', 'Leads that were taken.'),
  invalid: leads('invalid', 'Leads that were refused for what they said.'),
  duplicates: leads('duplicates', 'Leads that were duplicates.'),
  offers: leads('offers', 'Pings of sources.'),
  offered: leads('offered', 'Pings of sources that got an offer.'),
  sold: {
    about: 'Leads that were sold; by tier, buyer or contract: copies.',
    show: ({ ofLeads, sums }) => (ofLeads ? sums.sold : sums.copies),
  },
  unsold: leads('unsold', 'Leads that nobody bought.'),
  pending: leads('pending', 'Leads whose outcome is in doubt.'),
  expired: leads('expired', 'Leads that were not offered to anybody in time.'),
  copies: seats('copies', 'Sales: a shared lead has several.'),
  fill_rate: ofLeads('Sold of valid.', ({ sold, valid }) => rate(sold, valid)),
  pinged: seats('pinged', 'Pings that were sent to buyers.'),
  bids: seats('bids', 'Bids that came in time.'),
  bid_rate: ofSeats('Bids of pings.', ({ bids, pinged }) => rate(bids, pinged)),
  average_bid: ofSeats('Of all bids.', (sums) => average(sums.bid_sum, sums.bids)),
  ping_timeouts: seats('ping_timeouts', 'Pings without an answer at their deadline.'),
  ping_errors: seats('ping_errors', 'Pings that could not be sent, or whose answer could not be read.'),
  late_bids: seats('late_bids', 'Bids that came after their deadline.'),
  wins: seats('wins', 'Seats that were chosen to be sold to.'),
  posts: seats('posts', 'Posts that left.'),
  not_sent: seats('not_sent', 'Posts that could not leave.'),
  rejects: seats('rejects', 'Posts that the buyer refused, or that ended as no sale.'),
  reject_rate: ofSeats('Refused of posts: what was bid and then not bought.', ({ rejects, posts }) =>
    rate(rejects, posts),
  ),
  in_doubt: seats('in_doubt', 'Posts that are in doubt now.'),
  doubts: seats('doubts', 'Posts that ever were in doubt.'),
  price_cuts: seats('price_cuts', 'Sales at less than was bid.'),
  price_cut: money('price_cut', 'By how much in all.'),
  returns: seats('returns', 'Copies that were returned.'),
  returned: money('returned', 'What buyers got back for them.'),
  revenue: money('revenue', 'What buyers pay, less what they got back.'),
  payout: money('payout', 'What sources earn.'),
  check_cost: ofLeads('What checks of leads cost.', (sums) => shownMoney(sums.check_cost)),
  margin: ofSeats(
    'Revenue less payout, and less what checks cost where the report is not by tier, buyer or contract.',
    (sums) => shownMoney(sums.revenue - sums.payout - sums.check_cost),
  ),
  epl: ofLeads('Revenue for each valid lead.', ({ revenue, valid }) => average(revenue, valid)),
  disposed: seats('disposed', 'Copies of which buyers said what became of them.'),
  contacted: seats('contacted', 'Copies whose person the buyer spoke with.'),
  contact_rate: ofSeats('Contacted of copies.', ({ contacted, copies }) => rate(contacted, copies)),
  converted: seats('converted', 'Copies that became business of their buyers.'),
  conversion_rate: ofSeats('Converted of copies.', ({ converted, copies }) => rate(converted, copies)),
  disposed_revenue: money('disposed_revenue', 'What these were worth to their buyers.'),
  ping_p50: latency('ping', 0.5, 'Milliseconds in which half of the pings that were answered were.'),
  ping_p90: latency('ping', 0.9, 'Milliseconds in which nine of ten were.'),
  ping_p99: latency('ping', 0.99, 'Milliseconds in which 99 of 100 were.'),
  post_p50: latency('post', 0.5, 'Milliseconds in which half of the posts that were answered were.'),
  post_p90: latency('post', 0.9, 'Milliseconds in which nine of ten were.'),
  post_p99: latency('post', 0.99, 'Milliseconds in which 99 of 100 were.'),
}
