/** Replies as no buyer should send them: real ones of every preset, broken by rule, and none brings the reader down. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { seeded } from '../bench/load.ts'
import type { Adapter, PingAnswer, PostAnswer, WireReply } from '../buyers/adapter.ts'
import { compileAdapter } from '../buyers/compile.ts'
import { MAX_PRICE } from '../buyers/price.ts'
import { reasonName } from '../rules/reason.ts'
import { contractAt } from './buyers-kit.ts'
import { contractWith } from './delivery-kit.ts'
import { fuzzRuns, fuzzSeed } from './fuzz.ts'

interface Story {
  readonly contract: object
  readonly delivery: Readonly<Record<string, unknown>>
  readonly replies: readonly { readonly to: 'ping' | 'post'; readonly status: number; readonly body: string }[]
}

interface Seed {
  readonly name: string
  readonly adapter: Adapter
  readonly to: 'ping' | 'post'
  readonly status: number
  readonly body: string
}

const FOLDER = new URL('./golden/buyers/', import.meta.url)
const OWN = [
  '{"accept":true,"price":"18.50","buyer_reference":"B-77","redirect_url":"https://a.example/"}',
  '{"accept":false}',
]

const seeds: readonly Seed[] = [
  ...readdirSync(FOLDER).flatMap((name) => {
    const story = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Story
    const delivery = { ping_url: undefined, post_url: undefined, ...story.delivery }
    const adapter = compileAdapter(contractWith(delivery, story.contract))
    return story.replies.map(({ to, status, body }) => ({ name, adapter, to, status, body }))
  }),
  ...(['ping', 'post'] as const).flatMap((to) => {
    const adapter = compileAdapter(contractAt('https://acme.example'))
    return OWN.map((body) => ({ name: 'own shape', adapter, to, status: 200, body }))
  }),
]

type Dice = () => number
const upTo = (dice: Dice, most: number): number => Math.floor(dice() * most)
const pick = <T>(dice: Dice, all: readonly T[]): T => all[upTo(dice, all.length)]!

const PIECES = [
  ...[
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\u0000',
    '\\ud800',
    'null',
    'true',
    '1e999',
    '-0',
    '0x10',
    '\ufeff',
    '\0',
  ],
  ...[
    '<',
    '>',
    '</',
    '/>',
    '<!DOCTYPE a [<!ENTITY x "y">]>',
    '&x;',
    '&#0;',
    '&#x10ffff;',
    '<![CDATA[',
    ']]>',
    '<!--',
    '<?a?>',
  ],
  ...['%', '%zz', '%00', '&', '=', '+', ';', '\r\n', '\u2028', '\ud83d', '🏠', 'é', '$1,234.50', '12,50', '__proto__'],
  ...['x'.repeat(5_000), '['.repeat(500), '<a>'.repeat(500), '9'.repeat(400), 'a=1&'.repeat(500)],
]
const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1e308,
    5e-324,
    '',
    ' ',
    'true',
    'yes',
    '18.50',
    '-18.50',
    '1e9',
    'NaN',
    '$ 1.2.3',
    [],
    {},
  ],
  ...[
    [[[[]]]],
    { accept: { accept: true } },
    ['18.50'],
    { price: null },
    'x'.repeat(3_000),
    '\u0000',
    '\ud800',
    'javascript:1',
  ],
]

/** A node of a parsed reply is exchanged, taken out, doubled, renamed, or set into another. */
function brokenTree(dice: Dice, body: string): string {
  let tree: unknown
  try {
    tree = JSON.parse(body)
  } catch {
    return broken(dice, body)
  }
  let node = tree
  while (typeof node === 'object' && node !== null) {
    const keys = Object.keys(node)
    if (keys.length === 0) break
    const key = pick(dice, keys)
    const parent = node as Record<string, unknown>
    const inner = parent[key]
    if (typeof inner === 'object' && inner !== null && dice() < 0.6) {
      node = inner
      continue
    }
    const how = upTo(dice, 5)
    if (how === 0) delete parent[key]
    else if (how === 1) parent[key] = [inner, inner]
    else if (how === 2) parent[`${key}${pick(dice, ['_', '2', '.x', ''])}`] = pick(dice, VALUES)
    else if (how === 3) parent[key] = { [key]: inner, value: inner }
    else parent[key] = pick(dice, VALUES)
    break
  }
  return JSON.stringify(tree) ?? 'null'
}

