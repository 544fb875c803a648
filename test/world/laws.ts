/** What must hold of every auction, whatever happened in it: each law by its name, with what breaks it in words. */
import type { AuctionTerms, SeatTerms } from '../../rules/auction.ts'
import { bucketsBehind, keyPrefix } from '../../rules/calendar.ts'
import { effectiveFloor, payoutOf } from '../../rules/money.ts'
import { leadSeats, leadTerms } from '../../rules/prices.ts'
import { checkedOf, replay, type TraceRow } from '../../rules/trace.ts'
import { type Micros, micros, PPM_PER_WHOLE } from '../../rules/units.ts'
import { pingCourse, postCourse } from './buyers.ts'
import type { Played } from './machine.ts'

/** Null, or what is wrong. */
export type Law = (played: Played) => string | null

interface Walk {
  readonly played: Played
  /** With what rules say of the lead; its seats also with the bids that stand from an offer. */
  readonly terms: AuctionTerms
  readonly seat: (seat: number) => SeatTerms
}

const WALKS = new WeakMap<Played, Walk>()

function walkOf(played: Played): Walk {
  const known = WALKS.get(played)
  if (known) return known
  const { eligible, bids = [] } = played.cast.opening
  const checked = checkedOf(played)
  const prices = checked ? checked.prices : played.cast.opening.prices
  const seats = [...leadSeats(played.terms, eligible, prices)]
  for (const [seat, price] of bids)
    seats[seat] = { ...seats[seat]!, price, pinged: false, minBid: micros(0), maxBid: null }
  const walk = { played, terms: leadTerms(played.terms, prices), seat: (seat: number) => seats[seat]! }
  WALKS.set(played, walk)
  return walk
}

const isNamed = (row: TraceRow, ...names: string[]): boolean => names.includes(String(row[0]))
const seatOf = (row: TraceRow): number => Number(row[0]!.toString().startsWith('>') ? row[1] : row[2])

/** Bids by seat, as they counted. */
function bidsOf({ rows }: Played): Map<number, number> {
  return new Map(rows.filter((row) => isNamed(row, '>hold')).map((row) => [seatOf(row), Number(row[3])]))
}

const everySeatEndsOnce: Law = ({ terms, ends, decided }) => {
  if (!decided) return null
  const missing = terms.seats.filter((seat) => !ends.has(seat.contract)).map((seat) => seat.contract)
  if (missing.length > 0) return `no outcome for ${missing}`
  return ends.size === terms.seats.length ? null : `${ends.size} outcomes for ${terms.seats.length} seats`
}

/** Sales and doubts together: a doubt may be a sale. */
const noMoreThanTheCopies: Law = ({ terms, ends }) => {
  const taken = terms.seats.filter((seat) => isTaken(ends.get(seat.contract)?.kind))
  const tiers = new Set(taken.map((seat) => seat.tier))
  if (tiers.size > 1) return `sold in several tiers: ${[...tiers]}`
  const copies = taken[0] ? terms.tiers[taken[0].tier]!.copies : 0
  return taken.length > copies ? `${taken.length} of ${copies} copies are gone` : null
}

const neverTwoOfAGroup: Law = ({ terms, ends, ledger }) => {
  const groups = new Map<string, string>()
  for (const seat of terms.seats) {
    if (!isTaken(ends.get(seat.contract)?.kind)) continue
    const other = groups.get(seat.group)
    if (other) return `${other} and ${seat.contract} are of one group`
    groups.set(seat.group, seat.contract)
  }
  const buyers = ledger.sales.map((sale) => sale.buyer)
  return new Set(buyers).size === buyers.length ? null : `a buyer bought twice: ${buyers}`
}

const isTaken = (kind: string | undefined): boolean => kind === 'sold' || kind === 'in_doubt'

/** What buyers would swear to: a lead posted and not refused is theirs. */
const buyersAgree: Law = ({ wire, ends }) => {
  const posted = new Set(wire.seen.map((post) => post.contract))
  if (posted.size !== wire.seen.length) return `a contract was posted to twice: ${wire.seen.map((one) => one.contract)}`
  for (const [contract, end] of ends)
    if (isTaken(end.kind) && !posted.has(contract)) return `${contract} is ${end.kind} and never saw a post`
  return null
}

