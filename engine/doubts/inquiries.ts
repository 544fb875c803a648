/** Asks buyers what became of posts in doubt: the same post again where that is safe, and their status address. */
import { type Kysely, sql } from 'kysely'
import type { WireLead } from '../../buyers/adapter.ts'
import type { BuyersWire, Clock, PostEnd, Timer } from '../../buyers/wire.ts'
import { withOutputs } from '../../rules/checks.ts'
import { leadFromJson } from '../../rules/lead.ts'
import { checkedOf } from '../../rules/trace.ts'
import { micros, ms } from '../../rules/units.ts'
import type { Contract, Snapshot } from '../../rules/version.ts'
import { postFacts } from '../conduct.ts'
import type { Exchanges } from '../exchanges/keeper.ts'
import type { ExchangeKind } from '../exchanges/record.ts'
import { wireLead } from '../intake.ts'
import type { LeadKey, Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { evidenceOf, type ResolveAnswer, type Verdict, verdictOf, type Which } from './resolve.ts'

export interface InquirySettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly wire: Pick<BuyersWire, 'post'>
  readonly seal: Sealer
  /** Keeps what is said; absent: nobody does. */
  readonly exchanges?: Pick<Exchanges, 'of'>
  readonly snapshot: () => Snapshot
  readonly resolve: (leadId: string, which: Which, verdict: Verdict, by: string) => Promise<ResolveAnswer>
  /** Seals a text that may name a person. */
  readonly conceal: (leadId: string, text: string) => string
  /** False once another engine may have fenced this one. */
  readonly mayAct: () => boolean
  readonly log: (text: string) => void
  /** How long after a post could have ended at the latest its buyer is asked first; default 5,000. */
  readonly graceMs?: number
  /** Pause after the first inquiry; four times as long after each, up to two hours. Default 30,000. */
  readonly firstMs?: number
}

/** Whose word a verdict is, for the audit. */
const BY = { retry: 'same-key retry', status: 'status query' } as const
const EVERY_MS = 5_000
const AT_ONCE = 50
/** As long as an INTENT gives its own post. */
const POST_BY_MS = 4_000

interface Doubt {
  readonly leadId: string
  readonly contract: Contract
  readonly lead: WireLead
  readonly key: LeadKey
  readonly bid: number
  readonly buyerReference: string | null
}

export class Inquiries {
  readonly #settings: InquirySettings
  #timer: Timer | null = null
  #passing: Promise<unknown> = Promise.resolve()
  #stopped = false
  #failed = false

  constructor(settings: InquirySettings) {
    this.#settings = settings
  }

