/** Cases and random histories of claims, as lines that a person can read. */
import fc from 'fast-check'
import type { HotStore } from '../engine/store/port.ts'
import { LOCK_MS } from '../rules/claims.ts'
import { wallMs } from '../rules/units.ts'

type ClaimStore = Pick<HotStore, 'claim' | 'unclaim' | 'breakClaim' | 'setEpoch' | 'restore'>

/**
 * Steps are `<ms> <call> <lead> <words>`. `claim` takes fingerprints by name and `key:<key>`, and says what is answered.
 * `sold` takes the moment until which the fingerprints are bound; `free` ends a claim unsold; `break` is for a lead whose
 * owner died. Each story begins with the claims of the campaign solar open.
 */
export interface ClaimCase {
  readonly why: string
  readonly steps: readonly string[]
}

const DAY = 86_400_000

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
      `2 sold L1 ${DAY} phone1`,
      '3 claim L3 phone1 key:k1 -> BOUND L1 body-of-L1',
    ],
  },
  {
    why: 'A key is bound without fingerprints too.',
    steps: ['0 claim L1 key:k1 -> FRESH', '1 claim L2 key:k1 -> BOUND L1 body-of-L1', '1 claim L2 key:k2 -> FRESH'],
  },
  {
    why: 'The key of a lead that turns out a twin or a duplicate is bound all the same.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 claim L2 phone1 key:k2 -> TWIN L1 0',
      '2 claim L3 phone2 key:k2 -> BOUND L2 body-of-L2',
      `3 sold L1 ${DAY} phone1`,
      '4 claim L4 phone1 key:k4 -> DUPLICATE L1',
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
    why: 'A sold fingerprint is a duplicate until its window is over; a twin does not hide it.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 sold L1 5000 phone1',
      '2 claim L2 mail2 -> FRESH',
      '3 claim L3 mail2 phone1 -> DUPLICATE L1',
      '4999 claim L4 phone1 -> DUPLICATE L1',
      '5000 claim L4 phone1 -> FRESH',
    ],
  },
  {
    why: 'A lead never meets its own sale, and does not undo it by asking again.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 sold L1 5000 phone1',
      '2 claim L1 phone1 -> FRESH',
      '3 claim L2 phone1 -> DUPLICATE L1',
    ],
  },
  {
    why: 'A claim that is refused locks nothing.',
    steps: ['0 claim L1 phone1 -> FRESH', '1 claim L2 mail2 phone1 -> TWIN L1 0', '2 claim L3 mail2 -> FRESH'],
  },
  {
    why: 'A lock lapses when nobody ends it.',
    steps: ['0 claim L1 phone1 -> FRESH', '119999 claim L2 phone1 -> TWIN L1 0', '120000 claim L2 phone1 -> FRESH'],
  },
  {
    why: 'Nobody frees what is not his.',
    steps: [
      '0 claim L1 phone1 -> FRESH',
      '1 free L2 phone1',
      '1 break L2 phone1',
      '2 claim L3 phone1 -> TWIN L1 0',
      '3 sold L1 5000 phone1',
      '3 free L2 phone1',
      '4 claim L3 phone1 -> DUPLICATE L1',
    ],
  },
  {
    why: 'A doubt that ends without a sale frees what it bound.',
    steps: ['0 claim L1 phone1 -> FRESH', '1 sold L1 5000 phone1', '2 free L1 phone1', '3 claim L2 phone1 -> FRESH'],
  },
  {
    why: 'Breaking a claim frees locks and the key, but never a sale.',
    steps: [
      '0 claim L1 phone1 mail1 key:k1 -> FRESH',
      '1 sold L1 5000 mail1',
      '2 break L1 phone1 mail1 key:k1',
      '3 claim L2 phone1 key:k1 -> FRESH',
      '4 claim L3 mail1 -> DUPLICATE L1',
    ],
  },
  {
    why: 'Of two sales of one fingerprint the one that binds longer stays.',
    steps: [
      '0 sold L1 9000 phone1',
      '0 sold L2 5000 phone1',
      '5000 claim L3 phone1 -> DUPLICATE L1',
      '5000 sold L2 9001 phone1',
      '9000 claim L3 phone1 -> DUPLICATE L2',
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
    why: 'A rebuild keeps what is claimed and adds what the ledger knows as sold.',
    steps: [
      '0 claim L1 phone1 key:k1 -> FRESH',
      'restore 2 sold L0 5000 mail1',
      '1 claim L2 phone1 -> TWIN L1 0',
      '1 claim L3 key:k1 phone3 -> BOUND L1 body-of-L1',
      '1 claim L4 mail1 -> DUPLICATE L0',
    ],
  },
]

