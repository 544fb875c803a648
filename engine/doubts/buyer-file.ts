/** Takes a buyer's own list of what it bought: settles doubts by it, keeps contradictions as disputes, reports the rest. */
import type { Kysely } from 'kysely'
import { type Comparison, compareFile, type FileRow, type LedgerRow } from '../../rules/buyer-file.ts'
import { micros } from '../../rules/units.ts'
import type { LedgerTables } from '../store/tables.ts'
import type { ResolveAnswer, Verdict, Which } from './resolve.ts'

export interface BuyerFile {
  readonly buyer: string
  /** Posts that were held within [from, to) are what the file speaks of. */
  readonly from: Date
  readonly to: Date
  readonly rows: readonly FileRow[]
  /** The file lists all that the buyer bought in that time: what is missing there was not bought. */
  readonly complete: boolean
}

export interface BuyerFilePorts {
  readonly db: Kysely<LedgerTables>
  readonly resolve: (leadId: string, which: Which, verdict: Verdict, by: string) => Promise<ResolveAnswer>
}

export interface FileReport extends Comparison {
  /** Doubts that this file settled, and verdicts that contradict what stands. */
  readonly resolved: number
  readonly disputed: number
}

/** A longer list is taken in parts. */
export const MOST_FILE_ROWS = 50_000

/** `by` names who brought it, for the audit. Null where the time has more posts than one call compares: nothing was done. */
export async function takeBuyerFile(ports: BuyerFilePorts, file: BuyerFile, by: string): Promise<FileReport | null> {
  const ours = await postsOf(ports.db, file)
  if (ours.length > MOST_FILE_ROWS) return null
  const compared = compareFile(ours, file.rows)
  const counts = { resolved: 0, disputed: 0 }
  const give = async ({ leadId, contract }: LedgerRow, verdict: Verdict): Promise<void> => {
    const { code } = await ports.resolve(leadId, { contract }, verdict, `file of ${by}`)
    if (code === 'RESOLVED') counts.resolved++
    if (code === 'SETTLED') counts.disputed++
  }
  for (const { ours: post, theirs } of [...compared.settled, ...compared.denied])
    await give(post, { kind: 'sold', price: theirs.price, buyerReference: theirs.buyerReference, redirectUrl: null })
  if (file.complete) for (const post of compared.oursOnly) await give(post, { kind: 'no_sale', reason: 'unresolved' })
  return { ...compared, ...counts }
}

async function postsOf(db: Kysely<LedgerTables>, { buyer, from, to }: BuyerFile): Promise<readonly LedgerRow[]> {
  const rows = await db
    .selectFrom('intents')
    .innerJoin('leads', 'leads.id', 'intents.lead_id')
    .select(['lead_id', 'contract', 'intents.state', 'price', 'buyer_reference'])
    .where('buyer', '=', buyer)
    .where('held_at', '>=', from)
    .where('held_at', '<', to)
    .where('intents.state', '!=', 'open')
    .where('test', '=', false)
    .orderBy('lead_id')
    .limit(MOST_FILE_ROWS + 1)
    .execute()
  return rows.map((row) => ({
    leadId: row.lead_id,
    contract: row.contract,
    state: row.state as LedgerRow['state'],
    price: micros(row.price),
    buyerReference: row.buyer_reference,
  }))
}
