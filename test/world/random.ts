/** Random worlds: stories that nobody wrote, with buyers of every temper and stores that fail now and then. */
import fc from 'fast-check'
import type {
  PingScript,
  PostScript,
  Story,
  StoryCaps,
  StoryContract,
  StoryOffer,
  StoryPayout,
  StoryRule,
  StoryStore,
  WireFault,
} from './story.ts'

/** Few prices, so that ties and floors are met often. */
const price = fc.constantFrom('4.00', '5.00', '7.50', '8.00', '10.00', '10.00', '12.345678', '20.00')
const fault = fc.constantFrom<WireFault>('dns', 'connect', 'tls', 'guard', 'breaker', 'reset', 'truncated')
const soon = fc.integer({ min: 0, max: 300 })

const ping: fc.Arbitrary<PingScript> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ after: soon, bid: price }) },
  { weight: 1, arbitrary: fc.record({ after: soon, bid: price, expires: fc.constantFrom(0, 0.05, 0.2, 0.5, 39) }) },
  { weight: 1, arbitrary: fc.record({ after: soon, noBid: fc.constantFrom('not_interested', 'quota') }) },
  { weight: 1, arbitrary: fc.constant('silent' as const) },
  { weight: 1, arbitrary: fc.record({ after: soon, fault }) },
)

const late = fc.integer({ min: 0, max: 700 })
const post: fc.Arbitrary<PostScript> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ after: late, accept: fc.constant('R-1'), price }, { requiredKeys: ['after', 'accept'] }),
  },
  { weight: 4, arbitrary: fc.record({ after: late, reject: fc.constantFrom('duplicate', 'bad zip') }) },
  {
    weight: 2,
    arbitrary: fc.record({ after: late, status: fc.constantFrom(200, 302, 401, 404, 408, 409, 425, 500, 503) }),
  },
  { weight: 2, arbitrary: fc.record({ after: late, fault }) },
  { weight: 1, arbitrary: fc.constant('silent' as const) },
)

const count = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 5 }))
  .map(([used, left]): [number, number] => [used, used + left])
const spend = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }))
  .map(([used, left]): [string, string] => [`${used}.00`, `${used + left}.00`])
const caps: fc.Arbitrary<StoryCaps> = fc.record(
  { hour: count, day: count, month: count, total: count, concurrency: count, 'spend.day': spend },
  { requiredKeys: [] },
) as fc.Arbitrary<StoryCaps>
const fewCaps = fc.oneof({ weight: 5, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: caps })

const mostly = <T>(usual: T, rare: T): fc.Arbitrary<T> =>
  fc.integer({ min: 1, max: 12 }).map((n) => (n === 12 ? rare : usual))

/** Rules of which some hold for the one lead of these worlds, and some do not. */
const rulesOf = <T>(gives: fc.Arbitrary<T>): fc.Arbitrary<StoryRule<T>[] | undefined> => {
  const when = fc.constantFrom(undefined, { state: 'TX' }, { state: 'CA' }, { ownership: 'own', source: 'teller' })
  const rule = fc.tuple(when, gives).map(([held, one]) => ({ ...one, ...(held && { when: held }) }))
  return fc.oneof(
    { weight: 14, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.array(rule, { minLength: 1, maxLength: 3 }) },
  )
}
const payout = fc.constantFrom<StoryPayout>(
  { share: 0.7 },
  { share: 0.333333 },
  { share: 0.7, margin_floor: '3.00' },
  { fixed: '6.00' },
  { fixed: '4.50' },
  { fixed: '4.50', payout_on: 'accepted' },
)
const adjustment = fc.constantFrom<{ factor: number } | { amount: string }>(
  { factor: 0.5 },
  { factor: 1.25 },
  { factor: 0 },
  { amount: '2.50' },
  { amount: '-2.50' },
)
const contract = fc.record({
  tier: fc.integer({ min: 0, max: 2 }),
  buyer: fc.integer({ min: 0, max: 5 }),
  priority: fc.integer({ min: 1, max: 3 }),
  weight: fc.integer({ min: 1, max: 3 }),
  price: fc.option(price, { nil: undefined, freq: 3 }),
  floor: mostly<string | undefined>(undefined, '10.00'),
  priceRules: rulesOf(price.map((one) => ({ price: one }))),
  floorRules: rulesOf(price.map((one) => ({ floor: one }))),
  adjust: rulesOf(adjustment),
  minBid: mostly<string | undefined>(undefined, '5.00'),
  maxBid: price,
  pinged: fc.option(ping, { nil: undefined, freq: 4 }),
  post,
  caps: fewCaps,
  postMs: fc.integer({ min: 400, max: 1000 }),
  inDoubt: fc.constantFrom('hold_unbilled', 'hold_unbilled', 'timeout_is_no_sale'),
  serverError: fc.constantFrom('in_doubt', 'in_doubt', 'rejected'),
  active: mostly(true, false),
  elsewhere: mostly(false, true),
})

