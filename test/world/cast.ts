/** A story made ready to play: its configuration compiled, its lead read, its seats sorted, its caps filled. */
import type { Opening } from '../../rules/auction.ts'
import { capsOf, keyPrefix, placesOf, windowWord } from '../../rules/calendar.ts'
import type { PlaceGroup } from '../../rules/caps.ts'
import { withChecks } from '../../rules/checks.ts'
import { type EligibilityHints, openingOf } from '../../rules/eligibility.ts'
import { type Lead, parseLead } from '../../rules/lead.ts'
import { payoutOf } from '../../rules/money.ts'
import { type Offer, type OfferUse, openingOfOffer } from '../../rules/offer.ts'
import type { TraceNames } from '../../rules/trace.ts'
import { type TurnCandidate, turnsKey } from '../../rules/turns.ts'
import { formatMoney, micros, parseMoney, type WallMs, wallMs } from '../../rules/units.ts'
import type { Campaign, CapRule, CapScope } from '../../rules/version.ts'
import { compileStory, SOURCE, type Stage } from './config.ts'
import type { Story, StoryCaps, StoryOffer } from './story.ts'

type Sorted = Omit<Opening, 'dice'>

export interface Cast extends Stage {
  readonly story: Story
  readonly lead: Lead
  readonly opensAt: WallMs
  readonly opening: Opening
  /** What was sold before the lead came. */
  readonly sold: readonly PlaceGroup[]
  /** What was paid into balances. */
  readonly paid: readonly { readonly tag: string; readonly key: string; readonly seq: number; readonly total: number }[]
  /** Every cap of the story, with the name that it has there. */
  readonly caps: ReadonlyMap<string, CapRule>
  readonly names: TraceNames
}

/** What every consumer of these stories has; a story names only what matters to it. */
const CONSUMER = { first_name: 'Ann', last_name: 'Lee', phone: '512-555-0142', email: 'ann@example.com' }
const hintsOf = ({ store }: Story): EligibilityHints => ({
  exhausted: () => null,
  doubts: () => false,
  unwell: () => false,
  throttled: ({ id }) => store?.throttled?.[id] ?? null,
})

export function castStory(story: Story): Cast {
  const stage = compileStory(story)
  const { campaign, source } = stage
  const opensAt = wallMs(Date.parse(story.clock))
  const lead = readLead(story, stage, opensAt)
  const sorted = openingIn(story, stage, openingOf(campaign, lead, source, opensAt, hintsOf(story)), opensAt)
  const { eligible } = sorted
  const opening = { ...sorted, dice: eligible.map((_, seat) => story.dice[seat] ?? 0) }
  const caps = capsByName(stage)
  return {
    ...stage,
    story,
    lead,
    opensAt,
    opening,
    sold: soldBefore(story, caps, opensAt),
    paid: paidBefore(story, caps),
    caps,
    names: {
      seat: (seat) => campaign.contracts[eligible[seat]!]!.id,
      tier: (tier) => campaign.tiers[tier]!.name,
    },
  }
}

function openingIn({ asks, offer }: Story, { campaign, source }: Stage, opening: Sorted, opensAt: WallMs): Sorted {
  const use = offer && offerUse(offer, campaign, opensAt)
  if (use) return withChecks(openingOfOffer(opening, campaign, use, opensAt), campaign, source)
  return asks ? { ...opening, asks } : withChecks(opening, campaign, source)
}

function offerUse(told: StoryOffer, campaign: Campaign, opensAt: WallMs): OfferUse {
  const bids = Object.entries(told.bids).map(([contract, [price, reference = null, lives]]) => ({
    id: contract,
    contract,
    price: parseMoney(price)!,
    buyerReference: reference,
    expiresAt: wallMs(opensAt + Math.min(lives ?? 60_000, 60_000)),
    ...(lives !== undefined && { endsAt: wallMs(opensAt + lives) }),
    payout: payoutOf(campaign.payout, [parseMoney(price)!], campaign.minorDigits),
  }))
  const offer: Offer = {
    id: '01940000-0000-7000-8000-0000000000ff',
    campaign: campaign.id,
    source: SOURCE,
    version: 1,
    test: false,
    at: opensAt,
    expiresAt: wallMs(opensAt + 60_000),
    payout: parseMoney(told.payout)!,
    currency: campaign.currency,
    shortfall: told.shortfall ?? 'eat_to_zero_margin',
    choice: told.chosen !== undefined,
    bids,
    declined: Object.entries(told.declined ?? {}),
    fields: [],
    fieldsHash: '',
    afterLead: null,
  }
  return { offer, unchanged: !told.changed, chosen: told.chosen ?? null }
}

