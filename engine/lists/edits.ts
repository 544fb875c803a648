/** How operators change suppression lists: small ones at once, by entries that are forgotten as soon as they are digests. */
import type { Kysely, Selectable } from 'kysely'
import { type ListHash, type ListKind, NumberSet } from '../../rules/suppression.ts'
import type { Actor } from '../configuration/publishing.ts'
import { inTurns } from '../configuration/stepwise.ts'
import type { Sealer } from '../seal.ts'
import { lockVersions, newestVersion } from '../store/queries.ts'
import type { LedgerTables, ListsTable } from '../store/tables.ts'
import { distinct, readLines } from './reader.ts'
import { numbersOf, putList } from './store.ts'

type Db = Kysely<LedgerTables>
export type ListRow = Selectable<ListsTable>

/** Longer lists are imported again as a whole: to change one takes time that leads would wait for. */
export const MOST_CHANGED = 500_000

export interface ListEdit {
  readonly kind: 'put' | 'add' | 'remove'
  readonly name: string
  /** What its entries are; of a list that is there, as it says itself. */
  readonly of: ListKind | null
  readonly hash: ListHash | null
  readonly lines: readonly string[]
  /** Whether it may be changed as it is now. */
  readonly fits: (row: ListRow | null) => boolean
}

/** What a list's entries are, and how they are hashed. */
export interface Spec {
  readonly of: ListKind
  readonly hash: ListHash | null
}

export type ListEdited =
  | { readonly ok: true; readonly made: boolean; readonly row: ListRow }
  | { readonly ok: false; readonly code: 'UNKNOWN' | 'LONG' }
  /** The newest version says that it holds something else. */
  | { readonly ok: false; readonly code: 'OTHER'; readonly spec: Spec }
  | { readonly ok: false; readonly code: 'STALE'; readonly row: ListRow | null }
  | { readonly ok: false; readonly code: 'FAULTY'; readonly faults: number; readonly lines: readonly number[] }

export const listRow = (db: Db, name: string): Promise<ListRow | undefined> =>
  db.selectFrom('lists').selectAll().where('name', '=', name).executeTakeFirst()

/** All or nothing: one line that is no entry changes nothing. */
export async function editList(db: Db, seal: Sealer, actor: Actor, edit: ListEdit): Promise<ListEdited> {
  const before = await listRow(db, edit.name)
  const named = listsIn((await newestVersion(db)).canonical)[edit.name]
  const said: Spec | null = named ? { of: named.of, hash: named.hash ?? null } : null
  const own = edit.kind === 'put' ? { of: edit.of!, hash: edit.hash } : before && { of: before.kind, hash: before.hash }
  if (own === undefined) return { ok: false, code: 'UNKNOWN' }
  if (said && edit.kind === 'put' && (said.of !== own.of || said.hash !== own.hash))
    return { ok: false, code: 'OTHER', spec: said }
  const spec = said ?? own
  const { numbers: given, faults, faultyLines } = await inTurns(readLines(edit.lines, spec, seal))
  if (faults > 0) return { ok: false, code: 'FAULTY', faults, lines: faultyLines }
  return db.transaction().execute(async (tx): Promise<ListEdited> => {
    const row = await tx.selectFrom('lists').selectAll().where('name', '=', edit.name).forUpdate().executeTakeFirst()
    if (!edit.fits(row ?? null)) return { ok: false, code: 'STALE', row: row ?? null }
    if (edit.kind !== 'put' && row?.kind !== spec.of) return { ok: false, code: 'UNKNOWN' }
    if (edit.kind !== 'put' && row!.entries > MOST_CHANGED) return { ok: false, code: 'LONG' }
    const numbers = edit.kind === 'put' ? given : changed(edit.kind, await numbersOf(tx, edit.name), given)
    if (row === undefined || edit.kind === 'put' || numbers.length !== row.entries)
      await putList(tx, { name: edit.name, ...spec, numbers })
    const now = (await listRow(tx, edit.name))!
    await note(tx, actor, `list ${edit.kind}`, edit.name, `${row?.entries ?? 0} -> ${now.entries} entries`)
    return { ok: true, made: row === undefined, row: now }
  })
}

function changed(kind: 'add' | 'remove', numbers: Float64Array<ArrayBuffer>, given: Float64Array): Float64Array {
  if (kind === 'remove') {
    const gone = new NumberSet(given.slice())
    return numbers.filter((number) => !gone.has(number))
  }
  const all = new Float64Array(numbers.length + given.length)
  all.set(numbers)
  all.set(given, numbers.length)
  return distinct(all)
}

export type ListForgotten = 'FORGOTTEN' | 'UNKNOWN' | 'STALE' | 'NAMED'

/** `NAMED`: the newest version, or the draft, has it. */
export function forgetList(
  db: Db,
  actor: Actor,
  name: string,
  fits: (row: ListRow) => boolean,
): Promise<ListForgotten> {
  return db.transaction().execute(async (tx) => {
    await lockVersions(tx)
    const row = await tx.selectFrom('lists').selectAll().where('name', '=', name).forUpdate().executeTakeFirst()
    if (row === undefined) return 'UNKNOWN'
    if (!fits(row)) return 'STALE'
    const draft = await tx.selectFrom('draft').select('canonical').executeTakeFirst()
    const texts = [(await newestVersion(tx)).canonical, ...(draft ? [draft.canonical] : [])]
    if (texts.some((text) => isNamed(text, name))) return 'NAMED'
    await tx.deleteFrom('lists').where('name', '=', name).execute()
    await note(tx, actor, 'list delete', name, `${row.entries} entries are gone`)
    return 'FORGOTTEN'
  })
}

/** One that is read from a file needs nothing of the ledger. */
function isNamed(canonical: string, name: string): boolean {
  const lists = listsIn(canonical)
  return Object.hasOwn(lists, name) && lists[name]!.file === undefined
}

type NamedLists = Readonly<Record<string, { readonly of: ListKind; readonly hash?: ListHash; readonly file?: string }>>
const listsIn = (canonical: string): NamedLists => (JSON.parse(canonical) as { lists?: NamedLists }).lists ?? {}

async function note(tx: Db, { label, role }: Actor, action: string, name: string, change: string): Promise<void> {
  const changes = JSON.stringify([change])
  await tx
    .insertInto('audit')
    .values({ actor: label, role, action, subject: `list ${name}`, changes, version: null })
    .execute()
}
