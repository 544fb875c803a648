/** Measures eligibility: one lead among 100, 1,000 and 10,000 contracts with filters as operators write them. */
import zipcodes from 'zipcodes'
import { compileConfiguration } from '../buyers/configuration.ts'
import { openingByLoop, openingOf } from '../rules/eligibility.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { wallMs } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { leadStream } from './leads.ts'
import { seeded } from './load.ts'
import { microsPer } from './timing.ts'

const COUNTS = [100, 1_000, 10_000] as const
const LEADS = 500
const SOURCES = Array.from({ length: 40 }, (_, at) => `source-${at}`)
const ZONES = ['America/New_York', 'America/Chicago', 'America/Denver', 'America/Phoenix', 'America/Los_Angeles']
/** Monday noon in Chicago: most schedules are open. */
const NOW = Date.UTC(2026, 2, 2, 18)
const NO_HINTS = { exhausted: () => null, doubts: () => false, unwell: () => false }
const AUTO = VERTICALS.get('auto_insurance')!

/** `eligibility_<contracts>_us` by the index, `eligibility_loop_<contracts>_us` contract by contract. */
export function eligibility(batchMs: number): Readonly<Record<string, number>> {
  const figures: Record<string, number> = {}
  const leads = leadsOf(LEADS)
  for (const count of COUNTS) {
    const snapshot = snapshotOf(count)
    const campaign = snapshot.campaigns.get('auto')!
    const sources = [...snapshot.sources.values()]
    let turn = 0
    const next = () => leads[turn++ % LEADS]!
    const source = () => sources[turn % sources.length]!
    const at = () => wallMs(NOW + turn)
    figures[`eligibility_${count}_us`] = microsPer(batchMs, () => openingOf(campaign, next(), source(), at(), NO_HINTS))
    figures[`eligibility_loop_${count}_us`] = microsPer(batchMs, () => openingByLoop(campaign, next(), source(), at()))
  }
  return figures
}

/** The same figures by number of contracts: `index_us` and `loop_us`. */
export function byContracts(figures: Readonly<Record<string, number>>): object {
  if (figures[`eligibility_${COUNTS[0]}_us`] === undefined) return {}
  const keyed = (name: string) => Object.fromEntries(COUNTS.map((count) => [count, figures[`${name}_${count}_us`]]))
  return { loop_us: keyed('eligibility_loop'), index_us: keyed('eligibility') }
}

function leadsOf(count: number): readonly Lead[] {
  const stream = leadStream({ seed: 1, vertical: AUTO.id })
  return Array.from({ length: count }, () => {
    const parsed = parseLead(AUTO, stream.next().value.lead, NOW)
    if (!parsed.ok) throw new Error(`a streamed lead is invalid: ${JSON.stringify(parsed.issues)}`)
    return parsed.lead
  })
}

type Random = () => number

const whole = (random: Random, least: number, most: number) => least + Math.floor(random() * (most - least + 1))
const pick = <T>(random: Random, list: readonly T[]): T => list[whole(random, 0, list.length - 1)]!
const some = <T>(random: Random, list: readonly T[], least: number, most: number): T[] => [
  ...new Set(Array.from({ length: whole(random, least, most) }, () => pick(random, list))),
]

const PLACES = Object.values(zipcodes.codes).filter(({ country }) => country === 'US')
const ZIPS = PLACES.map(({ zip }) => zip)
const ZIPS_BY_STATE = Object.groupBy(PLACES, ({ state }) => state) as Record<string, typeof PLACES>
const STATES = Object.keys(ZIPS_BY_STATE).filter((state) => ZIPS_BY_STATE[state]!.length > 100)