/** Whoever read the lead and did not refuse it may own it, whatever the engine thinks of it. */
const nobodyOwnsItInVain: Law = ({ wire, cast }) => {
  const owners = wire.seen
    .map((post) => cast.campaign.contracts.find((contract) => contract.id === post.contract)!)
    .filter((contract) => {
      const { says } = postCourse(contract, cast.story.contracts[contract.id]!.post ?? 'silent').end
      if (says.kind === 'unknown') return says.reason !== 'timeout' || contract.inDoubt !== 'timeout_is_no_sale'
      return says.kind === 'accepted'
    })
  const copies = owners[0] ? cast.campaign.tiers[owners[0].tier]!.copies : 0
  return owners.length > copies ? `${owners.map((one) => one.id)} may all own one of ${copies} copies` : null
}

const noTierOpensAfterASale: Law = (played) => {
  const { seat } = walkOf(played)
  let tier = Number.POSITIVE_INFINITY
  for (const row of played.rows) {
    if (isNamed(row, 'accepted', 'unknown') && isTaken(played.ends.get(seat(seatOf(row)).contract)?.kind))
      tier = seat(seatOf(row)).tier
    const opened = isNamed(row, '>ping') ? Number(row[1]) : isNamed(row, '>hold') ? seat(seatOf(row)).tier : 0
    if (opened > tier) return `tier ${opened} was opened after a sale or doubt in tier ${tier}`
  }
  return null
}

const postsFollowTheirIntents: Law = ({ rows }) => {
  const asked = new Map<number, number>()
  const durable = new Map<number, number>()
  for (const row of rows) {
    if (isNamed(row, '>intent')) asked.set(seatOf(row), Number(row[2]))
    if (isNamed(row, 'intended')) durable.set(seatOf(row), asked.get(seatOf(row))!)
    if (isNamed(row, '>post') && durable.get(seatOf(row)) !== row[2]) return `seat ${row[1]} posted without its intent`
  }
  return null
}

const postsLeaveInTime: Law = (played) => {
  const { seat } = walkOf(played)
  for (const row of played.rows.filter((one) => isNamed(one, '>post'))) {
    const terms = seat(seatOf(row))
    const post = played.wire.seen.find((seen) => seen.contract === terms.contract)
    if (!post) continue
    if (post.at > Number(row[4])) return `${terms.contract} was posted to at ${post.at}, after ${row[4]}`
    const bid = played.rows.find((one) => isNamed(one, 'bid') && seatOf(one) === seatOf(row))
    const standing = played.cast.opening.bids?.find(([seat]) => seat === seatOf(row))
    const endsAt = Number(bid?.[5] ?? standing?.[3] ?? Number.POSITIVE_INFINITY)
    if (post.at > endsAt) return `${terms.contract} was posted to at ${post.at}, though its bid ended at ${endsAt}`
    if (post.at + terms.postMs > played.terms.totalMs)
      return `${terms.contract}'s post could not end in the lead's time`
  }
  return null
}

const soldIsAnsweredOnceDurable: Law = ({ rows, answers }) => {
  if (answers.length > 1) return `answered ${answers.length} times`
  let results: (string | null)[] = []
  let durable: (string | null)[] = []
  for (const row of rows) {
    if (isNamed(row, '>result')) results = [...results, row[1] as string | null]
    if (isNamed(row, 'durable')) durable = [...durable, ...results.splice(0, 1)]
    if (isNamed(row, '>answer') && row[1] !== 'pending' && !durable.includes(row[1] as string))
      return `answered ${row[1]} before it was durable`
    if (isNamed(row, '>commit') && durable.length === 0) return 'committed before anything was durable'
  }
  return null
}

