/** Why each seat of a decided lead ended as it did, in words, and for each loser what would have won. */
import { DateTime } from 'luxon'
import type { AuctionTerms, Outcome, SeatTerms } from './auction.ts'
import { effectiveFloor } from './money.ts'
import { type ReasonName, reasonName } from './reason.ts'
import { opensAt } from './schedule.ts'
import { checkedOf, eventOf, type Trace } from './trace.ts'
import { formatMoney, type Micros, micros, type WallMs, wallMs } from './units.ts'
import type { Campaign, CapRule, Contract, Source } from './version.ts'

/** A decided lead, with the version that decided it. */
export interface Decided {
  readonly terms: AuctionTerms
  readonly campaign: Campaign
  readonly source: Source
  /** The version's whole configuration, as plain data: where filters stand in the operator's own words. */
  readonly config: unknown
  readonly trace: Trace
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** When the lead opened. */
  readonly at: WallMs
}

export interface SeatWhy {
  readonly contract: string
  readonly buyer: string
  readonly tier: string
  readonly outcome: Outcome['kind']
  readonly reason: string
  /** What it bid in time; null where it did not. */
  readonly bid: Micros | null
  /** What happened, in words. */
  readonly why: string
  /** What would have won, as far as that is known: `22.01 or more`, `open at 08:00`; null for whoever bought. */
  readonly toWin: string | null
}

/** In seat order. */
export function explain(decided: Decided): readonly SeatWhy[] {
  const bids = bidsOf(decided.trace)
  return decided.terms.seats.map((seat, at) => {
    const { kind, reason } = decided.outcomes.get(seat.contract)!
    const name = reasonName(reason)
    const words = WORDS[name]
    const asked: Asked = {
      ...decided,
      seat,
      contract: decided.campaign.contracts[at]!,
      detail: detailOf(reason, name),
      bid: bids.get(at) ?? null,
    }
    const tier = decided.terms.tiers[seat.tier]!.name
    const shared = { contract: seat.contract, buyer: seat.buyer, tier, outcome: kind, reason, bid: asked.bid }
    return { ...shared, why: words.why(asked), toWin: kind === 'sold' ? null : words.toWin(asked) }
  })
}

function bidsOf({ opening, rows }: Trace): ReadonlyMap<number, Micros> {
  const bids = new Map<number, Micros>()
  for (const [seat, price] of opening.bids ?? []) bids.set(opening.eligible[seat]!, price)
  for (const row of rows) {
    const event = eventOf(row)
    if (event?.on === 'bid') bids.set(opening.eligible[event.seat]!, event.price)
  }
  return bids
}

const detailOf = (reason: string, name: ReasonName): string => reason.slice(name.length + 1)

interface Asked extends Decided {
  readonly seat: SeatTerms
  readonly contract: Contract
  readonly detail: string
  readonly bid: Micros | null
}

interface Words {
  readonly why: (asked: Asked) => string
  readonly toWin: (asked: Asked) => string | null
}

const say = (text: string) => (): string => text
const words = (why: Words['why'] | string, toWin: Words['toWin'] | string): Words => ({
  why: typeof why === 'string' ? say(why) : why,
  toWin: typeof toWin === 'string' ? say(toWin) : toWin,
})

const money = (amount: number): string => formatMoney(micros(amount))
const bidWords = ({ bid, seat }: Asked): string => `it offered ${money(bid ?? seat.price ?? 0)}`

/** The least that anybody paid who bought. */
function leastSold({ outcomes }: Decided): number {
  const prices = [...outcomes.values()].flatMap(({ kind, price }) =>
    kind === 'sold' || kind === 'in_doubt' ? [price ?? 0] : [],
  )
  return prices.length === 0 ? 0 : Math.min(...prices)
}

/** The next whole minor unit above an amount. */
const above = (amount: number, { terms }: Decided): number => {
  const unit = 10 ** (6 - terms.minorDigits)
  return (Math.floor(amount / unit) + 1) * unit
}
const floorOf = ({ terms, seat }: Asked): number => effectiveFloor(terms, seat.floor)
const moreThanSold = (asked: Asked): string => `${money(above(leastSold(asked), asked))} or more`
const atLeast = (asked: Asked): string => {
  const beaten = leastSold(asked)
  return beaten > 0 ? moreThanSold(asked) : `${money(floorOf(asked))} or more`
}