function readLead(story: Story, { campaign }: Stage, at: WallMs): Lead {
  const { vertical: _, ...fields } = story.lead
  const read = parseLead(campaign.vertical, { ...CONSUMER, ...fields }, at)
  if (!read.ok) throw new Error(`the story's lead is invalid: ${JSON.stringify(read.issues)}`)
  return read.lead
}

function capsByName(stage: Stage): ReadonlyMap<string, CapRule> {
  const caps = new Map<string, CapRule>()
  for (const contract of stage.campaign.contracts)
    for (const rule of capsOf(stage.source, stage.campaign, contract)) {
      const { scope, owner, kind } = rule
      const whose = scope === 'source' || scope === 'campaign' ? scope : scope === 'buyer' ? `buyer ${owner}` : owner
      caps.set(`${whose}.${kind === 'spend' ? 'spend.' : ''}${windowWord(rule)}`, rule)
    }
  return caps
}

/** What the hot store was asked before the lead came: tier, candidates and copies of each turn. */
export function earlierTurns({ story, campaign }: Cast): (readonly [string, readonly TurnCandidate[], number])[] {
  return campaign.tiers.flatMap(({ name }, at) => {
    const members = campaign.contracts.filter(({ tier }) => tier === at)
    const candidates = members.map(({ id, weight, buyer }) => ({ contract: id, weight, group: buyer.group }))
    if (members.length === 0) return []
    return new Array(story.store?.turns?.[name] ?? 0).fill([turnsKey(campaign, at), candidates, 1])
  })
}

/** What was sold before the lead came: so much right now, or so much so many minutes ago. */
function soldBefore(story: Story, caps: ReadonlyMap<string, CapRule>, at: WallMs): PlaceGroup[] {
  const groups: PlaceGroup[] = []
  for (const [name, rule] of caps) {
    const { owner } = rule
    const contract = story.contracts[owner.slice(owner.indexOf('/') + 1)]
    const books: Record<CapScope, StoryCaps | undefined> = {
      contract: contract?.caps,
      source_contract: contract?.sourceCaps,
      buyer: story.caps?.[`buyer ${owner}`],
      source: story.caps?.['source'],
      campaign: story.caps?.['campaign'],
    }
    const used = books[rule.scope]?.[name.slice(name.indexOf('.') + 1)]?.[0] ?? 0
    const buyer = contract?.buyer ?? owner.slice(owner.indexOf('/') + 1)
    for (const [minutes, amount] of Object.entries(typeof used === 'object' ? used : { 0: used })) {
      const then = wallMs(at - Number(minutes) * 60_000)
      for (const { tag, places } of placesOf([rule], buyer, micros(0), 1, then))
        groups.push({ tag, places: places.map((place) => ({ ...place, amount: amountOf(amount) })) })
    }
  }
  return groups
}

function paidBefore(story: Story, caps: ReadonlyMap<string, CapRule>): Cast['paid'] {
  return [...caps.values()].flatMap((rule) => {
    const paid = story.store?.paid?.[rule.owner]
    if (rule.window !== 'balance' || paid === undefined) return []
    return { tag: `b:${rule.owner}`, key: keyPrefix(rule) + rule.currency, seq: 1, total: parseMoney(paid)! }
  })
}

const amountOf = (used: string | number): number => (typeof used === 'string' ? parseMoney(used)! : used)

/**
 * What is used of every cap, by the story's names: money as text, leads as numbers. A window that opened after the
 * lead did has its own name behind (`acme.day 2026-03-03`) and is told where anything is used of it. Of a rolling window
 * it is what counts when the lead opens, and what came since.
 */
export function usedCaps(cast: Cast, counters: Readonly<Record<string, number>>): Record<string, number | string> {
  const used: Record<string, number | string> = {}
  for (const [name, rule] of cast.caps) {
    const show = (amount: number) => (rule.kind === 'spend' ? formatMoney(micros(amount)) : amount)
    const first = placesOf([rule], 'any', micros(0), 1, cast.opensAt)[0]!.places[0]!
    const prefix = keyPrefix(rule)
    const all = Object.entries(counters).filter(([key]) => key.startsWith(prefix))
    if (first.behind !== undefined) {
      const least = Number(first.key.slice(prefix.length)) - first.behind
      const counted = all.filter(([key]) => Number(key.slice(prefix.length)) >= least)
      used[name] = show(counted.reduce((sum, [, amount]) => sum + amount, 0))
      continue
    }
    used[name] = show(counters[first.key] ?? 0)
    for (const [key, amount] of all)
      if (key !== first.key && amount !== 0) used[`${name} ${key.slice(prefix.length)}`] = show(amount)
  }
  return used
}
