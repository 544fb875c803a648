/** Cases and random histories of claims, as lines that a person can read. */
import fc from 'fast-check'
import type { HotStore } from '../engine/store/port.ts'
import { LOCK_MS } from '../rules/claims.ts'
import { codeOf, EVERYONE, LEVELS, leadTail, readSightings, type Sighting } from '../rules/sightings.ts'
import { type WallMs, wallMs } from '../rules/units.ts'

type ClaimStore = Pick<HotStore, 'claim' | 'unclaim' | 'breakClaim' | 'setEpoch' | 'restore'>

/**
 * Steps are `<ms> <call> <lead> <words>`. `claim` takes fingerprints by name and `key:<key>`, and says what is answered:
 * behind the code, for each fingerprint that has sightings, its name and in brackets how far which lead came and the
 * buyers who had it. `sold`, `pinged` and `received` end a claim that far, `b:<buyer>` being who bought or was asked;
 * `free` ends it with nothing kept; `break` is for a lead whose owner died. Sightings are kept for a day. Each story
 * begins with the claims of the vertical solar open.
 */
export interface ClaimCase {
  readonly why: string
  readonly steps: readonly string[]
}

const DAY = 86_400_000
const BUYERS = ['acme', 'bolt', 'crane', EVERYONE]
const LEADS = ['L0', 'L1', 'L2', 'L3', 'L4', 'L5']

export const CLAIM_CASES: readonly ClaimCase[] = [
  {
    why: 'A lead that nobody knows is fresh, and stays so when it asks again.',
    steps: ['0 claim L1 phone1 mail1 key:k1 -> FRESH', '5 claim L1 phone1 mail1 key:k1 -> FRESH'],
  },
  {
    why: 'A lead that claims nothing is fresh.',
    steps: ['0 claim L1 -> FRESH', '0 claim L2 -> FRESH'],
  },
  {
    why: 'A key that is bound says to which lead, and wins over everything else.',
    steps: [
      '0 claim L1 phone1 key:k1 -> FRESH',
      '1 claim L2 phone1 key:k1 -> BOUND L1 body-of-L1',
      '2 sold L1 b:acme phone1',
      '3 claim L3 phone1 key:k1 -> BOUND L1 body-of-L1',
    ],
  },
  {
    why: 'A key is bound without fingerprints too.',
    steps: ['0 claim L1 key:k1 -> FRESH', '1 claim L2 key:k1 -> BOUND L1 body-of-L1', '1 claim L2 key:k2 -> FRESH'],
  },
  {
    why: 'The key of a lead that turns out a twin or was seen before is bound all the same.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 claim L2 phone1 key:k2 -> TWIN L1 0',
      '2 claim L3 phone2 key:k2 -> BOUND L2 body-of-L2',
      '3 sold L1 b:acme phone1',
      '4 claim L4 phone1 key:k4 -> FRESH phone1(L1 sold acme)',
      '5 claim L5 phone5 key:k4 -> BOUND L4 body-of-L4',
    ],
  },
  {
    why: 'A key is bound for a day; then only the ledger knows it.',
    steps: [
      '0 claim L1 phone1 key:k1 -> FRESH',
      '1 free L1 phone1',
      `${DAY - 1} claim L2 phone1 key:k1 -> BOUND L1 body-of-L1`,
      `${DAY} claim L3 phone1 key:k1 -> FRESH`,
    ],
  },
  {
    why: 'Of two leads with one phone the second waits, and hears since when the first is in flight.',
    steps: [
      '7 claim L1 phone1 mail1 -> FRESH',
      '9 claim L2 phone1 mail2 -> TWIN L1 7',
      '10 claim L3 mail2 -> FRESH',
      '11 free L1 phone1 mail1',
      '12 claim L2 phone1 -> FRESH',
    ],
  },
  {
    why: 'What was seen is told until it is too old to matter, and to a twin as well.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '60000 sold L1 b:acme b:bolt phone1',
      '60001 claim L2 mail2 -> FRESH',
      '60002 claim L3 mail2 phone1 -> TWIN L2 60001 phone1(L1 sold acme+bolt)',
      `${DAY + 59_999} claim L4 phone1 -> FRESH phone1(L1 sold acme+bolt)`,
      `${DAY + 60_000} claim L4 phone1 -> FRESH`,
    ],
  },
  {
    why: 'Several leads of one person are told one after the other, each with how far it came.',
    steps: [
      '60000 received L1 phone1',
      '120000 pinged L2 b:crane phone1 mail1',
      '180000 sold L3 b:acme mail1',
      '180001 claim L4 phone1 mail1 -> FRESH phone1(L1 received, L2 pinged crane) mail1(L2 pinged crane, L3 sold acme)',
    ],
  },
  {
    why: 'A lead never meets its own sighting, and a later one of it stands instead.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 sold L1 b:acme phone1',
      '2 claim L1 phone1 -> FRESH',
      '3 pinged L1 b:acme phone1',
      '4 claim L2 phone1 -> FRESH phone1(L1 pinged acme)',
    ],
  },
  {
    why: 'Where nobody knows who was asked, everybody may have been.',
    steps: ['0 pinged L1 b:* phone1', '1 claim L2 phone1 -> FRESH phone1(L1 pinged *)'],
  },
  {
    why: 'A claim that is refused locks nothing.',
    steps: ['0 claim L1 phone1 -> FRESH', '1 claim L2 mail2 phone1 -> TWIN L1 0', '2 claim L3 mail2 -> FRESH'],
  },
  {
    why: 'A lock lapses when nobody ends it.',
    steps: ['0 claim L1 phone1 -> FRESH', '299999 claim L2 phone1 -> TWIN L1 0', '300000 claim L2 phone1 -> FRESH'],
  },
  {
    why: 'Nobody frees what is not his.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 free L2 phone1',
      '1 break L2 phone1',
      '1 sold L2 b:acme phone1',
      '2 claim L3 phone1 -> TWIN L1 0 phone1(L2 sold acme)',
      '3 sold L1 b:bolt phone1',
      '3 free L2 phone1',
      '4 claim L3 phone1 -> FRESH phone1(L1 sold bolt)',
    ],
  },
  {
    why: 'A doubt that ends without a sale leaves nothing.',
    steps: ['0 claim L1 phone1 -> FRESH', '1 sold L1 b:acme phone1', '2 free L1 phone1', '3 claim L2 phone1 -> FRESH'],
  },
  {
    why: 'Breaking a claim frees locks and the key, but never what is kept.',
    steps: [
      '0 claim L1 phone1 mail1 key:k1 -> FRESH',
      '1 sold L1 b:acme mail1',
      '2 break L1 phone1 mail1 key:k1',
      '3 claim L2 phone1 key:k1 -> FRESH',
      '4 claim L3 mail1 -> FRESH mail1(L1 sold acme)',
    ],
  },
  {
    why: 'Claims are cold under another epoch; keys are hints and need none.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      'epoch 9',
      '1 claim L2 phone2 -> COLD',
      '1 claim L3 key:k3 -> FRESH',
      'epoch 1',
      '2 claim L2 phone1 -> TWIN L1 0',
    ],
  },
  {
    why: 'A rebuild keeps what is claimed, adds what the ledger keeps, and locks what undecided leads have.',
    steps: [
      '0 claim L1 phone1 key:k1 -> FRESH',
      'restore 2 60000 L0 mail1 L5 mail5 phone1',
      '60001 claim L2 phone1 -> TWIN L1 0',
      '60001 claim L3 key:k1 phone3 -> BOUND L1 body-of-L1',
      '60001 claim L4 mail1 -> FRESH mail1(L0 sold acme)',
      '60002 claim L3 mail5 -> TWIN L5 60000',
      '60003 claim L5 mail5 -> FRESH',
    ],
  },
]