const tier = fc.record({
  strategy: fc.constantFrom('auction', 'auction', 'waterfall', 'weighted', 'round_robin'),
  copies: fc.integer({ min: 1, max: 3 }),
  pingMs: fc.integer({ min: 100, max: 400 }),
  earlyClose: mostly<boolean | undefined>(undefined, false),
})

/** Few small ones, so that ties are met, and some that draw from all of the hat. */
const die = fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 65_535 }))

const terms = fc.record({
  floor: fc.constantFrom('0.00', '0.00', '5.00', '8.00'),
  sourceFloor: fc.constantFrom('0.00', '0.00', '7.00'),
  floorRules: rulesOf(price.map((one) => ({ floor: one }))),
  sourceFloorRules: rulesOf(price.map((one) => ({ floor: one }))),
  payoutRules: rulesOf(payout.map((one) => ({ payout: one }))),
  sourcePayout: mostly<StoryPayout | undefined>(undefined, { share: 0.6 }),
  sourcePayoutRules: rulesOf(payout.map((one) => ({ payout: one }))),
  minPayout: mostly<string | undefined>(undefined, '4.00'),
  minMargin: mostly('0.00', '2.00'),
  allowLoss: fc.boolean(),
  totalMs: fc.integer({ min: 1500, max: 6000 }),
  answerWithin: fc.integer({ min: 100, max: 6000 }),
  payout,
})

const offerRule = fc.record(
  {
    shortfall: fc.constantFrom('eat_to_zero_margin', 'reject', 'reoffer'),
    changed: fc.boolean(),
    fussy: fc.constant(true),
  },
  { requiredKeys: [] },
)
const moment = fc.integer({ min: 1, max: 1500 })
const slow = fc.record({ hold: fc.constantFrom(0, 20, 300), intent: fc.constantFrom(0, 20, 300, 4500) })
const trouble: fc.Arbitrary<StoryStore> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: moment.map((rebuiltAt) => ({ rebuiltAt })) },
  { weight: 1, arbitrary: moment.map((fencedAt) => ({ fencedAt })) },
  { weight: 1, arbitrary: moment.map((from) => ({ unsure: [from, from + 200] as const })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(moment, fc.option(fc.integer({ min: 1, max: 400 }), { nil: null }))
      .map(([from, long]) => ({ cold: [from, long === null ? null : from + long] as const })),
  },
)

/** One check, and who minds it: the campaign, by a filter on its score, or by its refusal. */
const checked = fc.record({
  does: fc.oneof(
    fc.constant('silent' as const),
    fc.record({ after: fc.integer({ min: 0, max: 70 }), body: fc.record({ score: fc.constantFrom(10, 50, 90) }) }),
    fc.record({ after: fc.constant(5), fault: fc.constantFrom('connect', 'breaker') }),
  ),
  fail: fc.constantFrom('open', 'closed'),
  cost: fc.constantFrom('0.00', '0.02'),
  ofCampaign: mostly(false, true),
  minds: fc.array(fc.constantFrom('nothing', 'refusal', 'filter'), { minLength: 8, maxLength: 8 }),
})

