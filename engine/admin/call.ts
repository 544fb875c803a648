/** Reads one request into what its operation takes, or says everything that is wrong with it. */
import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/schema'
import { type Fault, nestsAtMost } from '../../rules/version.ts'
import type { Actor } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import type { Call, Operation, Page } from './operation.ts'
import type { Asked } from './plane.ts'

const BODY_BYTES = 1_000_000
/** Deeper than any configuration may be. */
const NESTING = 72
const JSON_TYPES = /^application\/(?:merge-patch\+)?json\s*(?:;|$)/i

export async function readCall(
  operation: Operation,
  asked: Asked,
  params: Call['params'],
  actor: Actor,
): Promise<Call | Page> {
  for (const [name, value] of Object.entries(params)) {
    if (!checkedBy(operation.params![name]!)(value)) return problem.nothingHere()
  }
  const query = Object.fromEntries(new URLSearchParams(asked.query))
  const faults = operation.query ? faultsOf(operation.query, query, 'query') : []
  if (faults.length > 0) return problem.faulty('The query has faults.', faults)
  const ifMatch = asked.header('if-match')
  const ifNoneMatch = asked.header('if-none-match') === '*'
  if (operation.conditional && ifMatch === null && !(operation.conditional === 'create' && ifNoneMatch)) {
    return problem.conditionNeeded(operation.conditional === 'create')
  }
  const body = operation.body ? await readBody(operation, asked) : { value: null }
  if ('status' in body) return body
  return { actor, params, query, ifMatch, ifNoneMatch, body: body.value, asText: wantsText(asked, query) }
}

async function readBody(operation: Operation, asked: Asked): Promise<Page | { readonly value: unknown }> {
  const type = asked.header('content-type') ?? 'application/json'
  if (!JSON_TYPES.test(type)) return problem.jsonOnly(type)
  const limit = operation.bodyBytes ?? BODY_BYTES
  const text = await asked.body(limit)
  if (text === null) return problem.tooLarge(limit)
  const parsed = parse(text === '' ? '{}' : text)
  if (!parsed) return problem.unreadable('The body is no JSON.')
  if (!nestsAtMost(parsed.value, NESTING)) return problem.unreadable(`The body nests deeper than ${NESTING} levels.`)
  if (/\\u0000/.test(JSON.stringify(parsed.value) ?? ''))
    return problem.unreadable('The body holds U+0000: take it out.')
  const faults = operation.checksBody ? [] : faultsOf(operation.body!, parsed.value, 'body')
  return faults.length > 0 ? problem.faulty('The body has faults.', faults) : parsed
}

function parse(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return null
  }
}

const compiled = new WeakMap<TSchema, Validator>()

function validatorOf(schema: TSchema): Validator {
  const known = compiled.get(schema)
  if (known) return known
  const made = Compile(schema) as unknown as Validator
  compiled.set(schema, made)
  return made
}

const checkedBy = (schema: TSchema) => (value: unknown) => validatorOf(schema).Check(value)

function faultsOf(schema: TSchema, value: unknown, where: string): readonly Fault[] {
  const validator = validatorOf(schema)
  if (validator.Check(value)) return []
  return validator.Errors(value)[1].map(({ instancePath, message }) => ({
    path: where + instancePath.replaceAll('/', '.'),
    message,
  }))
}

/** `format` decides, then Accept; JSON where neither asks for text. */
function wantsText(asked: Asked, query: Readonly<Record<string, string>>): boolean {
  if (query['format'] !== undefined) return query['format'] === 'text'
  const accept = asked.header('accept') ?? ''
  return accept.includes('text/plain') && !accept.includes('json')
}
