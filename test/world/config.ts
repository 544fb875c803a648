/** A story's configuration, in the shape of the engine's own file, and the campaign and source compiled from it. */
import { type Campaign, compileVersion, type Snapshot, type Source } from '../../rules/version.ts'
import type { Story, StoryCaps, StoryContract } from './story.ts'

export const CAMPAIGN = 'story'
export const SOURCE = 'teller'
const ZONE = 'America/Chicago'
/** A tier that pings nobody: the default of seconds would not fit into a short lead. */
const NOBODY_IS_PINGED_MS = 10

export interface Stage {
  readonly snapshot: Snapshot
  readonly campaign: Campaign
  readonly source: Source
}

/** Throws with every fault where the story's configuration has any. */
export function compileStory(story: Story, version = 1): Stage {
  const names = Object.keys(story.contracts)
  if (names.join() !== names.toSorted().join())
    throw new Error(`contracts stand in another order than their seats: ${names}`)
  const compiled = compileVersion(configOf(story), version)
  if (!compiled.ok) throw new Error(compiled.faults.map(({ path, message }) => `${path} ${message}`).join('\n'))
  const { snapshot } = compiled
  return { snapshot, campaign: snapshot.campaigns.get(CAMPAIGN)!, source: snapshot.sources.get(SOURCE)! }
}

export function configOf(story: Story): object {
  const { terms, caps = {}, buyers: buyersOf = {} } = story
  const buyers = Object.entries(story.contracts).map(([id, contract]) => [
    contract.buyer ?? id,
    given({
      zone: ZONE,
      group: contract.group,
      caps: capsFile(caps[`buyer ${contract.buyer ?? id}`]),
      ...buyersOf[contract.buyer ?? id],
    }),
  ])
  return {
    sources: {
      [SOURCE]: given({
        pseudonym: 'S-1',
        status: 'active',
        campaigns: [CAMPAIGN],
        keys: [],
        floor: terms.sourceFloor,
        floor_rules: terms.sourceFloorRules,
        payout: terms.sourcePayout,
        payout_rules: terms.sourcePayoutRules,
        min_payout: terms.minPayout,
        answer_within_ms: terms.answerWithin,
        caps: capsFile(caps['source']),
      }),
    },
    campaigns: {
      [CAMPAIGN]: given({
        vertical: story.lead.vertical,
        zone: ZONE,
        floor: terms.floor,
        floor_rules: terms.floorRules,
        min_margin: terms.minMargin,
        allow_loss: terms.allowLoss,
        payout: terms.payout,
        payout_rules: terms.payoutRules,
        total_ms: terms.totalMs,
        checks: terms.checks,
        plan: story.plan.map(({ tier, strategy, copies, pingMs, earlyClose }) =>
          given({ tier, strategy, copies, ping_ms: pingMs ?? NOBODY_IS_PINGED_MS, early_close: earlyClose }),
        ),
        caps: capsFile(caps['campaign']),
      }),
    },
    buyers: Object.fromEntries(buyers),
    ...(story.checks && checksFile(story.checks)),
    contracts: Object.fromEntries(
      Object.entries(story.contracts).map(([id, contract]) => [id, contractFile(story, id, contract)]),
    ),
  }
}

function contractFile(story: Story, id: string, contract: StoryContract): object {
  const url = `https://${id}.example`
  return given({
    buyer: contract.buyer ?? id,
    campaign: CAMPAIGN,
    tier: contract.tier,
    status: contract.active === false ? 'paused' : 'active',
    priority: contract.priority,
    weight: contract.weight,
    price: contract.price,
    price_rules: contract.priceRules,
    price_from: contract.priceFrom,
    floor: contract.floor,
    floor_rules: contract.floorRules,
    min_bid: contract.minBid,
    max_bid: contract.maxBid,
    adjust: contract.adjust,
    filter: contract.filter,
    checks: contract.checks,
    schedule: contract.schedule,
    pause: contract.pause,
    when_closed: contract.whenClosed,
    queue_for_ms: contract.queueForMs,
    caps: capsFile(contract.caps, contract.capTerms),
    source_caps: contract.sourceCaps && { [SOURCE]: capsFile(contract.sourceCaps) },
    post_ms: contract.postMs ?? story.terms.postMs,
    server_error: contract.serverError,
    in_doubt: contract.inDoubt,
    delivery: given({ ping_url: contract.ping && `${url}/ping`, post_url: `${url}/post` }),
  })
}

function checksFile(checks: NonNullable<Story['checks']>): object {
  const files = Object.entries(checks).map(([id, { file }]) => [id, file] as const)
  const lists = files.flatMap(([, file]) => ('list' in file ? [[String(file.list), { of: 'phone' }]] : []))
  return { checks: Object.fromEntries(files), ...(lists.length > 0 && { lists: Object.fromEntries(lists) }) }
}

function capsFile(caps: StoryCaps | undefined, terms: object = {}): object | undefined {
  if (!caps) return undefined
  const limits: Record<string, number | string> = {}
  const spend: Record<string, string> = {}
  const rolling = new Map<number, object>()
  for (const [name, [, limit]] of Object.entries(caps)) {
    const [window, isSpend] = [name.replace('spend.', ''), name.startsWith('spend.')]
    const minutes = Number(/^(\d+)m$/.exec(window)?.[1] ?? 0)
    if (window === 'balance') continue
    if (minutes > 0) rolling.set(minutes, { ...rolling.get(minutes), minutes, [isSpend ? 'spend' : 'count']: limit })
    else if (isSpend) spend[window] = String(limit)
    else limits[window] = limit
  }
  return given({
    ...limits,
    ...terms,
    spend: Object.keys(spend).length > 0 ? spend : undefined,
    rolling: rolling.size > 0 ? [...rolling.values()] : undefined,
  })
}

/** Without the keys that were left out: the file's defaults hold for them. */
const given = (group: object): object =>
  Object.fromEntries(Object.entries(group).filter(([, value]) => value !== undefined))
