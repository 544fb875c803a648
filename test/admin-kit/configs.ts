/** Configurations that the admin plane's tests publish. */
import { createHash } from 'node:crypto'

// biome-ignore lint/suspicious/noExplicitAny: a configuration that tests bend has no one shape
type Loose = any

export const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex')
export const SECRET = `whsec_${'A'.repeat(43)}=`
export const TOKEN = 'Bearer very-secret-token'

/** One campaign, two sources, two buyers with a contract each. */
export function goodConfig(): Loose {
  return {
    sources: {
      mill: {
        pseudonym: 'S-1',
        status: 'active',
        campaigns: ['solar'],
        keys: [{ sha256: sha256('mill'), label: 'first' }],
      },
      forge: { pseudonym: 'S-2', status: 'active', campaigns: ['solar'], keys: [{ sha256: sha256('forge') }] },
    },
    campaigns: {
      solar: {
        vertical: 'solar',
        zone: 'America/Chicago',
        payout: { share: 0.7 },
        plan: [{ tier: 'open', strategy: 'auction', ping_ms: 300 }],
      },
    },
    buyers: { acme: { zone: 'America/New_York' }, bolt: { zone: 'America/Phoenix' } },
    contracts: { acme: contract('acme', '18.00'), bolt: contract('bolt', '20.00') },
    admin: { keys: [{ sha256: sha256('root'), label: 'root' }] },
  }
}

function contract(buyer: string, price: string): Loose {
  return {
    buyer,
    campaign: 'solar',
    status: 'active',
    price,
    filter: { state: ['TX', 'AZ'] },
    caps: { day: 50 },
    delivery: { post_url: `https://${buyer}.example/post`, headers: { Authorization: TOKEN }, secrets: [SECRET] },
  }
}
