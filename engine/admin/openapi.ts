/** The OpenAPI 3.1 document of a port's operations, made from the operations themselves. */
import Type, { type TSchema } from 'typebox'
import { type Answer, json, type Operation } from './operation.ts'

/** What a document says of the port that serves its operations. */
export interface Told {
  readonly title: string
  readonly description: string
  /** Where the document lies. */
  readonly path: string
  readonly server: string
  readonly key: string
  /** What every operation that needs a key may answer beside the usual. */
  readonly keyed: Readonly<Record<number, string>>
}

export const ADMIN_PLANE: Told = {
  title: 'Gavelpost admin plane',
  description: 'Configuration, leads, reports and switches of a Gavelpost engine.',
  path: '/admin/v1/openapi.json',
  server: 'The admin port.',
  key: 'A key of the admin plane.',
  keyed: {},
}

/** Adds the operation that tells all the others. */
export function withDocument(operations: readonly Operation[], told: Told): readonly Operation[] {
  const document: Operation = {
    id: 'openapi',
    method: 'GET',
    path: told.path,
    tag: 'engine',
    summary: 'This document.',
    role: null,
    answers: { 200: { description: 'OpenAPI 3.1.', schema: Type.Record(Type.String(), Type.Unknown()) } },
    run: async () => json(written),
  }
  const all = [...operations, document]
  const written = openApi(all, told)
  return all
}

function openApi(operations: readonly Operation[], { title, description, server, key, keyed }: Told): object {
  const byPath = Map.groupBy(operations, ({ path }) => path)
  const paths = Array.from(byPath, ([path, at]) => [
    path,
    Object.fromEntries(at.map((one) => [one.method.toLowerCase(), operationObject(one, keyed)])),
  ])
  const tags = [...new Set(operations.map(({ tag }) => tag))].map((name) => ({
    name,
    description: `Operations on ${name}.`,
  }))
  return {
    openapi: '3.1.0',
    info: { title, version: '1', description, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/', description: server }],
    security: [{ key: [] }],
    tags,
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: key } },
      schemas: { Problem: shown(Problem) },
    },
  }
}

const Problem = Type.Object(
  { type: Type.String(), title: Type.String(), status: Type.Integer(), detail: Type.String() },
  { description: 'What was wrong and what to do, as RFC 9457 has it.' },
)

function operationObject(operation: Operation, keyed: Told['keyed']): object {
  const { id, tag, summary, role, body, answers } = operation
  const all = { ...answers, ...usualAnswers(operation, keyed) }
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: role === null ? 'Needs no key.' : `Needs the role ${role}.`,
    ...(role === null ? { security: [] } : {}),
    parameters: parametersOf(operation),
    ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: shown(body) } } } } : {}),
    responses: Object.fromEntries(
      Object.entries(all).map(([status, answer]) => [status, answerObject(Number(status), answer)]),
    ),
  }
}

function parametersOf({ params = {}, query, conditional }: Operation): object[] {
  const required = new Set((query as { required?: readonly string[] } | undefined)?.required)
  const properties = (query?.properties ?? {}) as Readonly<Record<string, TSchema>>
  const header = (name: string, needed: boolean, description: string) => ({
    ...{ name, in: 'header', required: needed, description },
    schema: { type: 'string' },
  })
  return [
    ...Object.entries(params).map(([name, schema]) => ({ name, in: 'path', required: true, schema: shown(schema) })),
    ...Object.entries(properties).map(([name, schema]) => ({
      ...{ name, in: 'query', required: required.has(name) },
      schema: shown(schema),
    })),
    ...(conditional ? [header('If-Match', conditional === 'replace', 'The ETag that you have read.')] : []),
    ...(conditional === 'create' ? [header('If-None-Match', false, '* to make what is not there yet.')] : []),
  ]
}

/** What every operation of its kind may answer beside its own. */
function usualAnswers(operation: Operation, keyed: Told['keyed']): Record<number, Answer> {
  const { role, params, query, body, conditional, method, answers } = operation
  const usual: [number, boolean, string][] = [
    [400, body !== undefined, 'The body cannot be read.'],
    [401, role !== null, 'There is no key, or nobody has it.'],
    [403, role !== null, 'The role of the key does not suffice.'],
    [404, params !== undefined, 'There is nothing of this name.'],
    [409, method !== 'GET', 'It contradicts how things stand.'],
    [412, conditional !== undefined, 'Somebody has changed it since you read it.'],
    [413, body !== undefined, 'The body is too large.'],
    [415, body !== undefined, 'The body is no JSON by its Content-Type.'],
    [422, body !== undefined || query !== undefined, 'It has faults: each is listed.'],
    [428, conditional !== undefined, 'It needs If-Match.'],
    [503, true, 'A store is out of reach: try again.'],
    ...Object.entries(keyed).map(([status, words]): [number, boolean, string] => [
      Number(status),
      role !== null,
      words,
    ]),
  ]
  const added = usual.filter(([status, applies]) => applies && !(status in answers))
  return Object.fromEntries(added.map(([status, , description]) => [status, { description }]))
}

function answerObject(status: number, { description, schema, type = 'application/json', orText }: Answer): object {
  const text = orText ? { [orText]: { schema: { type: 'string' } } } : {}
  if (status < 300)
    return { description, ...(schema ? { content: { [type]: { schema: shown(schema) }, ...text } } : {}) }
  const problem = { schema: { $ref: '#/components/schemas/Problem' } }
  return { description, content: { 'application/problem+json': problem } }
}

/** A schema as others read it: our own words for its faults become its description. */
function shown(schema: TSchema): object {
  return JSON.parse(JSON.stringify(schema), (_key, value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const { expects, secret: _secret, hashed: _hashed, address: _address, ...rest } = value
    return typeof expects === 'string' ? { description: expects, ...rest } : rest
  })
}
