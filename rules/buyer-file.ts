/** A buyer's own list of what it bought, compared with what the ledger says that it was sold. */
import type { Micros } from './units.ts'

/** One line of the buyer's file. It names the lead by our id or by its own reference. */
export interface FileRow {
  readonly leadId: string | null
  readonly buyerReference: string | null
  /** Null: the file names no prices. */
  readonly price: Micros | null
}

/** One post to the buyer, as the ledger has it. */
export interface LedgerRow {
  readonly leadId: string
  readonly contract: string
  readonly state: 'in_doubt' | 'accepted' | 'rejected' | 'not_sent'
  readonly price: Micros
  readonly buyerReference: string | null
}

export interface Pair {
  readonly ours: LedgerRow
  readonly theirs: FileRow
}

export interface Comparison {
  /** Sold, and in the file for the same price or for none. */
  readonly matched: readonly Pair[]
  readonly priceDiffers: readonly Pair[]
  /** In doubt, and in the file: evidence of a sale. */
  readonly settled: readonly Pair[]
  /** In the file, and not sold by us: rejected, not sent. */
  readonly denied: readonly Pair[]
  /** Sold or in doubt, and not in the file. */
  readonly oursOnly: readonly LedgerRow[]
  /** In the file, and no post of ours; or the same one a second time. */
  readonly theirsOnly: readonly FileRow[]
}

/** Each line of the file meets one post at most: by our id first, else by the buyer's reference where it is one post's alone. */
export function compareFile(ours: readonly LedgerRow[], theirs: readonly FileRow[]): Comparison {
  const byLead = groupBy(ours, ({ leadId }) => leadId)
  const byReference = groupBy(ours, ({ buyerReference }) => buyerReference)
  const met = new Set<LedgerRow>()
  const found = { matched: [], priceDiffers: [], settled: [], denied: [] } as Record<PairKind, Pair[]>
  const theirsOnly: FileRow[] = []
  for (const row of theirs) {
    const named = (row.leadId !== null && byLead.get(row.leadId)) || []
    const referenced = (row.buyerReference !== null && byReference.get(row.buyerReference)) || []
    const candidates = named.length > 0 ? named : referenced.length === 1 ? referenced : []
    const post = candidates.toSorted((a, b) => RANK[a.state] - RANK[b.state]).find((one) => !met.has(one))
    if (post === undefined) theirsOnly.push(row)
    else {
      met.add(post)
      found[kindOf(post, row)].push({ ours: post, theirs: row })
    }
  }
  const oursOnly = ours.filter((one) => !met.has(one) && (one.state === 'accepted' || one.state === 'in_doubt'))
  return { ...found, oursOnly, theirsOnly }
}

type PairKind = 'matched' | 'priceDiffers' | 'settled' | 'denied'
/** Of several posts of one lead to one buyer, the one that counts. */
const RANK = { accepted: 0, in_doubt: 1, rejected: 2, not_sent: 3 } as const

function kindOf({ state, price }: LedgerRow, theirs: FileRow): PairKind {
  if (state === 'in_doubt') return 'settled'
  if (state !== 'accepted') return 'denied'
  return theirs.price === null || theirs.price === price ? 'matched' : 'priceDiffers'
}

function groupBy(rows: readonly LedgerRow[], keyOf: (row: LedgerRow) => string | null): Map<string, LedgerRow[]> {
  const groups = new Map<string, LedgerRow[]>()
  for (const row of rows) {
    const key = keyOf(row)
    if (key === null) continue
    const group = groups.get(key)
    if (group) group.push(row)
    else groups.set(key, [row])
  }
  return groups
}