/** A configuration that the engine would take, and one lead on it. */
export const anyStory: fc.Arbitrary<Story> = fc
  .record({
    /** Whether buyers declare the most that they bid: where one does not, no tier closes early. */
    declared: fc.constantFrom('none', 'some', 'all'),
    tiers: fc.array(tier, { minLength: 1, maxLength: 3 }),
    contracts: fc.array(contract, { minLength: 1, maxLength: 8 }),
    dice: fc.array(die, { minLength: 8, maxLength: 8 }),
    groups: fc.array(fc.constantFrom(undefined, undefined, 'blue', 'red'), { minLength: 6, maxLength: 6 }),
    terms,
    sourceCaps: fewCaps,
    buyerCaps: fewCaps,
    trouble,
    turns: fc.integer({ min: 0, max: 4 }),
    slowTurn: mostly(0, 400),
    checked: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: checked }),
    asks: mostly(false, true),
    offer: fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      {
        weight: 1,
        arbitrary: fc.record({ payout: price, bids: fc.array(fc.option(price), { maxLength: 8 }), offerRule }),
      },
    ),
    slowResult: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 500 }) },
    ),
    slow: fc.oneof(
      { weight: 4, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(slow, { minLength: 8, maxLength: 8 }) },
    ),
  })
  .map((world) => {
    const plan = world.tiers.map((one, at) => ({ tier: `tier-${at}`, ...one }))
    const contracts = Object.fromEntries(
      world.contracts.map((one, at): [string, StoryContract] => {
        const { tier: place, pinged, elsewhere, priceRules, minBid, maxBid, ...rest } = one
        const bids = one.price === undefined && pinged !== undefined
        const declares = world.declared === 'all' || (world.declared === 'some' && one.weight === 1)
        const buyer = `buyer-${one.buyer}`
        return [
          `contract-${at}`,
          {
            ...rest,
            tier: plan[place % plan.length]!.tier,
            buyer,
            ...given({
              group: world.groups[one.buyer],
              price: one.price ?? (pinged ? undefined : '9.00'),
              ping: pinged,
              ...(bids ? limitsOf(minBid, declares ? maxBid : undefined) : { priceRules }),
            }),
            ...(elsewhere ? { filter: { state: ['CA'] } } : {}),
            ...(world.checked && mindfulOf(world.checked.minds[at]!, elsewhere)),
          },
        ]
      }),
    )
    const turns = Object.fromEntries(plan.map((one) => [one.tier, world.turns]))
    const slows = Object.fromEntries(
      world.slow.slice(0, world.contracts.length).map((one, at) => [`contract-${at}`, one]),
    )
    return JSON.parse(
      JSON.stringify({
        why: 'A random world.',
        clock: '2026-03-02T14:00:00-06:00',
        dice: world.dice,
        lead: { vertical: 'solar', state: 'TX', zip: '78701', ownership: 'own' },
        plan,
        terms: { ...world.terms, ...(world.checked?.ofCampaign && { checks: ['fraud'] }) },
        ...(world.checked && { checks: { fraud: fraudOf(world.checked) } }),
        contracts,
        ...given({
          asks: world.asks || undefined,
          offer: world.offer && offerFor(world.offer, Object.keys(contracts)),
        }),
        caps: { source: world.sourceCaps, 'buyer buyer-0': world.buyerCaps },
        store: { ...world.trouble, slow: slows, turns, slowTurn: world.slowTurn, slowResult: world.slowResult },
        expect: { trace: [], outcomes: {}, caps: {} },
      } satisfies Story),
    ) as Story
  })

type RandomCheck = typeof checked extends fc.Arbitrary<infer T> ? T : never

const fraudOf = ({ does, fail, cost }: RandomCheck): NonNullable<Story['checks']>[string] => ({
  file: {
    ...{ url: 'https://fraud.example/', body: { phone: '{phone}' }, outputs: { score: { number: 'score' } } },
    ...{ refuse: { score: { min: 85 } }, timeout_ms: 50, fail, cost },
  },
  does,
})

function mindfulOf(how: string, elsewhere: boolean): Partial<StoryContract> {
  if (how === 'refusal') return { checks: ['fraud'] }
  if (how === 'nothing') return {}
  return { filter: { ...(elsewhere && { state: ['CA'] }), 'fraud.score': { max: 40 } } }
}

type RandomOffer = {
  payout: string
  bids: readonly (string | null)[]
  offerRule: Partial<StoryOffer> & { readonly fussy?: true }
}

/** A fussy consumer likes those best that stand last, and does not want the first. */
function offerFor(
  { payout, bids, offerRule: { fussy, ...rule } }: RandomOffer,
  contracts: readonly string[],
): StoryOffer {
  const made = contracts.flatMap((contract, at) => (bids[at] ? [[contract, [bids[at]]] as const] : []))
  const chosen =
    made.length > 1 && fussy
      ? {
          chosen: made
            .slice(1)
            .map(([contract]) => contract)
            .reverse(),
        }
      : {}
  return { payout, bids: Object.fromEntries(made) as StoryOffer['bids'], ...rule, ...chosen }
}

/** A least bid over the most would let no bid pass, and is a fault. */
const limitsOf = (minBid: string | undefined, maxBid: string | undefined) =>
  minBid && maxBid && Number(minBid) > Number(maxBid) ? { maxBid } : { minBid, maxBid }

const given = (group: object): object =>
  Object.fromEntries(Object.entries(group).filter(([, value]) => value !== undefined))
