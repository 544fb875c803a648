/** Operations on the contents of suppression lists: how many entries each has, and how they change; never the entries. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { LIST_HASHES, LIST_KINDS, type ListHash, type ListKind } from '../../rules/suppression.ts'
import { editList, forgetList, type ListEdit, type ListRow, listRow, MOST_CHANGED } from '../lists/edits.ts'
import * as problem from '../problem.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, nothing, type Operation, type Page } from './operation.ts'
import { id, moment, nullable, object, text, whole, words } from './shapes.ts'

type Db = Kysely<LedgerTables>

/** More at once come by `npm run list -- import`. */
const MOST_LINES = 50_000
const BODY_BYTES = 4_000_000
const MOST_LISTS = 1_000

const lines = Type.Union(
  [
    Type.Array(Type.String({ maxLength: 500 }), { maxItems: MOST_LINES }),
    Type.String({ maxLength: BODY_BYTES, description: 'One a line.' }),
  ],
  { description: 'At most 50,000, each as people write it or, of a list that is hashed, in hex.' },
)
const Shown = object({
  name: text('As the configuration names it under lists.'),
  of: words(...LIST_KINDS),
  hash: nullable(words(...LIST_HASHES)),
  entries: whole('How many it has.'),
  generation: whole('Grows with each change.'),
  changed_at: moment('When it changed last.'),
})
const Changed = object({ entries: lines })
const Whole = object({ of: words(...LIST_KINDS), hash: Type.Optional(words(...LIST_HASHES)), entries: lines })

export function suppressionOperations(db: Db, seal: Sealer): readonly Operation[] {
  const shared = { tag: 'lists', params: { id: id('The list.') }, path: '/admin/v1/suppression/{id}' }
  const shown = { 200: { description: 'The list, with its ETag.', schema: Shown } }
  return [
    {
      ...{ id: 'listSuppression', method: 'GET', path: '/admin/v1/suppression', tag: 'lists', role: 'viewer' },
      summary: 'Every suppression list that the ledger keeps.',
      answers: { 200: { description: 'By name.', schema: object({ items: Type.Array(Shown) }) } },
      run: async () => {
        const rows = await db.selectFrom('lists').selectAll().orderBy('name').limit(MOST_LISTS).execute()
        return json({ items: rows.map(shownList) })
      },
    },
    {
      ...{ ...shared, id: 'readSuppression', method: 'GET', role: 'viewer', answers: shown },
      summary: 'How many entries a suppression list has. Entries are kept as keyed digests: nobody can read them.',
      run: async ({ params }) => shownOr404(await listRow(db, params['id']!)),
    },
    {
      ...{ ...shared, id: 'putSuppression', method: 'PUT', role: 'operator', conditional: 'create' },
      ...{ body: Whole, bodyBytes: BODY_BYTES },
      summary: 'Makes a suppression list (If-None-Match: *), or replaces its entries (If-Match). All or nothing.',
      answers: { ...shown, 201: { description: 'It was made.', schema: Shown } },
      run: (call) => put(db, seal, call),
    },
    ...(['add', 'remove'] as const).map(
      (kind): Operation => ({
        ...{ ...shared, id: `${kind}Suppression`, method: 'POST', path: `/admin/v1/suppression/{id}:${kind}` },
        ...{ role: 'operator', body: Changed, bodyBytes: BODY_BYTES, answers: shown },
        summary: kind === 'add' ? 'Adds entries to a suppression list.' : 'Takes entries out of a suppression list.',
        run: ({ actor, params, body }) => {
          const none = { of: null, hash: null, fits: () => true }
          return edit(db, seal, actor, { ...none, kind, name: params['id']!, lines: linesOf(body) })
        },
      }),
    ),
    {
      ...{ ...shared, id: 'deleteSuppression', method: 'DELETE', role: 'operator', conditional: 'replace' },
      summary: 'Deletes a suppression list that neither the newest version nor the draft names.',
      answers: { 204: { description: 'It is gone.' } },
      run: (call) => forget(db, call),
    },
  ]
}

function put(db: Db, seal: Sealer, { actor, params, body, ifMatch, ifNoneMatch }: Call): Promise<Page> {
  const { of, hash } = body as { of: ListKind; hash?: ListHash }
  const fits = (row: ListRow | null) => (ifNoneMatch ? row === null : row !== null && etagOf(row) === ifMatch)
  const edited = { kind: 'put', name: params['id']!, of, hash: hash ?? null, lines: linesOf(body), fits } as const
  return edit(db, seal, actor, edited)
}

async function edit(db: Db, seal: Sealer, actor: Call['actor'], given: ListEdit): Promise<Page> {
  const { lines: all, name } = given
  if (all.length > MOST_LINES) return problem.conflict(`More than ${MOST_LINES} entries come by ${importing(name)}.`)
  const edited = await editList(db, seal, actor, given)
  if (edited.ok) return shownPage(edited.row, edited.made ? 201 : 200)
  switch (edited.code) {
    case 'UNKNOWN':
      return problem.nothingHere()
    case 'STALE':
      return problem.changedSince(edited.row && etagOf(edited.row))
    case 'LONG':
      return problem.conflict(
        `It has more than ${MOST_CHANGED} entries: import it again as a whole, by ${importing(name)}.`,
      )
    case 'OTHER': {
      const { of, hash } = edited.spec
      const message = `the newest version says that it holds ${of}${hash ? ` hashed by ${hash}` : ', plain'}: give that, or change lists.${name} there first.`
      return problem.faulty('Nothing was changed.', [{ path: 'body.of', message }])
    }
    case 'FAULTY': {
      const message = `${edited.faults} lines are no entries of this list, so nothing was changed. The first: ${edited.lines.join(', ')}.`
      return problem.faulty('The entries have faults.', [{ path: 'body.entries', message }])
    }
    default:
      return edited satisfies never
  }
}

const importing = (name: string): string => `npm run list -- import ${name} FILE`

async function forget(db: Db, { actor, params, ifMatch }: Call): Promise<Page> {
  const name = params['id']!
  const done = await forgetList(db, actor, name, (row) => etagOf(row) === ifMatch)
  switch (done) {
    case 'FORGOTTEN':
      return nothing()
    case 'UNKNOWN':
      return problem.nothingHere()
    case 'STALE': {
      const row = await listRow(db, name)
      return problem.changedSince(row ? etagOf(row) : null)
    }
    case 'NAMED':
      return problem.conflict(
        `The newest version or the draft names it: take lists.${name} out there first, and publish.`,
      )
    default:
      return done satisfies never
  }
}

function linesOf(body: unknown): readonly string[] {
  const { entries } = body as { entries: string | readonly string[] }
  return typeof entries === 'string' ? entries.split('\n') : entries
}

const etagOf = ({ generation, kind, hash }: ListRow): string => `"${kind}-${hash ?? 'plain'}-${generation}"`
const shownPage = (row: ListRow, status = 200): Page => json(shownList(row), status, { etag: etagOf(row) })
const shownOr404 = (row: ListRow | undefined): Page => (row ? shownPage(row) : problem.nothingHere())

const shownList = ({ name, kind, hash, entries, generation, imported_at }: ListRow): object => ({
  ...{ name, of: kind, hash, entries, generation },
  changed_at: imported_at.toISOString(),
})
