/** Requests made from the OpenAPI document alone: good ones, and ones that are bad in each way that a request can be. */
import fc from 'fast-check'
import { Compile } from 'typebox/schema'

// biome-ignore lint/suspicious/noExplicitAny: JSON Schema as it comes
type Schema = any
export interface Described {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: Schema }[]
  readonly body: Schema | null
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: Schema }>> }>>
  readonly open: boolean
}

export function describedIn(document: { paths: Record<string, Record<string, Schema>> }): readonly Described[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({
      id: one.operationId,
      method: method.toUpperCase(),
      path,
      parameters: one.parameters,
      body: one.requestBody?.content['application/json'].schema ?? null,
      responses: one.responses,
      open: one.security?.length === 0,
    })),
  )
}

const JUNK = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.constant([]), fc.constant({}))

/** Values that the schema takes. */
export function takenBy(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(takenBy))
  switch (schema.type) {
    case 'string':
      return schema.pattern
        ? fc.stringMatching(new RegExp(schema.pattern))
        : fc.string({ minLength: schema.minLength ?? 0, maxLength: Math.min(schema.maxLength ?? 20, 40) })
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 1e6, 2 ** 31 - 1) })
    case 'number':
      return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(takenBy(schema.items), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(schema.minItems ?? 0, 3),
      })
    case 'object':
      return objectOf(schema)
    default:
      return JUNK
  }
}

function objectOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.patternProperties) {
    const [[pattern, value]] = Object.entries(schema.patternProperties) as [[string, Schema]]
    return fc.dictionary(fc.stringMatching(new RegExp(pattern)), takenBy(value), { maxKeys: 3 })
  }
  const properties = Object.entries(schema.properties ?? {}).map(([name, value]) => [name, takenBy(value as Schema)])
  const requiredKeys = (schema.required ?? []).filter((name: string) => name in (schema.properties ?? {}))
  return fc.record(Object.fromEntries(properties), { requiredKeys, noNullPrototype: true })
}

/** A request as it goes over the wire. */
export interface Generated {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** `known`: names that stand in the ledger, tried as often as made-up ones, or (`alone`) instead of them. */
export function requestOf(
  operation: Described,
  known: Readonly<Record<string, string>>,
  alone = false,
): fc.Arbitrary<Generated> {
  const value = ({ name, schema }: { name: string; schema: Schema }) => {
    const madeUp = takenBy(schema).map(String)
    if (known[name] === undefined) return madeUp
    return alone ? fc.constant(known[name]) : fc.oneof(fc.constant(known[name]), madeUp)
  }
  const all = operation.parameters.map((one) =>
    one.required
      ? value(one).map((text) => [one, text] as const)
      : fc.option(value(one)).map((text) => [one, text] as const),
  )
  return fc
    .record({ values: fc.tuple(...all), body: operation.body ? takenBy(operation.body) : fc.constant(undefined) })
    .map(({ values, body }) => {
      let { path } = operation
      const query = new URLSearchParams()
      const headers: Record<string, string> = {}
      for (const [{ name, in: place }, text] of values) {
        if (text === null) continue
        if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(text))
        else if (place === 'query') query.set(name, text)
        else headers[name] = /^[\x21-\x7e]+$/.test(text) ? text : '"x"'
      }
      const search = query.size > 0 ? `?${query}` : ''
      return { path: path + search, headers, body: body === undefined ? undefined : JSON.stringify(body) }
    })
}

const SEEN = { 'If-Match': '"seen"' }

/** The same request made bad: each way by its name. */
export const SPOILERS: Readonly<Record<string, (good: Generated) => Generated>> = {
  'a body that is no JSON': (good) => ({ ...good, headers: SEEN, body: '{"a":' }),
  'a body of another type': (good) => ({ ...good, headers: { ...SEEN, 'content-type': 'text/csv' } }),
  'a body that is a number': (good) => ({ ...good, body: '7' }),
  'a body with a key that nobody knows': (good) => ({ ...good, body: '{"nobody_knows_this":1}' }),
  'a body with U+0000': (good) => ({ ...good, body: '{"note":"\\u0000"}' }),
  'a body of many brackets': (good) => ({ ...good, body: '['.repeat(5_000) + ']'.repeat(5_000) }),
  'a body with a prototype': (good) => ({ ...good, body: '{"__proto__":{"a":1},"constructor":{"b":2}}' }),
  'a query that nobody knows': (good) => ({
    ...good,
    path: `${good.path.split('?')[0]}?limit=-1&before=x&from=&to=%00`,
  }),
  'another ETag': (good) => ({ ...good, headers: { ...good.headers, 'If-Match': '"stale"' } }),
}

/** Says what is wrong with an answer, by the document. */
export async function faultOf(operation: Described, reply: Response): Promise<string | null> {
  const told = operation.responses[String(reply.status)]
  const body = await reply.text()
  if (!told) return `${operation.id} answered ${reply.status}, which is not documented: ${body.slice(0, 300)}`
  if (reply.status >= 500) return `${operation.id} answered ${reply.status}`
  const type = (reply.headers.get('content-type') ?? '').split(';')[0]!
  if (!told.content) return body === '' ? null : `${operation.id} answered a body, which is not documented`
  const content = told.content[type]
  if (!content) return `${operation.id} answered ${type}, which is not documented`
  if (!type.endsWith('json') || content.schema.$ref) return null
  return Compile(content.schema).Check(JSON.parse(body))
    ? null
    : `${operation.id} answered another shape: ${body.slice(0, 500)}`
}