const ledgerAgrees: Law = ({ ledger, ends, decided, cast }) => {
  const states = new Map<string, string>()
  for (const { row, state } of ledger.intents) {
    if (states.get(row.contract) === 'accepted' || states.get(row.contract) === 'in_doubt')
      return `${row.contract} was intended again after it ended`
    states.set(row.contract, state)
  }
  for (const { id } of cast.campaign.contracts) {
    const kind = ends.get(id)?.kind
    const state = states.get(id) ?? 'none'
    const right =
      kind === 'sold'
        ? state === 'accepted'
        : kind === 'in_doubt'
          ? state === 'in_doubt'
          : kind === 'rejected'
            ? state === 'rejected'
            : decided === null || state === 'none' || state === 'not_sent'
    if (!right) return `${id} ended ${kind}, and its intent is ${state}`
  }
  return null
}

/** Counters are what the ledger says: sold before, sold now, and doubts. */
const capsDoNotDrift: Law = ({ counters, ledger, cast }) => {
  if (cast.story.store?.cold?.[1] === null) return null
  const right = new Map<string, number>()
  const { committed, tokens } = ledger.image()
  for (const { places } of [...cast.sold, ...committed, ...tokens.flatMap((token) => token.groups)])
    for (const place of places)
      if (place.forgetAt === 0 || place.forgetAt > cast.opensAt)
        right.set(place.key, (right.get(place.key) ?? 0) + place.amount)
  for (const key of new Set([...right.keys(), ...Object.keys(counters)]))
    if ((right.get(key) ?? 0) !== (counters[key] ?? 0))
      return `${key} is ${counters[key]}, and should be ${right.get(key)}`
  return null
}

const capsHold: Law = ({ counters, cast }) => {
  for (const rule of cast.caps.values()) {
    const prefix = keyPrefix(rule)
    const used = Object.entries(counters).filter(([key]) => key.startsWith(prefix))
    for (const [key, amount] of used) {
      const before = rule.window === 'rolling' ? bucketsBehind(rule.minutes!) : 0
      const bucket = (one: string): number => Number(one.slice(prefix.length))
      const earlier = used.filter(([one]) => bucket(one) < bucket(key) && bucket(one) >= bucket(key) - before)
      const sum = earlier.reduce((total, [, one]) => total + one, amount)
      if (rule.window === 'balance') continue
      if (sum > rule.limit) return `${key} is ${sum} of ${rule.limit}`
    }
  }
  return null
}

const payoutIsOwed: Law = (played) => {
  const { answers, ledger, ends, cast, decided } = played
  const { terms } = walkOf(played)
  const bids = bidsOf(played)
  const bought: Micros[] = []
  let paid = 0
  let owed = 0
  for (const sale of ledger.sales) {
    bought.push(micros(bids.get(sale.seat)!))
    paid += sale.price
    owed += sale.payout
    if (sale.price > bids.get(sale.seat)!) return `${sale.contract} pays more than it bid`
    if (ends.get(sale.contract)?.price !== sale.price) return `${sale.contract}'s outcome has another price`
  }
  const promised = ledger.sales.length > 0 ? (cast.opening.promise?.payout ?? 0) : 0
  const right = Math.max(payoutOf(terms.payout, bought, terms.minorDigits), promised)
  if (owed !== right) return `sales pay out ${owed}, and should ${right}`
  const sold = answers.find((one) => one.status === 'sold')
  if (sold && (sold.payout !== right || sold.copies !== ledger.sales.length)) return 'the answer tells another payout'
  if ((decided === 'sold') !== ledger.sales.length > 0 && decided)
    return `decided ${decided}, sold ${ledger.sales.length}`
  const isTaken = cast.opening.owed !== undefined && checkedOf(played)?.refused === undefined
  const isOwed = 'fixed' in terms.payout && terms.payout.on === 'accepted' && isTaken
  const unsold = answers.find((one) => one.status === 'unsold')
  if (unsold && unsold.payout !== (isOwed ? aloneMakes(terms, 0) : 0)) return 'an unsold lead earns something else'
  const cut = ledger.sales.some((sale) => sale.priceCut)
  return !cut && !isOwed && !cast.campaign.allowLoss && paid < right ? `sold at a loss: ${paid} for ${right}` : null
}

