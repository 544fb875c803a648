/** Imports a suppression list into the ledger, where every process of the engine finds it. */
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { ListHash, ListKind } from '../../rules/suppression.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type ReadList, readList } from './reader.ts'

/** Numbers in one part: a megabyte. */
const PART = 131_072

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
  const { numbers } = read
  await db.transaction().execute(async (tx) => {
    await tx
      .insertInto('lists')
      .values({ name, kind: of, entries: numbers.length })
      .onConflict((conflict) =>
        conflict.column('name').doUpdateSet({
          kind: of,
          entries: numbers.length,
          generation: sql`lists.generation + 1`,
          imported_at: sql`now()`,
        }),
      )
      .execute()
    await tx.deleteFrom('list_parts').where('list', '=', name).execute()
    for (let part = 0; part * PART < numbers.length; part++) {
      const some = numbers.slice(part * PART, (part + 1) * PART)
      await tx
        .insertInto('list_parts')
        .values({ list: name, part, numbers: bytesOf(some) })
        .execute()
    }
  })
  return read
}

function bytesOf(numbers: Float64Array): Buffer {
  const bytes = Buffer.allocUnsafe(numbers.length * Float64Array.BYTES_PER_ELEMENT)
  numbers.forEach((number, at) => {
    bytes.writeDoubleLE(number, at * Float64Array.BYTES_PER_ELEMENT)
  })
  return bytes
}