  start(): void {
    if (this.#stopped) return
    this.#timer = this.#settings.clock.after(ms(EVERY_MS), () => {
      this.#passing = this.#passSafely().then(() => this.start())
    })
  }

  /** Waits for the inquiries under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#passing
  }

  /** Asks about every doubt that is due. Says how many were settled. Rejects where the ledger is away. */
  async pass(): Promise<number> {
    const { mayAct, db, graceMs = 5_000, firstMs = 30_000 } = this.#settings
    const contracts = this.#askable()
    if (contracts.size === 0 || !mayAct()) return 0
    const { rows } = await sql<{ lead: string; sold_to: string }>`
      select lead, sold_to from due_inquiries(${[...contracts.keys()]}, ${graceMs}, ${firstMs}, ${AT_ONCE})`.execute(db)
    const settled = await Promise.all(rows.map((row) => this.#ask(row.lead, contracts.get(row.sold_to)!)))
    return settled.filter(Boolean).length
  }

  async #passSafely(): Promise<void> {
    try {
      await this.pass()
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#settings.log(`inquiries wait for the ledger: ${(error as Error).message}`)
      this.#failed = true
    }
  }

  /** As the version in force has them: whoever says today how to ask is asked. */
  #askable(): ReadonlyMap<string, Contract> {
    const found = new Map<string, Contract>()
    for (const { contracts } of this.#settings.snapshot().campaigns.values())
      for (const contract of contracts)
        if (contract.idempotent || contract.delivery.status !== null) found.set(contract.id, contract)
    return found
  }

  /** The same post first: its answer is the sale's own. True where the doubt is settled. */
  async #ask(leadId: string, contract: Contract): Promise<boolean> {
    const doubt = await this.#read(leadId, contract)
    if (doubt === null) return false
    if (contract.idempotent && (await this.#heard(doubt, contract, 'retry'))) return true
    const status = statusContract(contract)
    return status !== null && this.#heard(doubt, status, 'status')
  }

  async #heard(doubt: Doubt, asked: Contract, how: keyof typeof BY): Promise<boolean> {
    const { resolve, conceal } = this.#settings
    const { leadId } = doubt
    const answer = evidenceOf(await this.#post(doubt, asked, how))
    const verdict = answer && verdictOf(answer, (text) => conceal(leadId, text))
    if (verdict === null) return false
    return (await resolve(leadId, { contract: doubt.contract.id }, verdict, BY[how])).code === 'RESOLVED'
  }

  #post({ leadId, key, lead, contract, bid, buyerReference }: Doubt, asked: Contract, how: ExchangeKind) {
    const { clock, wire, exchanges } = this.#settings
    const told = { ...lead, witness: exchanges?.of(leadId, key, how) }
    const facts = postFacts(lead.id, contract.id, micros(bid), buyerReference, clock.wall())
    const postBy = ms(clock.mono() + POST_BY_MS)
    return new Promise<PostEnd>((ended) => wire.post(asked, told, facts, postBy, ended, () => {}))
  }

  /** Null where the person was erased, or its source is no longer configured: nobody can be asked about it. */
  async #read(leadId: string, contract: Contract): Promise<Doubt | null> {
    const { db, seal, snapshot } = this.#settings
    const row = await db
      .selectFrom('leads as l')
      .innerJoin('lead_keys as k', 'k.lead_id', 'l.id')
      .innerJoin('intents as i', 'i.lead_id', 'l.id')
      .select([
        'l.campaign',
        'l.source',
        'l.test',
        'l.sealed',
        'l.trace',
        'k.wrapped',
        'k.key_version',
        'i.bid',
        'i.buyer_reference',
      ])
      .where('l.id', '=', leadId)
      .where('i.contract', '=', contract.id)
      .where('i.state', '=', 'in_doubt')
      .executeTakeFirst()
    const source = row && snapshot().sources.get(row.source)
    if (!row || !source) return null
    const sealed = row.sealed.toString('base64')
    const wrapped = { wrappedKey: row.wrapped.toString('base64'), keyVersion: row.key_version }
    const kept = leadFromJson(seal.open(leadId, { sealed, ...wrapped }))
    // The same post says what the first one said: what checks found out stands in the trace.
    const checked = row.trace === null ? undefined : checkedOf(JSON.parse(row.trace))
    const lead = checked === undefined ? kept : withOutputs(kept, checked.said)
    const wire = wireLead(leadId, { id: row.campaign }, source, lead, row.test, undefined)
    const key = seal.keyOf(leadId, wrapped)
    return { leadId, contract, lead: wire, key, bid: row.bid, buyerReference: row.buyer_reference }
  }
}

const STATUS_CONTRACTS = new WeakMap<Contract, Contract>()

/** The contract as if its post were the question after the lead: the wire reads the answer by the same table. */
function statusContract(contract: Contract): Contract | null {
  const { status } = contract.delivery
  if (status === null) return null
  const known = STATUS_CONTRACTS.get(contract)
  if (known !== undefined) return known
  const made = { ...contract, delivery: { ...contract.delivery, postUrl: status.url, post: status.message } }
  STATUS_CONTRACTS.set(contract, made)
  return made
}