let stories = 0

/** Plays the steps; answers what was said. Names are made unique, since a rebuild keeps claims. */
export async function playClaims(
  store: ClaimStore,
  steps: readonly string[],
  expectSame: (step: string, got: unknown, wanted: unknown) => void,
  own = `story${stories++}`,
): Promise<string[]> {
  const said: string[] = []
  for (const step of steps) {
    const [left = '', wanted] = step.split(' -> ')
    const [at, name, lead, ...words] = left.split(' ')
    if (at === 'epoch') store.setEpoch(Number(name))
    else if (at === 'restore') {
      const sold = [{ fingerprint: printOf(own, words[2]!), leadId: words[0]!, until: wallMs(Number(words[1])) }]
      await store.restore({ epoch: Number(name), committed: [], tokens: [], sold, tags: ['c:solar'] })
    } else {
      const answer = await callOne(store, own, Number(at), name!, lead!, words)
      if (answer !== null) said.push(answer)
      if (wanted !== undefined) expectSame(step, answer, wanted)
    }
  }
  return said
}

const printOf = (own: string, name: string): string => `solar:${name.replace(/\d+$/, '')}:${own}-${name}`

async function callOne(
  store: ClaimStore,
  own: string,
  at: number,
  name: string,
  leadId: string,
  words: readonly string[],
): Promise<string | null> {
  const until = name === 'sold' ? wallMs(Number(words[0])) : null
  const key = words.find((word) => word.startsWith('key:'))
  const idempotency = key === undefined ? null : `s:demo:${own}-${key.slice(4)}`
  const names = words.filter((word, i) => word !== key && !(until !== null && i === 0))
  const fingerprints = names.map((print) => printOf(own, print))
  if (name === 'sold' || name === 'free') await store.unclaim(leadId, fingerprints, until)
  else if (name === 'break') await store.breakClaim(leadId, fingerprints, idempotency)
  else {
    const answer = await store.claim({
      leadId,
      idempotency,
      bodyHash: `body-of-${leadId}`,
      fingerprints,
      now: wallMs(at),
    })
    return Object.values(answer).join(' ')
  }
  return null
}

/** Random steps in the same words. */
export const claimHistory: fc.Arbitrary<string[]> = fc
  .array(
    fc.record({
      wait: fc.constantFrom(0, 1, 1, 1_000, 60_000, 120_000, DAY),
      call: fc.constantFrom('claim', 'claim', 'claim', 'claim', 'sold', 'free', 'break'),
      lead: fc.constantFrom('L1', 'L2', 'L3', 'L4'),
      names: fc.subarray(['phone1', 'phone2', 'mail1', 'mail2'], { maxLength: 2 }),
      key: fc.option(fc.constantFrom('key:k1', 'key:k2'), { freq: 3 }),
      bound: fc.constantFrom(1, 5_000, DAY),
    }),
    { minLength: 4, maxLength: 25 },
  )
  .map((steps) => {
    let now = 1_772_000_000_000
    return steps.map(({ wait, call, lead, names, key, bound }) => {
      now += wait
      const words = [...(call === 'sold' ? [String(now + bound)] : []), ...names]
      if (key !== null && (call === 'claim' || call === 'break')) words.push(key)
      return [now, call, lead, ...words].join(' ')
    })
  })

/** Of all leads with one fingerprint only one is in flight, and none is once it is sold, by the answers alone. */
export function expectOneInFlight(steps: readonly string[], said: readonly string[]): void {
  const owners = new Map<string, { readonly lead: string; readonly until: number; readonly sold: boolean }>()
  const answers = said.values()
  for (const step of steps) {
    const [at, call, lead = '', ...words] = step.split(' ')
    const now = Number(at)
    const fresh = call === 'claim' && answers.next().value === 'FRESH'
    for (const print of words.filter((word) => /^(phone|mail)/.test(word))) {
      const owner = owners.get(print)
      const isOwned = owner !== undefined && owner.until > now
      if (fresh && isOwned && owner.lead !== lead) throw new Error(`${step}: ${print} belongs to ${owner.lead}`)
      if (fresh && !isOwned) owners.set(print, { lead, until: now + LOCK_MS, sold: false })
      const until = Number(words[0])
      if (call === 'sold' && !(owner?.sold && owner.until >= until)) owners.set(print, { lead, until, sold: true })
      if (owner?.lead === lead && (call === 'free' || (call === 'break' && !owner.sold))) owners.delete(print)
    }
  }
}