const floorsHold: Law = (played) => {
  const { seat, terms } = walkOf(played)
  for (const [at, bid] of bidsOf(played)) {
    const { contract, floor } = seat(at)
    if (bid < Math.max(terms.floor, floor)) return `${contract} was held under a floor`
    const earned = aloneMakes(terms, bid)
    const isOwed = 'fixed' in terms.payout && terms.payout.on === 'accepted'
    if (!terms.allowLoss && !isOwed && bid - earned < terms.minMargin) return `${contract} leaves no margin`
    if (Math.floor(earned / 10_000) * 10_000 < terms.minPayout) return `${contract} pays the source too little`
  }
  return null
}

function aloneMakes({ payout }: AuctionTerms, bid: number): number {
  if ('fixed' in payout) return payout.fixed
  const share = Math.floor((bid * payout.share) / PPM_PER_WHOLE)
  return Math.max(0, Math.min(share, bid - (payout.marginFloor ?? 0)))
}

/** What is held is what was bid, or the contract's price for this lead; and it lies within the declared limits. */
const buyersPayTheirBids: Law = (played) => {
  const { seat } = walkOf(played)
  const said = new Map<number, number>()
  for (const row of played.rows) {
    if (isNamed(row, 'bid')) said.set(seatOf(row), Number(row[3]))
    if (!isNamed(row, '>hold')) continue
    const { contract, price, minBid, maxBid } = seat(seatOf(row))
    const bid = Number(row[3])
    if (bid !== (price ?? said.get(seatOf(row)))) return `${contract} is to pay ${bid}, which it did not bid`
    if (bid < minBid || bid > (maxBid ?? bid)) return `${contract} bid beyond its limits`
  }
  return null
}

/** Who lost by rank stands behind everybody who won in its tier. */
const theBestBidsWin: Law = (played) => {
  const { cast, terms, ends } = played
  const seats = cast.opening.eligible.map((_, seat) => rankOf(played, seat, bidsHeard(played)))
  const won = seats.filter((seat) => isTaken(ends.get(seat.contract)?.kind))
  for (const seat of seats) {
    const end = ends.get(seat.contract)
    if (end?.kind !== 'lost' || !/^(lower_bid|tie_)/.test(end.reason)) continue
    const beaten = won.find(
      (one) => one.tier === seat.tier && terms.tiers[seat.tier]!.strategy === 'auction' && precedes(seat.key, one.key),
    )
    if (beaten) return `${seat.contract} lost to ${beaten.contract}, which stands behind it`
  }
  return null
}

function bidsHeard(played: Played): Map<number, number> {
  const bids = bidsOf(played)
  for (const [seat, bid] of played.cast.opening.bids ?? []) bids.set(seat, bid)
  for (const row of played.rows) if (isNamed(row, 'bid')) bids.set(seatOf(row), Number(row[3]))
  return bids
}

interface Rank {
  readonly seat: number
  readonly contract: string
  readonly group: string
  readonly tier: number
  readonly key: readonly number[]
}

function rankOf(played: Played, seat: number, bids: ReadonlyMap<number, number>): Rank {
  const { contract, group, tier, priority, price, adjust } = walkOf(played).seat(seat)
  const bid = bids.get(seat) ?? Number(price)
  const times = adjust && 'factor' in adjust ? (bid / PPM_PER_WHOLE) * adjust.factor : bid
  const choice = played.cast.opening.choice?.indexOf(seat) ?? 0
  const worth = Math.max(0, Math.floor(times + 1e-6 + (adjust && 'amount' in adjust ? adjust.amount : 0)))
  return { seat, contract, group, tier, key: [choice, -worth, priority, -(played.cast.opening.dice[seat] ?? 0), seat] }
}