function filterWords(
  { detail, config, contract, campaign }: Asked,
  whose: 'contract' | 'campaign' | 'source',
  source: Source,
): string {
  const places: readonly (readonly string[])[] =
    whose === 'contract'
      ? [
          ['buyers', contract.buyer.id],
          ['contracts', contract.id],
        ]
      : whose === 'campaign'
        ? [['campaigns', campaign.id]]
        : [['sources', source.id]]
  const found = places.flatMap((place) => conditionsOn([...place, 'filter'].reduce(member, config), detail))
  return found.length === 0 ? `another ${detail}` : found.join(', and ')
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined

/** Every condition on a field, or on a part of it, in a filter as its operator wrote it. */
function conditionsOn(filter: unknown, field: string): string[] {
  if (Array.isArray(filter)) return filter.flatMap((one) => conditionsOn(one, field))
  if (typeof filter !== 'object' || filter === null) return []
  return Object.entries(filter).flatMap(([key, value]) =>
    key === field || key.startsWith(`${field}.`) ? [`${key} ${conditionWords(value)}`] : conditionsOn(value, field),
  )
}

const MOST_LISTED = 8

function conditionWords(value: unknown): string {
  if (Array.isArray(value)) {
    const more = value.length > MOST_LISTED ? ` and ${value.length - MOST_LISTED} more` : ''
    return `one of ${value.slice(0, MOST_LISTED).join(', ')}${more}`
  }
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([operator, inner]) => `${operator} ${conditionWords(inner)}`)
    .join(', ')
}

/** The first opening within two weeks, by the contract's own clock. */
function openingWords({ contract: { schedules }, at }: Asked): string {
  const opens = opensAt(schedules, at, wallMs(at + 14 * 86_400_000))
  if (opens === null) return 'an opening: it has none within two weeks'
  const { zone } = schedules[0]!
  const [opening, now] = [opens, at].map((moment) => DateTime.fromMillis(moment, { zone }).setLocale('en-US'))
  const day = opening!.hasSame(now!, 'day') ? '' : ` on ${opening!.toFormat('ccc d LLL')}`
  return `open at ${opening!.toFormat('HH:mm')}${day} (${zone})`
}

function capWords({ detail, contract, campaign, source }: Asked): string {
  const rules: readonly CapRule[] = [...source.caps, ...campaign.caps, ...contract.buyer.caps, ...contract.caps]
  const limits = rules
    .filter(({ window }) => window === detail)
    .map(({ scope, kind, limit }) => `${scope} ${kind === 'spend' ? `spend ${money(limit)}` : limit}`)
  return `a place in a cap of the ${detail}${limits.length > 0 ? ` (${limits.join(', ')})` : ''}`
}

/** What the check found out, or why it could not: then it fails closed. */
function checkWords({ detail, trace }: Asked): string {
  const said = checkedOf(trace)?.said.find(({ check }) => check === detail)
  if (said === undefined) return `the check ${detail} turned the lead away`
  if (said.outputs === null) return `the check ${detail} failed (${said.failed}), and then it lets nobody pass`
  const found = Object.entries(said.outputs).map(([name, value]) => `${name} ${value}`)
  return `the check ${detail} turned the lead away: ${found.join(', ')}`
}

const AN_ANSWER = 'an acceptance of the post'
const NOTHING_KNOWN = 'nobody knows: its engine died'

