/** A ledger on paper: the ownership rules and the indexes of the real one, in one process's memory. */

import type {
  FinalRow,
  FinalStatus,
  IntentAnswer,
  IntentRow,
  LeadRecord,
  Ledger,
  ReceivedAnswer,
  ReceivedRow,
  ResultRow,
} from '../../engine/store/port.ts'
import type { PlaceGroup } from '../../rules/caps.ts'
import type { KeptSighting } from '../../rules/claims.ts'
import { micros } from '../../rules/units.ts'

export interface PaperIntent {
  readonly row: IntentRow
  state: 'open' | ResultRow['state']
  result: ResultRow | null
}

interface PaperLead {
  readonly received: ReceivedRow
  term: number
  final: FinalStatus | null
}

/** Intent states that take a copy and a buyer out of the market. */
const TAKEN: readonly PaperIntent['state'][] = ['open', 'in_doubt', 'accepted']

export class PaperLedger {
  epoch = 1
  /** True once another engine took this one for dead. */
  fenced = false
  readonly leads = new Map<string, PaperLead>()
  readonly intents: PaperIntent[] = []
  /** Every acceptance, as the sales table would have it. */
  readonly sales: ResultRow[] = []
  /** The unique indexes on intents, as functions of the taken ones and a new one. */
  clashes: (taken: IntentRow, fresh: IntentRow) => boolean = (taken, fresh) =>
    taken.copy === fresh.copy || taken.buyer === fresh.buyer

  received(row: ReceivedRow): ReceivedAnswer {
    const { idempotency } = row
    const bound = idempotency && this.bound(idempotency.key)
    if (bound && bound.leadId !== row.leadId) return { code: 'BOUND', ...bound }
    if (!this.leads.has(row.leadId)) this.leads.set(row.leadId, { received: row, term: 1, final: null })
    return { code: 'STORED' }
  }

  sighting(leadId: string): KeptSighting | null {
    const { received, final } = this.leads.get(leadId) ?? {}
    return received && final?.sighting ? { ...final.sighting, fingerprints: received.fingerprints } : null
  }

  bound(key: string): { readonly leadId: string; readonly bodyHash: string } | null {
    for (const { received } of this.leads.values())
      if (received.idempotency?.key === key) return { leadId: received.leadId, bodyHash: received.idempotency.bodyHash }
    return null
  }

  /** Results are written whatever becomes of the intent. */
  intent(row: IntentRow, results: readonly ResultRow[]): IntentAnswer {
    for (const result of results) this.#write(row.leadId, result)
    const lead = this.leads.get(row.leadId)
    if (this.fenced || !lead || lead.term !== row.term || lead.final) return 'FENCED'
    if (row.epoch !== this.epoch && row.groups.length > 0) return 'STALE'
    const same = this.#find(row.leadId, row.contract, row.attempt)
    if (same) return same.state === 'open' ? 'INTENDED' : 'CONFLICT'
    const taken = this.intentsOf(row.leadId).filter((intent) => TAKEN.includes(intent.state))
    if (taken.some((intent) => this.clashes(intent.row, row))) return 'CONFLICT'
    this.intents.push({ row, state: 'open', result: null })
    return 'INTENDED'
  }

  result(row: FinalRow): void {
    for (const result of row.results) this.#write(row.leadId, result)
    const lead = this.leads.get(row.leadId)
    if (lead && row.final && lead.term === row.term) lead.final ??= row.final
  }

  intentsOf(leadId: string): PaperIntent[] {
    return this.intents.filter((intent) => intent.row.leadId === leadId)
  }

  /** What a rebuild of the hot store reads: committed places, and the tokens of posts nobody knows the end of. */
  image(): { committed: PlaceGroup[]; tokens: { token: string; state: 'posting'; groups: readonly PlaceGroup[] }[] } {
    const committed: PlaceGroup[] = []
    const tokens: { token: string; state: 'posting'; groups: readonly PlaceGroup[] }[] = []
    for (const { row, state } of this.intents) {
      if (state === 'accepted')
        for (const { tag, places } of row.groups)
          committed.push({ tag, places: places.filter((one) => !one.transient) })
      else if (TAKEN.includes(state))
        tokens.push({
          token: `${row.leadId}:${row.contract}:${row.term}.${row.attempt}`,
          state: 'posting',
          groups: row.groups,
        })
    }
    return { committed, tokens }
  }

  record(leadId: string): LeadRecord | null {
    const lead = this.leads.get(leadId)
    if (!lead) return null
    const { received, final } = lead
    return {
      leadId,
      campaign: received.campaign,
      source: received.source,
      status: final?.status ?? 'received',
      payout: final?.payout ?? micros(0),
      copies: final?.copies ?? 0,
      reasons: final?.reasons ?? [],
      redirectUrl: final?.redirectUrl ?? null,
      leadRef: received.leadRef,
      currency: received.currency,
      decided: final !== null,
      test: received.test,
      returned: { copies: 0, payout: micros(0) },
    }
  }

  /** The first end of a post wins; only a doubt may be resolved later. */
  #write(leadId: string, result: ResultRow): void {
    const intent = this.#find(leadId, result.contract, result.attempt)
    if (!intent || (intent.state !== 'open' && intent.state !== 'in_doubt')) return
    intent.state = result.state
    intent.result = result
    if (result.state === 'accepted') this.sales.push(result)
  }

  #find(leadId: string, contract: string, attempt: number): PaperIntent | undefined {
    return this.intents.find(({ row }) => row.leadId === leadId && row.contract === contract && row.attempt === attempt)
  }
}

/** The same behind the engine's port: every answer is durable at once. */
export class MemoryLedger implements Ledger {
  readonly paper: PaperLedger

  constructor(paper = new PaperLedger()) {
    this.paper = paper
  }

  async received(row: ReceivedRow): Promise<ReceivedAnswer> {
    return this.paper.received(row)
  }

  async intent(row: IntentRow, results: readonly ResultRow[]): Promise<IntentAnswer> {
    return this.paper.intent(row, results)
  }

  async result(row: FinalRow): Promise<void> {
    this.paper.result(row)
  }

  async invalid(): Promise<void> {}

  async lead(leadId: string): Promise<LeadRecord | null> {
    return this.paper.record(leadId)
  }

  async sighting(leadId: string): Promise<KeptSighting | null> {
    return this.paper.sighting(leadId)
  }

  async bound(key: string): Promise<{ readonly leadId: string; readonly bodyHash: string } | null> {
    return this.paper.bound(key)
  }
}