/** Had everybody been waited for, the same seats would have been first. */
const earlyCloseIsHarmless: Law = (played) => {
  const { terms, seat } = walkOf(played)
  const { cast, ends, rows } = played
  const closed = cast.opening.eligible.map((_, at) => at).filter((at) => endsAs(ends, seat(at), 'early_close'))
  for (const tier of new Set(closed.map((at) => seat(at).tier))) {
    const isOf = (at: number) => seat(at).tier === tier
    const closedAt = Number(rows.findLast((row) => isNamed(row, 'bid', 'noBid') && isOf(seatOf(row)))?.[1])
    const ping = rows.find((row) => isNamed(row, '>ping') && row[1] === tier)!
    const askedAt = Number(
      rows.slice(0, rows.indexOf(ping)).findLast((row) => !String(row[0]).startsWith('>'))?.[1] ?? 0,
    )
    const bids = bidsHeard(played)
    const known = cast.opening.eligible
      .map((_, at) => at)
      .filter((at) => {
        const { price, pinged, maxBid, minBid } = seat(at)
        const bid = pinged ? bids.get(at) : Number(price)
        return (
          isOf(at) && bid !== undefined && bid <= (maxBid ?? bid) && bid >= minBid && sells(played, at, bid, closedAt)
        )
      })
    const silent = closed.filter(isOf).filter((at) => {
      const contract = cast.campaign.contracts[cast.opening.eligible[at]!]!
      const { after, says } = pingCourse(contract, cast.story.contracts[contract.id]!.ping!)
      if (says.kind !== 'bid' || askedAt + after >= Number(ping[3])) return false
      bids.set(at, says.price)
      const { maxBid, minBid } = seat(at)
      return says.price <= (maxBid ?? says.price) && says.price >= minBid && sells(played, at, says.price, closedAt)
    })
    const first = (seats: readonly number[]) =>
      firstOf(
        seats.map((at) => rankOf(played, at, bids)),
        terms.tiers[tier]!.copies,
      ).join()
    if (first(known) !== first([...known, ...silent]))
      return `tier ${tier} closed before ${first([...known, ...silent])} had bid`
  }
  return null
}

const endsAs = (ends: Played['ends'], { contract }: SeatTerms, reason: string): boolean =>
  ends.get(contract)?.reason === reason

function sells(played: Played, at: number, bid: number, closedAt: number): boolean {
  const { terms, seat } = walkOf(played)
  return bid >= effectiveFloor(terms, seat(at).floor) && closedAt + seat(at).postMs <= terms.totalMs
}

/** Contracts of the best, of each group one. */
function firstOf(ranks: readonly Rank[], copies: number): string[] {
  const first: Rank[] = []
  for (const rank of ranks.toSorted((a, b) => (precedes(a.key, b.key) ? -1 : 1)))
    if (first.length < copies && !first.some(({ group }) => group === rank.group)) first.push(rank)
  return first.map(({ contract }) => contract)
}

function precedes(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((one, i) => one !== b[i])
  return at >= 0 && a[at]! < b[at]!
}

/** Outside of auctions a seat is asked before all that stand behind it, and not left out, unless it had to wait for its group. */
const theLineIsKept: Law = (played) => {
  // Whoever does not keep the promise to the source waits.
  if (played.cast.opening.promise) return null
  const { seat } = walkOf(played)
  for (const [at, { strategy }] of played.terms.tiers.entries()) {
    if (strategy === 'auction') continue
    const line = lineOf(played, at)
    const asked = new Set<number>()
    for (const row of played.rows) {
      const starts = isNamed(row, '>hold') ? [seatOf(row)] : isNamed(row, '>ping') ? (row[2] as readonly number[]) : []
      for (const one of starts.filter((two) => seat(two).tier === at && !asked.has(two))) {
        const behind = [...asked].filter((two) => line.indexOf(two) > line.indexOf(one))
        const waited = [...asked].some((two) => seat(two).group === seat(one).group)
        if (behind.length > 0 && !waited) return `${seat(one).contract} was asked after ${seat(behind[0]!).contract}`
        asked.add(one)
      }
    }
    const last = Math.max(...[...asked].map((one) => line.indexOf(one)))
    const left = line.slice(0, last).find((one) => !asked.has(one) && isLeftOut(played, seat(one), asked))
    if (left !== undefined) return `${seat(left).contract} was left out`
  }
  return null
}

