/** Operations on what a configuration is made of, one by one, in the draft: read, made, replaced, changed, taken out. */
import { createHash } from 'node:crypto'
import Type, { type TSchema } from 'typebox'
import { canonicalJson } from '../../rules/configuration/canonical.ts'
import { checkShape } from '../../rules/configuration/shape.ts'
import type { Fault } from '../../rules/version.ts'
import type { Actor, Config, Publishing } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import { type Answer, type Call, json, nothing, type Operation, type Page } from './operation.ts'
import { refusal } from './refusals.ts'
import { id, KINDS, nullable, numeral, object, text } from './shapes.ts'

type Group = Readonly<Record<string, unknown>>

const PAGE = 100
const PAGE_MOST = 1_000

export function resourceOperations(publishing: Publishing): readonly Operation[] {
  return [...KINDS.flatMap((kind) => operationsOn(publishing, kind)), ...planOperations(publishing)]
}

function operationsOn(publishing: Publishing, { kind, one, shape }: (typeof KINDS)[number]): readonly Operation[] {
  const name = one[0]!.toUpperCase() + one.slice(1)
  const path = `/admin/v1/${kind}/{id}`
  const shared = { path, tag: kind, params: { id: id(`The id of the ${one}.`) } }
  const shown = { 200: { description: `The ${one}, with its ETag.`, schema: shape } }
  const at = ({ params }: Call) => [kind, params['id']!]
  return [
    {
      ...{ id: `list${name}s`, method: 'GET', path: `/admin/v1/${kind}`, tag: kind, role: 'viewer' },
      summary: `The ${kind} of the draft, in the order of their ids.`,
      query: Type.Object({
        after: Type.Optional(id('Begin after this id.')),
        limit: Type.Optional(numeral('At most so many, up to 1000.')),
      }),
      answers: { 200: { description: 'A page.', schema: pageOf(shape) } },
      run: async (call) => list(await publishing.draft(), kind, call),
    },
    {
      ...{ ...shared, id: `read${name}`, method: 'GET', role: 'viewer', answers: shown },
      summary: `One ${one} of the draft.`,
      run: (call) => read(publishing, at(call)),
    },
    {
      ...{ ...shared, id: `put${name}`, method: 'PUT', role: 'operator', conditional: 'create' },
      body: shape,
      checksBody: true,
      summary: `Makes a ${one} in the draft (If-None-Match: *), or replaces it whole (If-Match).`,
      answers: { ...shown, 201: { description: 'It was made.', schema: shape } },
      run: (call) => put(publishing, at(call), call),
    },
    {
      ...{ ...shared, id: `patch${name}`, method: 'PATCH', role: 'operator', conditional: 'replace', answers: shown },
      summary: `Changes a ${one} in the draft by a JSON merge patch (RFC 7396): null takes a key out.`,
      body: Type.Record(Type.String(), Type.Unknown()),
      run: (call) => change(publishing, at(call), call, (before) => mergePatch(before, call.body)),
    },
    {
      ...{ ...shared, id: `delete${name}`, method: 'DELETE', role: 'operator', conditional: 'replace' },
      summary: `Takes a ${one} out of the draft. Versions that have it keep it.`,
      answers: { 204: { description: 'It is gone from the draft.' } },
      run: async (call) => {
        const page = await change(publishing, at(call), call, () => undefined)
        return page.status === 200 ? nothing() : page
      },
    },
  ] satisfies Operation[]
}

/** The plan has an address of its own: tuning tiers is what operators do most. */
function planOperations(publishing: Publishing): readonly Operation[] {
  const campaign = KINDS.find(({ kind }) => kind === 'campaigns')!.shape as unknown as { properties: { plan: TSchema } }
  const { plan } = campaign.properties
  const answers: Record<number, Answer> = { 200: { description: 'The tiers in their order.', schema: plan } }
  const shared = {
    path: '/admin/v1/campaigns/{id}/plan',
    tag: 'campaigns',
    params: { id: id('The campaign.') },
    answers,
  }
  const at = ({ params }: Call) => ['campaigns', params['id']!, 'plan']
  return [
    {
      ...{ ...shared, id: 'readPlan', method: 'GET', role: 'viewer', summary: 'The tiers of a campaign of the draft.' },
      run: (call) => read(publishing, at(call)),
    },
    {
      ...{ ...shared, id: 'putPlan', method: 'PUT', role: 'operator', conditional: 'replace' },
      body: plan,
      checksBody: true,
      summary: 'Replaces the tiers of a campaign in the draft.',
      run: (call) => change(publishing, at(call), call, () => call.body),
    },
  ]
}

