/** Compiles how a contract reads its buyer's replies: tests and places over the status, the headers and the body. */
import { RE2JS } from 're2js'
import type { CheckService, OutputKind, Outputs } from '../rules/checks.ts'
import type { Find, Path, Place, ReplyRules, Test } from '../rules/delivery/reply.ts'
import type { Comparable } from '../rules/filter/check.ts'
import type { WireReply } from './adapter.ts'
import { cleanWords, type ReadBody, saysYes } from './reply.ts'
import { type ParsedBody, parseBody, unescaped, valueAt } from './reply-body.ts'

type Read<T> = (reply: WireReply, body: ParsedBody) => T

/** What a check's service says, by output; null where its reply is no answer. Never throws, whatever the bytes. */
export function compileOutputs(
  service: Pick<CheckService, 'format' | 'accept' | 'outputs'>,
): (reply: WireReply) => Outputs | null {
  const accept = service.accept.length === 0 ? null : anyOf(service.accept)
  const reads = service.outputs.map(({ name, kind, finds }) => [name, AS_KIND[kind], compileFinds(finds)] as const)
  return (reply) => {
    const body = parseBody(service.format, reply.body)
    if (accept !== null && !accept(reply, body)) return null
    const found = reads.flatMap(([name, asKind, find]) => {
      const value = asKind(find(reply, body))
      return value === null ? [] : [[name, value] as const]
    })
    return found.length === 0 ? null : Object.fromEntries(found)
  }
}

const YES: ReadonlySet<string> = new Set(['true', 'yes', 'y', '1'])
const NO: ReadonlySet<string> = new Set(['false', 'no', 'n', '0'])
const NUMBER = /^[+-]?\d{1,15}(?:\.\d{1,15})?$/

/** A value that is not of its output's kind is none. Words are cleaned: a trace carries them, and no person. */
const AS_KIND: Readonly<Record<OutputKind, (value: unknown) => Comparable | null>> = {
  number: (value) => (value != null && NUMBER.test(String(value).trim()) ? Number(value) : null),
  boolean: (value) => {
    const word = value == null ? '' : String(value).trim().toLowerCase()
    return YES.has(word) ? true : NO.has(word) ? false : null
  },
  text: (value) => (value == null ? null : cleanWords(String(value)) || null),
}

/** Never throws, whatever the bytes. */
export function compileReply(rules: ReplyRules): ReadBody {
  const accept = anyOf(rules.accept)
  const duplicate = anyOf(rules.duplicate)
  const capped = anyOf(rules.capped)
  const price = compileFinds(rules.price)
  const expires = compileFinds(rules.expires)
  const reason = compileFinds(rules.reason)
  const buyerReference = compileFinds(rules.buyerReference)
  const redirectUrl = compileFinds(rules.redirectUrl)
  const transferPhone = compileFinds(rules.transferPhone)
  return (reply) => {
    const body = parseBody(rules.format, reply.body)
    const accepted = accept(reply, body)
    const refusal = accepted ? null : duplicate(reply, body) ? 'duplicate' : capped(reply, body) ? 'capped' : null
    const words = accepted ? null : reason(reply, body)
    return {
      accepted,
      refusal,
      whole: body.whole || refusal !== null,
      answers:
        body.tree !== undefined ||
        refusal !== null ||
        words != null ||
        (body.text !== '' && rules.format !== 'json' && rules.format !== 'xml'),
      price: accepted ? price(reply, body) : null,
      expires: accepted ? expires(reply, body) : null,
      reason: words,
      buyerReference: accepted ? buyerReference(reply, body) : null,
      redirectUrl: accepted ? redirectUrl(reply, body) : null,
      transferPhone: accepted ? transferPhone(reply, body) : null,
    }
  }
}

function anyOf(tests: readonly Test[]): Read<boolean> {
  const compiled = tests.map(compileTest)
  return (reply, body) => compiled.some((test) => test(reply, body))
}

function compileTest(test: Test): Read<boolean> {
  const { status, equals } = test
  const pattern = test.pattern === null ? null : compilePattern(test.pattern)
  const place = compilePlace(test)
  const placed = test.path !== null || test.header !== null
  return (reply, body) => {
    if (status !== null && !status.includes(reply.status)) return false
    if (!placed && pattern === null) return true
    const value = scalarOf(place(reply, body))
    if (equals === null && pattern === null) return saysYes(value)
    if (value === undefined) return false
    const text = String(value)
    if (equals !== null && !equals.includes(text.trim().toLowerCase())) return false
    return pattern === null || pattern.matcher(text).find()
  }
}

/** The first that finds something. */
function compileFinds(finds: readonly Find[]): Read<unknown> {
  const compiled = finds.map(compileFind)
  return (reply, body) => {
    for (const find of compiled) {
      const value = find(reply, body)
      if (value !== undefined && value !== '') return value
    }
    return null
  }
}

function compileFind(find: Find): Read<unknown> {
  const place = compilePlace(find)
  if (find.pattern === null) return (reply, body) => scalarOf(place(reply, body))
  const pattern = compilePattern(find.pattern)
  return (reply, body) => {
    const value = scalarOf(place(reply, body))
    if (value === undefined) return undefined
    const matcher = pattern.matcher(String(value))
    return matcher.find() ? (matcher.group(matcher.groupCount() > 0 ? 1 : 0) ?? undefined) : undefined
  }
}

/** Patterns ignore case: buyers change it without telling. */
const compilePattern = (pattern: string): RE2JS => RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE)

function compilePlace({ path, header }: Place): Read<unknown> {
  if (header !== null) return ({ headers }) => headers[header]
  if (path === null) return (_, body) => body.text
  const search = searchFor(path)
  return (_, body) => (body.tree === undefined ? search(body.text) : valueAt(body.tree, path))
}

/** `"name": "value"`, `<name>value`, `name=value`: where a body is not of its format, its last name is looked for as text. */
function searchFor(path: Path): (text: string) => string | undefined {
  const name = path.findLast((step) => typeof step === 'string')
  if (typeof name !== 'string') return () => undefined
  const quoted = name.replace(/^@/, '').replace(/[^\w]/g, '\\$&')
  const pattern = new RegExp(`(?:^|[^\\w])${quoted}["']?\\s{0,20}[:=>]\\s{0,20}["']?([^"'<>&,;\\r\\n}\\]]{1,512})`, 'i')
  return (text) => pattern.exec(text)?.[1]?.trim()
}

/** One value: of a list of values, all of them in one text; of a list of groups or a group, none. */
function scalarOf(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'string') return unescaped(value)
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (!Array.isArray(value)) return undefined
  const items = value.filter((item) => typeof item !== 'object')
  return items.length === 0 ? undefined : items.slice(0, 20).join(', ')
}