/** Where a contract buys: whole states, the zips of its agents, all that lies near an office, or nearly everywhere. */
function territory(random: Random): object {
  const kind = random()
  if (kind < 0.6) return { state: some(random, STATES, 1, 12) }
  if (kind < 0.87) {
    const state = pick(random, STATES)
    const near = ZIPS_BY_STATE[state]!.map(({ zip }) => zip)
    return { state: [state], zip: some(random, near, 20, 600) }
  }
  if (kind < 0.9)
    return { zip: { within: { miles: whole(random, 10, 60), of: pick(random, ZIPS_BY_STATE['TX']!).zip } } }
  if (kind < 0.901) return { zip: ZIPS }
  return { state: { not: some(random, STATES, 1, 5) } }
}

/** Each entry is asked by this share of the contracts. */
const ASKED: readonly (readonly [share: number, condition: (random: Random) => object])[] = [
  [0.6, (random) => ({ age: { min: whole(random, 18, 30), max: whole(random, 60, 85) } })],
  [0.35, () => ({ residence: 'own' })],
  [0.4, (random) => ({ currently_insured: random() < 0.8 })],
  [0.3, (random) => ({ incidents: { max: whole(random, 0, 2) } })],
  [0.2, (random) => ({ vehicle_year: { min: whole(random, 2000, 2015) } })],
  [0.1, () => ({ current_carrier: { not: ['Example Mutual', 'Sample Casualty'] } })],
  [0.1, (random) => ({ sub1: { not: some(random, SUB_IDS, 1, 10) } })],
  [0.03, (random) => ({ any: [{ gender: 'female' }, { age: { min: whole(random, 30, 50) } }] })],
  [0.1, (random) => ({ received: { days: ['mon', 'tue', 'wed', 'thu', 'fri'], zone: pick(random, ZONES) } })],
]
const SUB_IDS = Array.from({ length: 41 }, (_, at) => `pub-${at}`)

/** Office hours of some zone, with Saturdays or without. */
function scheduleOf(random: Random): object {
  const hours = [`${whole(random, 6, 10)}:00-${whole(random, 17, 22)}:00`]
  return { zone: pick(random, ZONES), hours: { [random() < 0.5 ? 'mon-sat' : 'mon-fri']: hours } }
}

function contractOf(random: Random, buyers: readonly string[]): object {
  const filter: object = Object.assign(
    territory(random),
    ...ASKED.filter(([share]) => random() < share).map(([, condition]) => condition(random)),
  )
  return {
    buyer: pick(random, buyers),
    campaign: 'auto',
    status: random() < 0.95 ? 'active' : 'paused',
    price: '10.00',
    filter,
    ...(random() < 0.6 ? { schedule: scheduleOf(random) } : {}),
    ...(random() < 0.3 ? { sources: some(random, SOURCES, 3, 15) } : {}),
    delivery: { post_url: 'http://127.0.0.1:9/post' },
  }
}

export function snapshotOf(contracts: number): Snapshot {
  const random = seeded(contracts)
  const buyers = Array.from({ length: Math.ceil(contracts / 20) }, (_, at) => `b${at}`)
  const group = (ids: readonly string[], of: (id: string) => object) =>
    Object.fromEntries(ids.map((id) => [id, of(id)]))
  const ids = Array.from({ length: contracts }, (_, at) => `c${at}`)
  const compiled = compileConfiguration(
    {
      sources: group(SOURCES, (id) => ({ pseudonym: `P-${id}`, status: 'active', campaigns: ['auto'], keys: [] })),
      campaigns: {
        auto: {
          vertical: 'auto_insurance',
          zone: 'America/Chicago',
          payout: { share: 0.7 },
          plan: [{ tier: 'main', strategy: 'auction' }],
        },
      },
      buyers: group(buyers, () => ({ zone: 'America/Chicago' })),
      contracts: group(ids, () => contractOf(random, buyers)),
      network: { allowed_cidrs: ['127.0.0.0/8'] },
    },
    1,
  )
  if (compiled.ok) return compiled.snapshot
  throw new Error(`the bench's configuration has faults: ${JSON.stringify(compiled.faults.slice(0, 5))}`)
}
