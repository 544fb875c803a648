/** Suppression lists in the ledger: their numbers in parts, replaced as a whole. */
import { type Kysely, sql } from 'kysely'
import type { ListHash, ListKind } from '../../rules/suppression.ts'
import type { LedgerTables } from '../store/tables.ts'

type Db = Kysely<LedgerTables>

/** Numbers in one part: a megabyte. */
const PART = 131_072
const BYTES = Float64Array.BYTES_PER_ELEMENT

export interface KeptList {
  readonly name: string
  readonly of: ListKind
  readonly hash: ListHash | null
  /** Sorted, each once. */
  readonly numbers: Float64Array
}

/** Makes or replaces it; every process reads it again. In a transaction. */
export async function putList(tx: Db, { name, of, hash, numbers }: KeptList): Promise<void> {
  const values = { kind: of, hash, entries: numbers.length }
  await tx
    .insertInto('lists')
    .values({ name, ...values })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ ...values, generation: sql`lists.generation + 1`, imported_at: sql`now()` }),
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
}

export async function numbersOf(db: Db, name: string): Promise<Float64Array<ArrayBuffer>> {
  const rows = await db.selectFrom('list_parts').select('numbers').where('list', '=', name).orderBy('part').execute()
  const bytes = Buffer.concat(rows.map(({ numbers }) => numbers))
  const numbers = new Float64Array(bytes.length / BYTES)
  for (let at = 0; at < numbers.length; at++) numbers[at] = bytes.readDoubleLE(at * BYTES)
  return numbers
}

function bytesOf(numbers: Float64Array): Buffer {
  const bytes = Buffer.allocUnsafe(numbers.length * BYTES)
  numbers.forEach((number, at) => {
    bytes.writeDoubleLE(number, at * BYTES)
  })
  return bytes
}