const pageOf = (shape: TSchema): TSchema =>
  object({
    items: Type.Array(object({ id: text('Its id.'), etag: text('What If-Match takes.'), value: shape })),
    next: nullable(text('Where there are more: the id to begin after.')),
  })

function list({ config }: { readonly config: Config }, kind: string, { query }: Call): Page {
  const all = groupAt(config, [kind])
  const most = Math.min(Number(query['limit'] ?? PAGE) || PAGE, PAGE_MOST)
  const ids = Object.keys(all)
    .sort()
    .filter((one) => one > (query['after'] ?? ''))
  const items = ids.slice(0, most).map((one) => ({ id: one, etag: etagOf(all[one]), value: all[one] }))
  return json({ items, next: ids.length > most ? items.at(-1)!.id : null })
}

async function read(publishing: Publishing, path: readonly string[]): Promise<Page> {
  const { config } = await publishing.draft()
  return shown(valueAt(config, path))
}

function shown(value: unknown, status = 200): Page {
  return value === undefined ? problem.nothingHere() : json(value, status, { etag: etagOf(value) })
}

async function put(publishing: Publishing, path: readonly string[], call: Call): Promise<Page> {
  if (!call.ifNoneMatch) return change(publishing, path, call, () => call.body)
  const made = await editAt(publishing, call.actor, path, (before) =>
    before === undefined ? { value: call.body } : 'STALE',
  )
  return made.status === 200 ? { ...made, status: 201 } : made
}

/** `next`: what becomes of it; undefined takes it out. */
async function change(
  publishing: Publishing,
  path: readonly string[],
  { actor, ifMatch }: Call,
  next: (before: unknown) => unknown,
): Promise<Page> {
  const { config } = await publishing.draft()
  if (valueAt(config, path) === undefined) return problem.nothingHere()
  return editAt(publishing, actor, path, (before) => (etagOf(before) === ifMatch ? { value: next(before) } : 'STALE'))
}

/** Edits what stands at a path of the draft. */
export async function editAt(
  publishing: Publishing,
  actor: Actor,
  path: readonly string[],
  next: (before: unknown) => { readonly value: unknown } | 'STALE',
): Promise<Page> {
  let etag: string | null = null
  const edited = await publishing.edit(actor, path.join('.'), (config) => {
    const before = valueAt(config, path)
    const after = next(before)
    if (after === 'STALE') {
      etag = before === undefined ? null : etagOf(before)
      return 'STALE'
    }
    const changed = withValue(config, path, after.value)
    const faults = faultsUnder(changed, path)
    return faults.length > 0 ? { faults } : { config: changed }
  })
  if (!edited.ok) return edited.code === 'STALE' ? problem.changedSince(etag) : refusal(edited, actor)
  const value = valueAt(edited.draft.config, path)
  return value === undefined ? json({}) : shown(value)
}

/** What its shape has against it. What it means beside the others is told when the whole is checked. */
function faultsUnder(config: Config, path: readonly string[]): readonly Fault[] {
  const here = path.join('.')
  const { faults } = checkShape(structuredClone(config))
  return faults.filter(
    (fault) => fault.path === here || fault.path.startsWith(`${here}.`) || fault.path.startsWith(`${here}[`),
  )
}

export const etagOf = (value: unknown): string =>
  `"${createHash('sha256').update(canonicalJson(value)).digest('base64url').slice(0, 22)}"`

export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (isGroup(inner) && Object.hasOwn(inner, key) ? inner[key] : undefined),
    value,
  )
}

const groupAt = (value: unknown, path: readonly string[]): Group => {
  const found = valueAt(value, path)
  return isGroup(found) ? found : {}
}

function withValue(group: Config, path: readonly string[], value: unknown): Config {
  const [key = '', ...rest] = path
  const next = rest.length === 0 ? value : withValue(groupAt(group, [key]), rest, value)
  const others = Object.entries(group).filter(([name]) => name !== key)
  return Object.fromEntries(next === undefined ? others : [...others, [key, next]])
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isGroup(patch)) return patch
  const merged = new Map(Object.entries(isGroup(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  return Object.fromEntries(merged)
}

const isGroup = (value: unknown): value is Group => typeof value === 'object' && value !== null && !Array.isArray(value)
