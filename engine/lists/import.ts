/** Imports a suppression list into the ledger, where every process of the engine finds it. */
import type { Kysely } from 'kysely'
import type { ListHash, ListKind } from '../../rules/suppression.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type ReadList, readList } from './reader.ts'
import { putList } from './store.ts'

export interface ImportTask {
  readonly name: string
  readonly path: string
  readonly of: ListKind
  /** How the file's entries are hashed; null: not at all. */
  readonly hash: ListHash | null
}

/** Replaces the list as a whole, or leaves it as it was where anything fails. Entries are kept as keyed digests only. */
export async function importList(
  db: Kysely<LedgerTables>,
  seal: Sealer,
  { name, path, of, hash }: ImportTask,
  progress: (lines: number) => void,
): Promise<ReadList> {
  const read = await readList(path, { of, hash }, seal, progress)
  await db.transaction().execute((tx) => putList(tx, { name, of, hash, numbers: read.numbers }))
  return read
}
