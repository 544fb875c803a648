/** The market that chaos is brought upon: one campaign, buyers of all tempers, and caps that run full. */
import { createHash } from 'node:crypto'
import type { BuyerConfig } from '../../bench/mock-buyer.ts'

export const SOURCE_KEY = 'chaos-source'
const ADMIN_KEY = 'chaos-admin'
export const CAMPAIGN = 'solar'

const ZONE = 'America/Chicago'
const SECRET = `whsec_${Buffer.alloc(32, 'chaos').toString('base64')}`
const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex')

export interface MarketOptions {
  /** Where the scripted buyers are. */
  readonly buyers: string
  /** Places that each of the capped contracts has in all. */
  readonly cap: number
  /** How many contracts stand behind the bidders, each taking what is left. */
  readonly standing: number
  readonly answerWithinMs?: number
}

/** Buyers who bid; each may buy `cap` leads in all. */
export const BIDDERS = ['alder', 'birch', 'cedar', 'dogwood'] as const

const standingName = (n: number): string => `standing-${String(n).padStart(2, '0')}`

/** Tempers by buyer: quick, picky, and such that leave a doubt behind. */
export const TEMPERS: Readonly<Record<string, BuyerConfig>> = {
  alder: { ping: bid(2, '18.00', '24.00'), post: { latency: { fixed: 5 }, accept: 0.9 } },
  birch: { ping: bid(8, '14.00', '24.00'), post: { latency: { fixed: 20 }, accept: 0.7 } },
  cedar: { ping: bid(15, '10.00', '26.00'), post: { latency: { fixed: 40 }, accept: 0.8, faults: { '404': 0.1 } } },
  dogwood: {
    ping: { ...bid(4, '9.00', '25.00'), noBid: 0.3 },
    post: { latency: { fixed: 10 }, faults: { reset_at_accept: 0.01, '503': 0.01 } },
  },
  '*': { post: { latency: { fixed: 10 }, accept: 0.95 } },
}

/** The same buyers without a fault. */
export const CALM: typeof TEMPERS = Object.fromEntries(
  Object.entries(TEMPERS).map(([id, { ping, post }]) => [
    id,
    { ...(ping ? { ping } : {}), post: { latency: post!.latency!, accept: post!.accept ?? 1 } },
  ]),
)

function bid(latencyMs: number, from: string, to: string): NonNullable<BuyerConfig['ping']> {
  return { latency: { fixed: latencyMs }, bid: { from, to } }
}

/** The configuration file as JSON text. */
export function marketConfig(options: MarketOptions): string {
  const standing = Array.from({ length: options.standing }, (_, n) => standingName(n))
  return JSON.stringify({
    sources: {
      crowd: {
        pseudonym: 'S-1',
        status: 'active',
        campaigns: [CAMPAIGN],
        keys: [{ sha256: sha256(SOURCE_KEY) }],
        rate_per_second: 100_000,
        burst: 100_000,
        answer_within_ms: options.answerWithinMs ?? 8_000,
        caps: { day: 1_000_000 },
      },
    },
    campaigns: {
      [CAMPAIGN]: {
        vertical: 'solar',
        zone: ZONE,
        payout: { share: 0.7 },
        floor: '5.00',
        total_ms: 8_000,
        plan: [
          { tier: 'open', strategy: 'auction', ping_ms: 300 },
          { tier: 'rest', strategy: 'waterfall' },
        ],
        caps: { hour: 1_000_000 },
      },
    },
    buyers: Object.fromEntries([...BIDDERS, ...standing].map((id) => [id, { zone: ZONE, caps: { month: 100_000 } }])),
    contracts: Object.fromEntries([
      ...BIDDERS.map((id) => [id, bidder(id, options)]),
      ...standing.map((id, n) => [id, standingOrder(id, n, options)]),
    ]),
    admin: { keys: [{ sha256: sha256(ADMIN_KEY) }] },
    network: { allowed_cidrs: ['127.0.0.0/8'] },
  })
}

function bidder(id: string, { buyers, cap }: MarketOptions): object {
  return {
    buyer: id,
    campaign: CAMPAIGN,
    tier: 'open',
    status: 'active',
    price_from: 'reply',
    caps: { total: cap, day: 100_000, concurrency: 30, spend: { week: '900000.00' } },
    post_ms: 1_500,
    delivery: {
      ping_url: `${buyers}/${id}/ping`,
      post_url: `${buyers}/${id}/post`,
      ping_fields: ['state', 'zip', 'ownership'],
      secrets: [SECRET],
    },
  }
}

function standingOrder(id: string, n: number, { buyers }: MarketOptions): object {
  return {
    buyer: id,
    campaign: CAMPAIGN,
    tier: 'rest',
    status: 'active',
    priority: n + 1,
    price: '8.00',
    caps: { day: 100_000, concurrency: 40 },
    post_ms: 1_500,
    delivery: { post_url: `${buyers}/${id}/post`, secrets: [SECRET] },
  }
}
