/** The engine's configuration for a bench run: ten contracts in one auction tier per campaign, every lead worth selling. */
import { createHash } from 'node:crypto'
import type { BuyerAddress } from './contender.ts'

/** The source's key in a bench run; it opens nothing but the engine that the bench starts for itself. */
export const SOURCE_KEY = 'bench-source-key'
export const ADMIN_KEY = 'bench-admin-key'

const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 'bench').toString('base64')}`
const PING_FIELDS = ['state', 'zip', 'ownership', 'bill_band', 'roof_shade', 'utility', 'project_type', 'time_frame']

/** The configuration file as JSON text. Each campaign has the buyers at its addresses, all pinged, none ever full. */
export function engineConfig(campaigns: Readonly<Record<string, readonly BuyerAddress[]>>): string {
  const names = Object.keys(campaigns)
  const seats = names.flatMap((campaign) =>
    campaigns[campaign]!.map((address, place) => ({ campaign, address, id: `${campaign}-${place}` })),
  )
  return JSON.stringify({
    sources: {
      bench: {
        pseudonym: 'S-1',
        status: 'active',
        campaigns: names,
        keys: [{ sha256: sha256(SOURCE_KEY) }],
        rate_per_second: 1_000_000,
        burst: 1_000_000,
      },
    },
    campaigns: Object.fromEntries(names.map((name) => [name, campaignOf()])),
    buyers: Object.fromEntries(
      seats.map(({ id }) => [id, { zone: 'America/Chicago', caps: { month: 1_000_000_000 } }]),
    ),
    contracts: Object.fromEntries(seats.map(({ id, campaign, address }) => [id, contractOf(id, campaign, address)])),
    admin: { keys: [{ sha256: sha256(ADMIN_KEY) }] },
    network: { allowed_cidrs: ['127.0.0.0/8'] },
  })
}

function campaignOf(): object {
  return {
    vertical: 'solar',
    zone: 'America/Chicago',
    payout: { share: 0.7 },
    floor: '5.00',
    plan: [{ tier: 'main', strategy: 'auction', ping_ms: 3000 }],
  }
}

function contractOf(id: string, campaign: string, { origin, pingPath, postPath }: BuyerAddress): object {
  return {
    buyer: id,
    campaign,
    status: 'active',
    tier: 'main',
    price_from: 'reply',
    caps: { day: 1_000_000_000, spend: { day: '999999999.00' } },
    delivery: {
      ping_url: origin + pingPath,
      post_url: origin + postPath,
      ping_fields: PING_FIELDS,
      secrets: [SIGNING_SECRET],
    },
  }
}

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex')