function isLeftOut(played: Played, { contract, group }: SeatTerms, asked: ReadonlySet<number>): boolean {
  const waited = [...asked].some((one) => walkOf(played).seat(one).group === group)
  return !waited && played.ends.get(contract)?.reason === 'not_reached'
}

/** A draw with a ticket for each unit of weight, torn up one by one. */
function lineOf({ cast, terms, rows }: Played, tier: number): number[] {
  const { eligible, dice } = cast.opening
  const contract = (seat: number) => terms.seats[eligible[seat]!]!
  const fell = new Set(checkedOf({ rows })?.fell?.map(([seat]) => seat))
  const members = eligible.map((_, seat) => seat).filter((seat) => contract(seat).tier === tier && !fell.has(seat))
  if (terms.tiers[tier]!.strategy === 'waterfall')
    return members.sort((a, b) => contract(a).priority - contract(b).priority || dice[b]! - dice[a]! || a - b)
  let tickets = members.flatMap((seat) => new Array<number>(contract(seat).weight).fill(seat))
  const drawn = members.map((seat) => {
    const winner = tickets[Math.floor((dice[seat]! / 65_536) * tickets.length)]!
    tickets = tickets.filter((ticket) => ticket !== winner)
    return winner
  })
  const told = rows.find((row) => isNamed(row, 'turn') && row[2] === tier)
  const turns = (told?.[3] ?? []) as readonly number[]
  return [...turns, ...drawn.filter((seat) => !turns.includes(seat))]
}

/** An auction that asks holds nothing; one for an offer pings nobody who has bid for it. */
const asksAndOffersAreKept: Law = ({ cast, rows, wire }) => {
  const { asks, bids = [] } = cast.opening
  if (asks && (wire.seen.length > 0 || rows.some((row) => isNamed(row, '>hold', '>result')))) return 'it only asks'
  if (asks && !rows.some((row) => isNamed(row, '>offer'))) return 'nothing was offered'
  const pinged = new Set(rows.flatMap((row) => (isNamed(row, '>ping') ? (row[2] as readonly number[]) : [])))
  const again = bids.filter(([seat]) => pinged.has(seat))
  return again.length > 0 ? `seats ${again.map(([seat]) => seat)} were pinged again` : null
}

const lateBidsNeverCount: Law = (played) => {
  const deadlines = new Map<number, number>()
  for (const row of played.rows) {
    if (isNamed(row, '>ping')) for (const seat of row[2] as readonly number[]) deadlines.set(seat, Number(row[3]))
    if (isNamed(row, 'bid') && Number(row[1]) >= deadlines.get(seatOf(row))!) return `seat ${row[2]} bid too late`
  }
  return null
}

/** Byte for byte, as it would come back from the ledger. */
const traceReplays: Law = ({ terms, cast, rows }) => {
  const stored = JSON.stringify(rows)
  const again = replay(terms, { opening: cast.opening, rows: JSON.parse(stored) as TraceRow[] })
  return JSON.stringify(again.rows) === stored ? null : 'the replay gives another trace'
}

export const LAWS = {
  everySeatEndsOnce,
  noMoreThanTheCopies,
  neverTwoOfAGroup,
  buyersAgree,
  nobodyOwnsItInVain,
  noTierOpensAfterASale,
  postsFollowTheirIntents,
  postsLeaveInTime,
  soldIsAnsweredOnceDurable,
  ledgerAgrees,
  capsDoNotDrift,
  capsHold,
  payoutIsOwed,
  floorsHold,
  buyersPayTheirBids,
  theBestBidsWin,
  earlyCloseIsHarmless,
  theLineIsKept,
  asksAndOffersAreKept,
  lateBidsNeverCount,
  traceReplays,
} as const satisfies Readonly<Record<string, Law>>

export type LawName = keyof typeof LAWS

/** Every law that a play breaks, with what is wrong. */
export function brokenLaws(played: Played): { readonly law: LawName; readonly wrong: string }[] {
  return (Object.entries(LAWS) as [LawName, Law][]).flatMap(([law, check]) => {
    const wrong = check(played)
    return wrong === null ? [] : [{ law, wrong }]
  })
}
