/** Random condition sets and random leads of one vertical, for what must hold whatever is configured. */
import type { Lead } from '../../rules/lead.ts'
import { parseLead } from '../../rules/lead.ts'
import { VERTICALS } from '../../rules/verticals.ts'

export type Random = () => number

export const CONDITIONED = VERTICALS.get('auto_insurance')!

/** Mulberry32: 32 bits of state, equal everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const whole = (random: Random, least: number, most: number): number =>
  least + Math.floor(random() * (most - least + 1))
export const pick = <T>(random: Random, from: readonly T[]): T => from[whole(random, 0, from.length - 1)]!
const some = <T>(random: Random, from: readonly T[], most: number): T[] =>
  Array.from({ length: whole(random, 1, most) }, () => pick(random, from))

const STATES = ['TX', 'CA', 'NY', 'FL', 'WA', 'OR']
const ZIPS = ['78701', '78702', '90001', '90210', '10001', '33101', '98101', '97201', '75201', '77001']
export const SOURCES = ['web', 'app', 'mail', 'sms']
const WORDS = ['acme mutual', 'bolt', 'Casualty of acme', 'none', 'zeta']

/** One entry of a condition's map: a subject and what is asked of it. */
type Maker = (random: Random) => readonly [string, unknown]

const range = (random: Random, least: number, most: number): unknown => {
  const [a, b] = [whole(random, least, most), whole(random, least, most)].sort((x, y) => x - y) as [number, number]
  return pick(random, [
    { min: a },
    { max: b },
    { greater: a },
    { less: b },
    { min: a, max: b },
    { between: [a, b] },
    { greater: a, less: b + 1, not: a + 1 },
  ])
}

const LEAVES: readonly Maker[] = [
  (random) => ['state', some(random, STATES, 4)],
  (random) => ['state', { not: some(random, STATES, 3) }],
  (random) => ['zip', some(random, ZIPS, random() < 0.2 ? 40 : 4)],
  (random) => ['zip', { within: { miles: whole(random, 0, 300), of: pick(random, ZIPS) } }],
  (random) => ['zip.prefix', { starts: pick(random, ['7', '9', '1', '98']) }],
  (random) => ['age', range(random, 18, 90)],
  (random) => ['dob', { age_years: [whole(random, 18, 50), whole(random, 50, 90)] }],
  (random) => ['birth_year', { min: whole(random, 1940, 2005) }],
  (random) => ['residence', pick(random, ['own', 'rent', 'other'])],
  (random) => ['incidents', range(random, 0, 6)],
  (random) => ['incidents', pick(random, [{ blank: true }, { present: true }, { blank: false }])],
  (random) => ['current_carrier', { contains: pick(random, ['acme', 'bolt', 'a']) }],
  (random) => ['current_carrier', { matches: pick(random, ['(?i)^acme', 'z', '^.{4}$']) }],
  (random) => ['sub1', some(random, ['a', 'b', 'c'], 2)],
  (random) => ['sub1', { not: pick(random, ['a', 'b', 'c']) }],
  (random) => ['source', some(random, SOURCES, 3)],
  (random) => ['consent_age_minutes', { max: whole(random, 0, 100) }],
  (random) => ['currently_insured', random() < 0.5],
  (random) => ['consented_sellers', pick(random, [{ contains: 'bolt' }, { blank: true }])],
  (random) => [
    'received',
    { hours: [whole(random, 0, 23), 24], zone: pick(random, ['America/Chicago', 'Asia/Tokyo', 'UTC']) },
  ],
  (random) => [
    'received',
    {
      hours: pick(random, [
        [22, 6],
        ['9:30', 17],
      ]),
      days: some(random, ['mon', 'tue', 'sun'], 3),
    },
  ],
]

const GROUPS: readonly ((random: Random, depth: number) => readonly [string, unknown])[] = [
  (random, depth) => ['any', branches(random, depth)],
  (random, depth) => ['none', branches(random, depth)],
  (random, depth) => ['all', branches(random, depth)],
  (random, depth) => ['any', randomCondition(random, depth + 1)],
  (random, depth) => ['none', randomCondition(random, depth + 1)],
]

const branches = (random: Random, depth: number): unknown =>
  Array.from({ length: whole(random, 1, 3) }, () => randomCondition(random, depth + 1))

/** A map of one to five conditions in any order; one in six entries is a group, down to three deep. */
export function randomCondition(random: Random, depth = 0): Record<string, unknown> {
  const entries = Array.from({ length: whole(random, 1, 5) }, () =>
    depth < 3 && random() < 0.16 ? pick(random, GROUPS)(random, depth) : pick(random, LEAVES)(random),
  )
  return Object.fromEntries(entries)
}

const maybe = (random: Random, value: () => string): string => (random() < 0.75 ? value() : '')

/** A lead of which any field may be missing. */
export function randomLead(random: Random): Lead {
  const year = whole(random, 1935, 2007)
  const raw = {
    state: maybe(random, () => pick(random, STATES)),
    dob: maybe(random, () => `${year}-${pick(random, ['01', '03', '12'])}-${pick(random, ['02', '03', '28'])}`),
    birth_year: maybe(random, () => `${year}`),
    residence: maybe(random, () => pick(random, ['own', 'rent', 'other'])),
    incidents: maybe(random, () => `${whole(random, 0, 6)}`),
    current_carrier: maybe(random, () => pick(random, WORDS)),
    currently_insured: maybe(random, () => pick(random, ['yes', 'no'])),
    consented_sellers: random() < 0.2 ? pick(random, ['Acme LLC', 'Bolt', 'Acme, L.L.C.; Bolt']) : '',
    sub1: maybe(random, () => pick(random, ['a', 'b', 'c', 'd'])),
    consent_at: maybe(
      random,
      () => `2026-03-02T${pick(random, ['18', '19', '20'])}:${pick(random, ['00', '04', '45'])}:00Z`,
    ),
  }
  const at = Date.UTC(2026, 2, whole(random, 1, 9), whole(random, 0, 23), whole(random, 0, 59))
  const optional = { ...CONDITIONED, fields: OPTIONAL_FIELDS }
  const withPlace = { ...raw, zip: maybe(random, () => pick(random, ZIPS)), state: '' }
  const parsed = parseLead(optional, random() < 0.5 ? raw : withPlace, at)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

const OPTIONAL_FIELDS = CONDITIONED.fields.map((field) => ({ ...field, required: false }))