/** One for each reason: whoever adds a reason says here what it means. */
const WORDS: Readonly<Record<ReasonName, Words>> = {
  won: words(
    (asked) => `${bidWords(asked)} and took the lead`,
    () => null,
  ),
  below_floor: words(bidWords, (asked) => `${money(floorOf(asked))} or more: the floor`),
  lower_bid: words(bidWords, moreThanSold),
  tie_priority: words(
    (asked) => `${bidWords(asked)}, as did one of better priority`,
    (asked) => `${moreThanSold(asked)}, or a better priority than ${asked.seat.priority}`,
  ),
  tie_dice: words((asked) => `${bidWords(asked)}, as did one with the higher die`, moreThanSold),
  tie_order: words((asked) => `${bidWords(asked)}, as did one that is listed before it`, moreThanSold),
  ping_timeout: words(
    'it did not answer its ping in time',
    ({ terms, seat }) => `an answer within ${terms.tiers[seat.tier]!.pingMs} ms`,
  ),
  no_bid: words(
    ({ detail }) => `its buyer declined the ping${detail ? `: ${detail}` : ''}`,
    (asked) => `a bid of ${atLeast(asked)}`,
  ),
  ping_error: words(({ detail }) => `its ping failed: ${detail}`, 'a ping that can be sent and read'),
  cap: words(({ detail }) => `its cap of the ${detail} was full`, capWords),
  filter: words(
    ({ detail }) => `its filter fell on ${detail}`,
    (asked) => filterWords(asked, 'contract', asked.source),
  ),
  campaign_filter: words(
    ({ detail }) => `the campaign's filter fell on ${detail}`,
    (asked) => filterWords(asked, 'campaign', asked.source),
  ),
  source_filter: words(
    ({ detail }) => `the source's filter fell on ${detail}`,
    (asked) => filterWords(asked, 'source', asked.source),
  ),
  not_reached: words(
    'the lead was decided before its turn',
    'a turn before whoever bought: an earlier tier, or a better priority',
  ),
  group_sold: words('a buyer of its group has a copy', 'no other buyer of its group'),
  no_time: words(
    'its post no longer fitted into the time of the lead',
    ({ seat }) => `${seat.postMs} ms left for its post`,
  ),
  cold: words('what it has bought was being counted anew', 'a hot store that is warm'),
  hold_expired: words('its place lapsed before the post could leave', 'a post in time'),
  inactive: words('it is not active', 'status: active'),
  source_not_allowed: words(
    ({ source }) => `it does not buy from source ${source.id}`,
    ({ source }) => `${source.id} among its sources`,
  ),
  duplicate: words('its buyer says that it has this lead', 'a lead that its buyer does not have'),
  rejected: words(({ detail }) => `its buyer refused the post${detail ? `: ${detail}` : ''}`, AN_ANSWER),
  http: words(({ detail }) => `its server answered with ${detail}`, AN_ANSWER),
  dns: words('its host has no address', 'a host that is found'),
  connect: words('its server took no connection', 'a server that can be reached'),
  tls: words('its certificate was refused', 'a valid certificate'),
  guard: words('its address is a forbidden one', 'a public address, or one in network.allowed_cidrs'),
  post_by: words('the moment after which the post must not leave had passed', 'a post in time'),
  timeout: words('its buyer did not answer the post in time: it is in doubt', AN_ANSWER),
  reset: words('the connection broke after a byte had left: it is in doubt', AN_ANSWER),
  truncated: words('its reply ended early: it is in doubt', AN_ANSWER),
  engine_lost: words('its engine died', NOTHING_KNOWN),
  fenced: words('another engine owned the lead by then', NOTHING_KNOWN),
  unresolved: words('the doubt was not resolved in time: no sale', AN_ANSWER),
  doubts: words('as many of its posts are in doubt as may be', 'a doubt that is resolved'),
  queue_full: words('too many pings or posts to its buyer were under way', 'a buyer that answers sooner'),
  closed: words('it was closed', openingWords),
  no_consent: words(
    'the consumer did not name its seller',
    ({ contract }) => `${contract.buyer.legalEntity} among the sellers that the consumer named`,
  ),
  over_max_bid: words(
    (asked) => `${bidWords(asked)}, more than its contract declares as its most`,
    'a bid within what its contract declares',
  ),
  under_min_bid: words(
    (asked) => `${bidWords(asked)}, less than its contract's least bid`,
    "a bid of its contract's least or more",
  ),
  early_close: words('it had not answered when it could no longer win', moreThanSold),
  paused: words('it or its buyer was paused', 'a resumption'),
  throttle: words(({ detail }) => `it was pinged as often as it may be in a ${detail}`, 'a higher ping limit'),
  balance: words("its buyer's balance and credit do not cover the price", 'a deposit, or more credit'),
  queued: words('it is closed, and the lead waits for its opening', openingWords),
  buyer_duplicate: words('its buyer or its group has had this person', 'a person whom its buyer has not had lately'),
  suppressed: words(({ detail }) => `this person is on its list ${detail}`, `a person who is not on the list`),
  breaker: words("its buyer's server was unwell and left alone", 'a server that answers'),
  blocked: words(({ detail }) => `it was blocked for this ${detail}`, 'a block that is lifted'),
  capped: words('its buyer said that it takes no more', 'a buyer that takes more'),
  check: words(checkWords, ({ detail, config }) => {
    const refuse = ['checks', detail, 'refuse'].reduce(member, config)
    return `a lead that ${detail} does not refuse${refuse === undefined ? '' : `: ${conditionWords(refuse)}`}`
  }),
  later_choice: words('another seller stood before it in the consumer’s choice', 'a consumer who names it first'),
  not_chosen: words('the consumer chose other sellers', "the consumer's choice"),
  below_offer: words(
    (asked) => `${bidWords(asked)}, too little for what the source was offered`,
    'a price that covers the offer',
  ),
  bid_expired: words(
    'its bid had ended before a post could leave',
    'a lead that is sold sooner, or a bid that lives longer',
  ),
}