/** Pieces are cut out, put in, doubled, or taken from another reply. */
function broken(dice: Dice, body: string): string {
  let text = body
  for (let times = 1 + upTo(dice, 4); times > 0; times--) {
    const [at, drop] = [upTo(dice, text.length + 1), upTo(dice, 12)]
    const how = upTo(dice, 5)
    const piece =
      how === 0 ? '' : how === 1 ? pick(dice, seeds).body : how === 2 ? text.slice(at, at + 40) : pick(dice, PIECES)
    text = text.slice(0, at) + piece + text.slice(at + drop)
  }
  return text
}

const STATUSES = [200, 200, 200, 200, 201, 204, 302, 400, 404, 408, 409, 425, 429, 500, 503]
const HEADERS: readonly WireReply['headers'][] = [
  {},
  { 'content-length': '5' },
  { 'content-type': 'text/html; charset=latin1', 'content-length': '1' },
  { 'content-type': 'application/xml', 'transfer-encoding': 'chunked' },
  { 'content-type': ['application/json', 'text/plain'], location: '\u0000' },
]

function replyOf(dice: Dice, seed: Seed): WireReply {
  const how = dice()
  const body = how < 0.45 ? brokenTree(dice, seed.body) : how < 0.95 ? broken(dice, seed.body) : pick(dice, seeds).body
  return { status: dice() < 0.6 ? seed.status : pick(dice, STATUSES), headers: pick(dice, HEADERS), body }
}

/** What every answer must be, whatever it was read from. */
function assertSound(answer: PingAnswer | PostAnswer, status: number): void {
  if (answer.kind === 'noBid' || answer.kind === 'rejected' || answer.kind === 'unknown') {
    expect(reasonName(answer.reason)).toBeTruthy()
    expect(answer.reason.length).toBeLessThan(160)
    expect(answer.reason).toMatch(/^[^\p{Cc}]*$/u)
    return
  }
  expect(status >= 200 && status < 300).toBe(true)
  const { price, buyerReference } = answer
  if (answer.kind === 'bid') expect(price).toBeGreaterThan(0)
  expect(price ?? 0).toBeGreaterThanOrEqual(0)
  expect(price ?? 0).toBeLessThanOrEqual(MAX_PRICE)
  expect(Number.isSafeInteger(price ?? 0)).toBe(true)
  if (buyerReference === null) return
  expect(buyerReference.length).toBeLessThanOrEqual(512)
  expect(buyerReference.isWellFormed() && !/\p{Cc}/u.test(buyerReference)).toBe(true)
}

describe('the readers of replies', () => {
  const runs = fuzzRuns(20_000)

  it(`take ${runs.toLocaleString('en')} broken replies, each with a sound answer and in time`, {
    timeout: runs * 4,
  }, () => {
    const first = fuzzSeed()
    let slowest = 0
    let sure = 0
    const before = process.memoryUsage().heapUsed
    for (let run = 0; run < runs; run++) {
      const dice = seeded(first + run)
      const seed = pick(dice, seeds)
      const reply = replyOf(dice, seed)
      const began = performance.now()
      try {
        const answer = seed.to === 'ping' ? seed.adapter.pingReply(reply) : seed.adapter.postReply(reply)
        slowest = Math.max(slowest, performance.now() - began)
        assertSound(answer, reply.status)
        if (answer.kind === 'bid' || answer.kind === 'accepted') sure++
      } catch (error) {
        throw new Error(`SEED=${first + run} (${seed.name}, ${seed.to}): ${JSON.stringify(reply).slice(0, 2_000)}`, {
          cause: error,
        })
      }
    }
    // Neither all refused, which would prove little, nor all taken.
    expect(sure / runs).toBeGreaterThan(0.05)
    expect(sure / runs).toBeLessThan(0.8)
    expect(slowest).toBeLessThan(1_000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(256 * 1024 * 1024)
  })
})
