/** Measures single steps of the rules on the hot path, in microseconds of one core. */
import { openingOf } from '../rules/eligibility.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { VERTICALS, type Vertical } from '../rules/verticals.ts'
import { seeded } from './load.ts'

const STATES = 'AL AZ CA CO FL GA IL IN MA MD MI MN MO NC NJ NV NY OH OK OR PA SC TN TX UT VA WA WI'.split(' ')
const SOLAR: Vertical = VERTICALS.get('solar')!
const BATCHES = 5

/** By name as the command line takes it; each gives its figures by name. */
export const MICRO: Readonly<Record<string, (batchMs: number) => Readonly<Record<string, number>>>> = {
  eligibility,
  parse: parsing,
}

/** One lead among so many contracts, each of which buys in five states and asks two things more. */
function eligibility(batchMs: number): Readonly<Record<string, number>> {
  const figures: Record<string, number> = {}
  const leads = STATES.map(leadFrom)
  for (const count of [1_000, 10_000]) {
    const snapshot = snapshotOf(count)
    const campaign = snapshot.campaigns.get('solar')!
    const source = snapshot.sources.get('bench')!
    const noHints = { exhausted: () => null, doubts: () => false }
    let turn = 0
    figures[`eligibility_${count}_us`] = microsPer(batchMs, () => {
      openingOf(campaign, leads[turn++ % leads.length]!, source, noHints)
    })
  }
  return figures
}

/** Raw fields to a Lead, by every field of the vertical. */
function parsing(batchMs: number): Readonly<Record<string, number>> {
  const raw = rawLead()
  const now = Date.now()
  return { parse_lead_us: microsPer(batchMs, () => parseLead(SOLAR, raw, now)) }
}

/** Median over batches of what one call takes, after one batch that only warms up. */
function microsPer(batchMs: number, call: () => void): number {
  const batches: number[] = []
  for (let batch = 0; batch <= BATCHES; batch++) {
    const since = performance.now()
    let calls = 0
    while (performance.now() - since < batchMs) {
      for (let at = 0; at < 10; at++) call()
      calls += 10
    }
    batches.push(((performance.now() - since) * 1000) / calls)
  }
  const measured = batches.slice(1).sort((a, b) => a - b)
  return Number(measured[Math.floor(BATCHES / 2)]!.toPrecision(3))
}

/** The vertical's own examples, without the sellers that the consumer names: they would leave no contract. */
function rawLead(): Record<string, string> {
  return { ...Object.fromEntries(SOLAR.fields.map(({ name, example }) => [name, example])), consented_sellers: '' }
}

function leadFrom(state: string): Lead {
  const parsed = parseLead(SOLAR, rawLead(), Date.now())
  if (!parsed.ok) throw new Error(`the vertical's own examples are no lead: ${JSON.stringify(parsed.issues)}`)
  return { ...parsed.lead, values: new Map([...parsed.lead.values, ['state', { raw: state, normal: state }]]) }
}

function snapshotOf(contracts: number): Snapshot {
  const random = seeded(contracts)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const ids = Array.from({ length: contracts }, (_, at) => `c${at}`)
  const buyers = Array.from({ length: contracts / 20 }, (_, at) => `b${at}`)
  const compiled = compileVersion(
    {
      sources: {
        bench: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [{ sha256: '0'.repeat(64) }] },
      },
      campaigns: {
        solar: {
          vertical: 'solar',
          zone: 'America/Chicago',
          payout: { share: 0.7 },
          plan: [{ tier: 'main', strategy: 'auction' }],
        },
      },
      buyers: Object.fromEntries(buyers.map((id) => [id, { zone: 'America/Chicago' }])),
      contracts: Object.fromEntries(
        ids.map((id) => [
          id,
          {
            buyer: pick(buyers),
            campaign: 'solar',
            status: 'active',
            price: '10.00',
            filter: {
              state: Array.from({ length: 5 }, () => pick(STATES)),
              ownership: 'own',
              roof_shade: { not: pick(['full', 'partial']) },
            },
            delivery: { post_url: 'http://127.0.0.1:9/post' },
          },
        ]),
      ),
      network: { allowed_cidrs: ['127.0.0.0/8'] },
    },
    1,
  )
  if (compiled.ok) return compiled.snapshot
  throw new Error(`the bench's configuration has faults: ${JSON.stringify(compiled.faults.slice(0, 5))}`)
}