let stories = 0

/** Plays the steps; answers what was said. Names are made unique, since a rebuild keeps claims. */
export async function playClaims(
  store: ClaimStore,
  steps: readonly string[],
  expectSame: (step: string, got: unknown, wanted: unknown) => void,
  own = `s${stories++}`,
): Promise<string[]> {
  const said: string[] = []
  for (const step of steps) {
    const [left = '', wanted] = step.split(' -> ')
    const [at, name, lead, ...words] = left.split(' ')
    if (at === 'epoch') store.setEpoch(Number(name))
    else if (at === 'restore') await restoreOne(store, own, Number(name), wallMs(Number(lead)), words)
    else {
      const answer = await callOne(store, own, Number(at), name!, lead!, words)
      if (answer !== null) said.push(answer)
      if (wanted !== undefined) expectSame(step, answer, wanted)
    }
  }
  return said
}

/** `<lead that was sold to acme> <its fingerprint> <undecided lead> <its fingerprints>`. */
async function restoreOne(
  store: ClaimStore,
  own: string,
  epoch: number,
  at: WallMs,
  [sold, print, undecided, ...prints]: readonly string[],
): Promise<void> {
  const sighting = sightingOf(at, 'sold', sold!, ['acme'])
  await store.restore({
    ...{ epoch, committed: [], tokens: [], tags: [], scopes: ['solar'] },
    locks: [{ leadId: undecided!, fingerprints: prints.map((one) => printOf(own, one)), since: at }],
    sightings: [[{ ...sighting, fingerprints: [printOf(own, print!)] }]],
  })
}

const sightingOf = (at: WallMs, how: string, leadId: string, buyers: readonly string[]): Sighting => ({
  ...{ leadId, campaign: 'solar', level: LEVELS[how as keyof typeof LEVELS], at, keepMs: DAY },
  sold: how === 'sold' ? buyers : [],
  asked: how === 'pinged' ? buyers : [],
})

