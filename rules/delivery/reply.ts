/** How a buyer's reply is read, as data: what counts as an acceptance, and where price, reason and references stand. */
import { RE2JS } from 're2js'
import type { ReplyFile } from '../configuration/delivery-schema.ts'
import type { Draft } from '../configuration/schema.ts'

export const REPLY_FORMATS = ['json', 'xml', 'html', 'form', 'text'] as const
export type ReplyFormat = (typeof REPLY_FORMATS)[number]

/** Names and places in lists, from the root. */
export type Path = readonly (string | number)[]

/** Where a value stands: in the parsed body, in a header, else in the body as text. */
export interface Place {
  readonly path: Path | null
  readonly header: string | null
}

/** A value: what stands at the place, or the first group that the pattern captures there (without a group, its match). */
export interface Find extends Place {
  readonly pattern: string | null
}

/** Holds where all of its parts hold. Without `equals` and `pattern`, what stands at the place must be true or "true". */
export interface Test extends Place {
  readonly status: readonly number[] | null
  /** Lower case, compared without case. */
  readonly equals: readonly string[] | null
  readonly pattern: string | null
}

export interface ReplyRules {
  readonly format: ReplyFormat
  /** Any of the tests; the first of the places where there is something. */
  readonly accept: readonly Test[]
  readonly duplicate: readonly Test[]
  readonly capped: readonly Test[]
  readonly price: readonly Find[]
  /** Until when a bid stands: seconds, or a moment. */
  readonly expires: readonly Find[]
  readonly reason: readonly Find[]
  readonly buyerReference: readonly Find[]
  readonly redirectUrl: readonly Find[]
  readonly transferPhone: readonly Find[]
}

type Fault = (path: string, message: string) => void

const MAX_PATTERN = 1_000
const MAX_PATH = 200
const TEST_KEYS = ['status', 'header', 'path', 'equals', 'matches']
const FIND_KEYS = ['header', 'path', 'matches']
const STEP = /(?:^|\.)([^.[\]"]+)|\[(\d{1,4})\]|\["([^"]+)"\]/y

/** Null where there is a fault. */
export function readReply(file: Draft<ReplyFile>, at: string, fault: Fault): ReplyRules | null {
  let sound = true
  const tell: Fault = (path, message) => {
    sound = false
    fault(path, message)
  }
  const format = file.format ?? 'json'
  const flat = format === 'html' || format === 'text'
  const find = (
    key: 'price' | 'expires' | 'reason' | 'buyer_reference' | 'redirect_url' | 'transfer_phone',
  ): readonly Find[] => (file[key] === undefined ? [] : readFinds(file[key], `${at}.${key}`, flat, tell))
  const tests = (key: 'accept' | 'duplicate' | 'capped'): readonly Test[] =>
    file[key] === undefined ? [] : readTests(file[key], `${at}.${key}`, flat, tell)
  const rules: ReplyRules = {
    format,
    accept: tests('accept'),
    duplicate: tests('duplicate'),
    capped: tests('capped'),
    price: find('price'),
    expires: find('expires'),
    reason: find('reason'),
    buyerReference: find('buyer_reference'),
    redirectUrl: find('redirect_url'),
    transferPhone: find('transfer_phone'),
  }
  return sound ? rules : null
}

const isGroup = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function readTests(value: unknown, at: string, flat: boolean, fault: Fault): readonly Test[] {
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.length > 20) fault(at, 'takes one to 20 tests, any of which is enough.')
  return list.flatMap((one, place) => readTest(one, Array.isArray(value) ? `${at}[${place}]` : at, flat, fault) ?? [])
}

/** A bare text is a pattern over the body. */
function readTest(value: unknown, at: string, flat: boolean, fault: Fault): Test | null {
  const test = typeof value === 'string' ? { matches: value } : value
  if (!isGroup(test) || Object.keys(test).length === 0) {
    fault(at, 'takes a pattern for the body, or a group of status, header, path, equals and matches.')
    return null
  }
  refuseOthers(test, TEST_KEYS, at, fault)
  const place = readPlace(test, at, flat, fault)
  const read: Test = {
    ...place,
    status: test['status'] === undefined ? null : readStatus(test['status'], `${at}.status`, fault),
    equals: test['equals'] === undefined ? null : readEquals(test['equals'], `${at}.equals`, fault),
    pattern: test['matches'] === undefined ? null : readPattern(test['matches'], `${at}.matches`, fault),
  }
  if (read.equals && place.path === null && place.header === null)
    fault(`${at}.equals`, 'compares what stands at a path or in a header: name one, or write matches for the body.')
  return read
}

/** An acceptance under another status is a doubt, so no rule can make one of it. */
function readStatus(value: unknown, at: string, fault: Fault): readonly number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const good = list.every((one) => Number.isInteger(one) && Number(one) >= 200 && Number(one) <= 299)
  if (!good || list.length === 0)
    fault(at, 'takes a status from 200 to 299, or a list: any other is no answer, or a doubt.')
  return list as readonly number[]
}

function readEquals(value: unknown, at: string, fault: Fault): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const good = list.every((one) => ['string', 'number', 'boolean'].includes(typeof one))
  if (!good || list.length === 0) fault(at, 'takes a text, a number, true or false, or a list of them.')
  return list.map((one) => String(one).trim().toLowerCase())
}

