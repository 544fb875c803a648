/** Operations on keys: made by the engine, shown once, kept as a hash in the draft, two live at a time. */
import { createHash, randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import Type from 'typebox'
import type { Publishing } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, nothing, type Operation, type Page } from './operation.ts'
import { editAt, valueAt } from './resources.ts'
import { id, moment, nullable, object, text, words } from './shapes.ts'

interface Key {
  readonly sha256: string
  readonly label?: string
  readonly test?: boolean
  readonly role?: string
}

/** Whose keys: a source's, a buyer's, or those of the admin plane. */
interface Holder {
  readonly name: string
  readonly prefix: string
  readonly path: string
  readonly params: Readonly<Record<string, ReturnType<typeof id>>>
  readonly at: (call: Call) => readonly string[]
  readonly live: number
}

const SOURCES: Holder = {
  name: 'SourceKey',
  prefix: 'gps',
  path: '/admin/v1/sources/{id}/keys',
  params: { id: id('The source.') },
  at: ({ params }) => ['sources', params['id']!, 'keys'],
  live: 2,
}
const BUYERS: Holder = {
  name: 'BuyerKey',
  prefix: 'gpb',
  path: '/admin/v1/buyers/{id}/keys',
  params: { id: id('The buyer.') },
  at: ({ params }) => ['buyers', params['id']!, 'keys'],
  live: 2,
}
const ADMINS: Holder = {
  name: 'AdminKey',
  prefix: 'gpa',
  path: '/admin/v1/keys',
  params: {},
  at: () => ['admin', 'keys'],
  live: 50,
}

const ID_LENGTH = 12
const keyId = Type.String({ pattern: `^[0-9a-f]{${ID_LENGTH}}$`, description: 'The first 12 digits of its hash.' })
const label = Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Who has it, for the audit.' }))
const facts = {
  key_id: text('The first 12 digits of its hash.'),
  label: nullable(text('Who has it.')),
}
const Listed = {
  ...facts,
  test: Type.Boolean(),
  role: nullable(words('viewer', 'operator', 'admin')),
  used_at: nullable(moment('When it was used last, to the minute.')),
}

export function keyOperations(publishing: Publishing, db: Kysely<LedgerTables>): readonly Operation[] {
  const test = { test: Type.Optional(Type.Boolean({ description: 'A test key sells nothing.' })) }
  const role = { role: Type.Optional(words('viewer', 'operator', 'admin')) }
  return [
    ...operationsOn(publishing, db, SOURCES, object({ label, ...test })),
    ...operationsOn(publishing, db, BUYERS, object({ label })),
    ...operationsOn(publishing, db, ADMINS, object({ label, ...role })),
  ]
}

function operationsOn(
  publishing: Publishing,
  db: Kysely<LedgerTables>,
  holder: Holder,
  body: ReturnType<typeof object>,
): readonly Operation[] {
  const { name, path, params } = holder
  const shared = { tag: 'keys', role: 'admin' } as const
  return [
    {
      ...{
        ...shared,
        id: `list${name}s`,
        method: 'GET',
        path,
        params,
        summary: 'The keys in the draft; never the keys themselves.',
      },
      answers: { 200: { description: 'In the order in which they were made.', schema: Type.Array(object(Listed)) } },
      run: async (call) => list(db, valueAt((await publishing.draft()).config, holder.at(call))),
    },
    {
      ...{ ...shared, id: `make${name}`, method: 'POST', path, params, body },
      summary: 'Makes a key. It is shown in this answer alone, and works once the draft is published.',
      answers: { 201: { description: 'The key.', schema: object({ key: text('The key itself.'), ...facts }) } },
      run: (call) => make(publishing, holder, call),
    },
    {
      ...{ ...shared, id: `delete${name}`, method: 'DELETE', path: `${path}/{key}`, params: { ...params, key: keyId } },
      summary: 'Takes a key out of the draft. It stops to work once the draft is published.',
      answers: { 204: { description: 'It is gone from the draft.' } },
      run: (call) => remove(publishing, holder, call),
    },
  ]
}

const idOf = (key: Key): string => key.sha256.toLowerCase().slice(0, ID_LENGTH)

async function list(db: Kysely<LedgerTables>, keys: unknown): Promise<Page> {
  const listed = (keys ?? []) as readonly Key[]
  const hashes = listed.map(({ sha256 }) => sha256.toLowerCase())
  const uses =
    hashes.length === 0 ? [] : await db.selectFrom('key_uses').selectAll().where('sha256', 'in', hashes).execute()
  const usedAt = new Map(uses.map(({ sha256, used_at }) => [sha256, used_at.toISOString()]))
  return json(
    listed.map((key) => ({
      key_id: idOf(key),
      label: key.label ?? null,
      test: key.test ?? false,
      role: key.role ?? null,
      used_at: usedAt.get(key.sha256.toLowerCase()) ?? null,
    })),
  )
}

async function make(publishing: Publishing, holder: Holder, call: Call): Promise<Page> {
  const path = holder.at(call)
  const { config } = await publishing.draft()
  const before = (valueAt(config, path) ?? []) as readonly Key[]
  if (holder !== ADMINS && valueAt(config, path.slice(0, -1)) === undefined) return problem.nothingHere()
  const given = call.body as Omit<Key, 'sha256'>
  const live = before.filter((key) => key.test !== true).length
  if (given.test !== true && live >= holder.live) {
    return problem.conflict(
      `There are ${live} live keys, which is as many as there may be: take out the one that is no longer used.`,
    )
  }
  const secret = `${holder.prefix}_${randomBytes(32).toString('base64url')}`
  const sha256 = createHash('sha256').update(secret).digest('hex')
  const made = { sha256, ...given }
  const edited = await editAt(publishing, call.actor, path, (keys) => ({
    value: [...((keys ?? []) as readonly Key[]), made],
  }))
  return edited.status === 200 ? json({ key: secret, key_id: idOf(made), label: given.label ?? null }, 201) : edited
}

async function remove(publishing: Publishing, holder: Holder, call: Call): Promise<Page> {
  const path = holder.at(call)
  const { config } = await publishing.draft()
  const keys = (valueAt(config, path) ?? []) as readonly Key[]
  if (!keys.some((key) => idOf(key) === call.params['key'])) return problem.nothingHere()
  const edited = await editAt(publishing, call.actor, path, (now) => ({
    value: ((now ?? []) as readonly Key[]).filter((key) => idOf(key) !== call.params['key']),
  }))
  return edited.status === 200 ? nothing() : edited
}