/** All fingerprints of one story lie in one bucket. */
const printOf = (own: string, name: string): string => `solar:${own.padStart(3, '-')}${name}`

async function callOne(
  store: ClaimStore,
  own: string,
  at: number,
  name: string,
  leadId: string,
  words: readonly string[],
): Promise<string | null> {
  const key = words.find((word) => word.startsWith('key:'))
  const buyers = words.filter((word) => word.startsWith('b:')).map((word) => word.slice(2))
  const idempotency = key === undefined ? null : `s:demo:${own}-${key.slice(4)}`
  const names = words.filter((word) => /^(phone|mail)/.test(word))
  const fingerprints = names.map((print) => printOf(own, print))
  if (name === 'free') await store.unclaim(leadId, fingerprints, null)
  else if (name in LEVELS) await store.unclaim(leadId, fingerprints, sightingOf(wallMs(at), name, leadId, buyers))
  else if (name === 'break') await store.breakClaim(leadId, fingerprints, idempotency)
  else {
    const answer = await store.claim({
      ...{ leadId, idempotency, fingerprints },
      ...{ bodyHash: `body-of-${leadId}`, keepMs: DAY, now: wallMs(at) },
    })
    const { seen = [], ...rest } = answer as { readonly seen?: readonly string[] }
    return [...Object.values(rest), ...seen.flatMap((text, i) => inWords(names[i]!, text))].join(' ')
  }
  return null
}

function inWords(print: string, text: string): string[] {
  const nameOf = (known: readonly string[], code: string, codeIt: (id: string) => string) =>
    known.find((id) => codeIt(id) === code) ?? '?'
  const each = readSightings(text).map(({ lead, level, sold, asked }) => {
    const buyers = [...sold, ...asked].map((code) => nameOf(BUYERS, code, codeOf)).join('+')
    return `${nameOf(LEADS, lead, leadTail)} ${Object.keys(LEVELS)[level - 1]} ${buyers}`.trimEnd()
  })
  return each.length === 0 ? [] : [`${print}(${each.join(', ')})`]
}

/** Random steps in the same words. */
export const claimHistory: fc.Arbitrary<string[]> = fc
  .array(
    fc.record({
      wait: fc.constantFrom(0, 1, 1, 1_000, 60_000, 300_000, DAY / 2, DAY),
      call: fc.constantFrom('claim', 'claim', 'claim', 'claim', 'sold', 'pinged', 'received', 'free', 'break'),
      lead: fc.constantFrom('L1', 'L2', 'L3', 'L4'),
      names: fc.subarray(['phone1', 'phone2', 'mail1', 'mail2'], { maxLength: 2 }),
      key: fc.option(fc.constantFrom('key:k1', 'key:k2'), { freq: 3 }),
      buyers: fc.subarray(BUYERS, { maxLength: 2 }),
    }),
    { minLength: 4, maxLength: 25 },
  )
  .map((steps) => {
    let now = 1_772_000_000_000
    return steps.map(({ wait, call, lead, names, key, buyers }) => {
      now += wait
      const words = call in LEVELS ? [...buyers.map((id) => `b:${id}`), ...names] : [...names]
      if (key !== null && (call === 'claim' || call === 'break')) words.push(key)
      return [now, call, lead, ...words].join(' ')
    })
  })

/** Of all leads with one fingerprint only one is in flight, and what was kept is told to all others, by the answers alone. */
export function expectOneInFlight(steps: readonly string[], said: readonly string[]): void {
  const locks = new Map<string, { readonly lead: string; readonly until: number }>()
  const kept = new Map<string, Map<string, number>>()
  const answers = said.values()
  for (const step of steps) {
    const [at, call = '', lead = '', ...words] = step.split(' ')
    const now = Number(at)
    const answer = call === 'claim' ? answers.next().value! : ''
    const prints = words.filter((word) => /^(phone|mail)/.test(word))
    for (const print of prints) {
      const owner = locks.get(print)
      const isOwned = owner !== undefined && owner.until > now
      const seen = kept.get(print) ?? new Map<string, number>()
      kept.set(print, seen)
      const mustTell = [...seen].some(([other, since]) => other !== lead && now - since < DAY)
      if (answer.startsWith('FRESH') && isOwned && owner.lead !== lead)
        throw new Error(`${step}: ${print} belongs to ${owner.lead}`)
      if (/^(FRESH|TWIN)/.test(answer) && mustTell !== answer.includes(`${print}(`))
        throw new Error(`${step}: ${print} was ${mustTell ? '' : 'not '}seen, and the answer is ${answer}`)
      if (answer.startsWith('FRESH')) locks.set(print, { lead, until: now + LOCK_MS })
      if (answer === '' && owner?.lead === lead) locks.delete(print)
      if (call in LEVELS) seen.set(lead, Math.ceil(now / 60_000) * 60_000)
      if (call === 'free') seen.delete(lead)
    }
  }
}