function readPattern(value: unknown, at: string, fault: Fault): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MAX_PATTERN) {
    fault(at, `takes a pattern in quotes of at most ${MAX_PATTERN} characters.`)
    return null
  }
  try {
    RE2JS.compile(value)
    return value
  } catch (error) {
    fault(at, `is no pattern of RE2: ${(error as Error).message}.`)
    return null
  }
}

export function readFinds(value: unknown, at: string, flat: boolean, fault: Fault): readonly Find[] {
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.length > 20)
    fault(at, 'takes one to 20 places, the first of which counts that has something.')
  return list.flatMap((one, place) => readFind(one, Array.isArray(value) ? `${at}[${place}]` : at, flat, fault) ?? [])
}

/** A bare text is a path, or a pattern where the format has no paths. */
function readFind(value: unknown, at: string, flat: boolean, fault: Fault): Find | null {
  const find = typeof value === 'string' ? (flat ? { matches: value } : { path: value }) : value
  if (!isGroup(find) || Object.keys(find).length === 0) {
    fault(at, `takes ${flat ? 'a pattern' : 'a path'}, or a group of path, header and matches.`)
    return null
  }
  refuseOthers(find, FIND_KEYS, at, fault)
  const pattern = find['matches'] === undefined ? null : readPattern(find['matches'], `${at}.matches`, fault)
  return { ...readPlace(find, at, flat, fault, typeof value === 'string' ? at : `${at}.path`), pattern }
}

function readPlace(
  group: Readonly<Record<string, unknown>>,
  at: string,
  flat: boolean,
  fault: Fault,
  pathAt = `${at}.path`,
): Place {
  const { path, header } = group
  if (path !== undefined && header !== undefined) fault(at, 'names a path and a header: one value stands in one place.')
  if (path !== undefined && flat) fault(pathAt, 'has no meaning in a text: write matches instead.')
  const isName = typeof header === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)
  if (header !== undefined && !isName) fault(`${at}.header`, 'takes the name of a header.')
  const steps = path === undefined ? null : readPath(path)
  if (path !== undefined && steps === null) fault(pathAt, 'takes a path, such as result.status or bids[0].price.')
  return { path: steps, header: isName ? header.toLowerCase() : null }
}

function readPath(text: unknown): Path | null {
  if (typeof text !== 'string' || text === '' || text.length > MAX_PATH) return null
  const steps: (string | number)[] = []
  const step = new RegExp(STEP)
  while (step.lastIndex < text.length) {
    const match = step.exec(text)
    if (!match) return null
    steps.push(match[2] === undefined ? (match[1] ?? match[3]!) : Number(match[2]))
  }
  return steps
}

function refuseOthers(group: object, known: readonly string[], at: string, fault: Fault): void {
  const odd = Object.keys(group).find((key) => !known.includes(key))
  if (odd !== undefined) fault(at, `has a key "${odd.slice(0, 40)}" that is not known: write ${known.join(', ')}.`)
}
