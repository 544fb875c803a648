/** Returns of sold copies: asked for by buyers, decided by operators or by the contract's terms, reversed in the ledger. */
import { type Kysely, type Selectable, sql } from 'kysely'
import { validate } from 'uuid'
import { windowOf } from '../../rules/calendar.ts'
import { returnTerms } from '../../rules/configuration/snapshot.ts'
import { clawbackOf, mostReturns, type ReturnTerms } from '../../rules/returns.ts'
import { readTrace } from '../../rules/trace.ts'
import { wallMs } from '../../rules/units.ts'
import { conceal, reveal } from '../conceal.ts'
import type { Versions } from '../configuration/versions.ts'
import { earningOf, lockMoney } from '../earnings.ts'
import { newId } from '../random.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables, ReturnState, ReturnsTable } from '../store/tables.ts'

type Db = Kysely<LedgerTables>
type Row = Selectable<ReturnsTable>

export interface ReturnsSettings {
  readonly db: Db
  readonly sealer: Sealer
  readonly versions: Versions
}

/** Who acts, for the record and the audit: `{role: 'buyer', label: 'acme'}`. */
export interface By {
  readonly role: string
  readonly label: string
}

/** Which copy, by its buyer or its contract, one of them at least. */
export interface ReturnGiven {
  readonly leadId: string
  readonly buyer?: string
  readonly contract?: string
  readonly reasonCode: string
  readonly note: string | null
  /** An operator's goodwill: neither age, share nor reasons of the terms count. */
  readonly beyondTerms?: boolean
  readonly by: By
}

export type ReturnRefusal =
  | 'not_found'
  | 'no_returns'
  | 'unknown_reason'
  | 'too_old'
  | 'over_share'
  | 'already_returned'

/** `why`: what whoever decided it wrote. */
export interface ReturnAnswer {
  readonly ok: true
  readonly id: string
  readonly state: ReturnState
  readonly why: string | null
}

/** `detail` says to people what is wrong and what to do. */
export interface ReturnRefused {
  readonly ok: false
  readonly code: ReturnRefusal
  readonly detail: string
}

/** `changed`: false where it had been decided so before. */
export type Decided =
  | (ReturnAnswer & { readonly changed: boolean })
  | { readonly ok: false; readonly code: 'not_found' }
  /** Somebody decided otherwise before: that stands. */
  | { readonly ok: false; readonly code: 'decided'; readonly state: ReturnState }

/** A return as it stands; notes are read one by one. */
export type ReturnEntry = Omit<Row, 'note' | 'verdict_note' | 'held_at' | 'copy'>
export interface ReturnNotes {
  readonly note: string | null
  readonly verdictNote: string | null
}

/** Longest note, in characters. */
export const MOST_NOTE = 1_000
export const MOST_RETURNS_PAGE = 200
const DAY_MS = 86_400_000

export class Returns {
  readonly #settings: ReturnsSettings

  constructor(settings: ReturnsSettings) {
    this.#settings = settings
  }

  /**
   * Asks for the return of one copy, by the terms of the version that sold it. The same copy asked for again for the same
   * reason is the same return. Rejects while the ledger is out of reach.
   */
  async ask(given: ReturnGiven): Promise<ReturnAnswer | ReturnRefused> {
    const { db, versions } = this.#settings
    const sale = validate(given.leadId) ? await saleOf(db, given) : undefined
    if (!sale) return refused('not_found', `No lead ${given.leadId} was sold to ${given.contract ?? given.buyer}.`)
    const before = await this.#before(db, given, sale.contract)
    if (before) return before
    const terms = await termsOf(versions, sale)
    if (!given.beyondTerms) {
      if (!terms.agreed) return refused('no_returns', `Contract ${sale.contract} agreed on no returns.`)
      const { reasonCodes } = terms.agreed
      if (!reasonCodes.includes(given.reasonCode)) {
        return refused('unknown_reason', `There is no reason "${given.reasonCode}": say ${reasonCodes.join(', ')}.`)
      }
    }
    const earning = await earningOf(db, versions, given.leadId)
    return db.transaction().execute(async (tx) => {
      const asked = await this.#enter(tx, given, sale, terms)
      if (typeof asked !== 'string') return asked
      const approves = terms.agreed?.approval === 'automatic' && !given.beyondTerms
      if (!approves) return { ok: true, id: asked, state: 'asked', why: null }
      await this.#settle(tx, asked, given.leadId, { approve: true, note: null, by: AUTOMATIC }, earning)
      return { ok: true, id: asked, state: 'approved', why: null }
    })
  }

  /** Approves or refuses what was asked for; the first decision stands. Rejects while the ledger is out of reach. */
  async decide(given: {
    readonly id: string
    readonly approve: boolean
    readonly note: string | null
    readonly by: By
  }): Promise<Decided> {
    const { db, versions } = this.#settings
    const found = await this.#row(given.id)
    if (!found) return { ok: false, code: 'not_found' }
    const earning = found.state === 'asked' ? await earningOf(db, versions, found.lead_id) : null
    const changed = await db.transaction().execute((tx) => this.#settle(tx, given.id, found.lead_id, given, earning))
    const row = (await this.#row(given.id)) ?? found
    const wanted = given.approve ? 'approved' : 'refused'
    if (row.state !== wanted) return { ok: false, code: 'decided', state: row.state }
    return { ...this.#answer(row), changed }
  }

  /** Newest first; those of one buyer or state where given, and older than `after`. */
  list(of: {
    readonly buyer?: string
    readonly state?: ReturnState
    readonly leadId?: string
    readonly after?: string
    readonly limit: number
  }): Promise<ReturnEntry[]> {
    let query = this.#settings.db.selectFrom('returns').select(ENTRY)
    if (of.buyer !== undefined) query = query.where('buyer', '=', of.buyer)
    if (of.state !== undefined) query = query.where('state', '=', of.state)
    if (of.leadId !== undefined) query = query.where('lead_id', '=', of.leadId)
    if (of.after !== undefined) query = query.where('id', '<', of.after)
    return query.orderBy('id', 'desc').limit(Math.min(of.limit, MOST_RETURNS_PAGE)).execute()
  }

  /** With what was written beside it; null where there is none. */
  async read(id: string): Promise<(ReturnEntry & ReturnNotes) | null> {
    const row = await this.#row(id)
    if (!row) return null
    const { note, verdict_note, held_at: _held, copy: _copy, ...entry } = row
    return { ...entry, note: this.#open(row, note), verdictNote: this.#open(row, verdict_note) }
  }

  #row(id: string): Promise<Row | undefined> {
    if (!validate(id)) return Promise.resolve(undefined)
    return this.#settings.db.selectFrom('returns').selectAll().where('id', '=', id).executeTakeFirst()
  }

  /** What became of the same copy before; null where nobody asked for it. */
  async #before(db: Db, given: ReturnGiven, contract: string): Promise<ReturnAnswer | ReturnRefused | null> {
    const row = await db
      .selectFrom('returns')
      .selectAll()
      .where('lead_id', '=', given.leadId)
      .where('contract', '=', contract)
      .executeTakeFirst()
    if (!row) return null
    if (row.reason_code === given.reasonCode) return this.#answer(row)
    return refused(
      'already_returned',
      `Its return was asked for before (${row.id}, for ${row.reason_code}) and is ${row.state}: a copy is returned once.`,
    )
  }

  #answer(row: Row): ReturnAnswer {
    return { ok: true, id: row.id, state: row.state, why: this.#open(row, row.verdict_note) }
  }

  #open(row: Row, text: string | null): string | null {
    return text === null ? null : reveal(this.#settings.sealer, row.lead_id, text)
  }

  #sealed(leadId: string, note: string | null): string | null {
    return note === null ? null : conceal(this.#settings.sealer, leadId, note.slice(0, MOST_NOTE))
  }

  /** The new return's id, or why there is none. */
  async #enter(
    tx: Db,
    given: ReturnGiven,
    sale: Sale,
    { agreed, zone }: Terms,
  ): Promise<string | ReturnAnswer | ReturnRefused> {
    const terms = agreed ?? returnTerms({})
    const { startsAt, endsAt } = windowOf({ window: 'month', zone }, wallMs(sale.held_at.getTime()))
    const [from, to] = [new Date(startsAt), new Date(endsAt)]
    const [share, age] = given.beyondTerms ? [null, null] : [terms.share, terms.maxAgeDays * DAY_MS]
    const { rows } = await sql<{ answer: { code: string; sold: number; taken: number } }>`select ask_return(
      ${newId()}, ${given.leadId}, ${sale.contract}, ${given.reasonCode}, ${this.#sealed(given.leadId, given.note)},
      ${inWords(given.by)}, ${age}, ${share}, ${from}, ${to}, ${terms.clawback}) as answer`.execute(tx)
    const { code, sold, taken } = rows[0]!.answer
    switch (code) {
      case 'ASKED': {
        const row = await saleReturn(tx, given.leadId, sale.contract)
        await note(tx, given.by, 'return asked', row, [`for ${given.reasonCode}`])
        return row.id
      }
      case 'THERE':
        return (await this.#before(tx, given, sale.contract))!
      case 'TOO_OLD':
        return refused('too_old', `It was sold more than ${terms.maxAgeDays} days ago.`)
      case 'OVER_SHARE': {
        const most = mostReturns(terms.share, sold)
        const words = `${taken} of the ${sold} copies that were sold in its month are returned or asked for, and ${most} may be`
        return refused('over_share', `${words}.`)
      }
      default:
        return refused('not_found', 'It is not sold any more, or not decided yet.')
    }
  }

  async #settle(
    tx: Db,
    id: string,
    leadId: string,
    { approve, note: text, by }: { readonly approve: boolean; readonly note: string | null; readonly by: By },
    earning: Awaited<ReturnType<typeof earningOf>>,
  ): Promise<boolean> {
    const locked = await lockMoney(tx, leadId, earning)
    const row = await tx.selectFrom('returns').selectAll().where('id', '=', id).executeTakeFirst()
    if (!locked || row?.state !== 'asked') return false
    const clawback = row.clawback_from === 'source' ? clawbackOf(locked.money, row.contract) : 0
    const { rows } = await sql<{
      done: boolean
    }>`select decide_return(${id}, ${approve}, ${clawback}, ${this.#sealed(leadId, text)}, ${inWords(by)}) as done`.execute(
      tx,
    )
    if (!rows[0]!.done) return false
    await note(tx, by, approve ? 'return approved' : 'return refused', row, [])
    return true
  }
}

const AUTOMATIC: By = { role: 'terms', label: 'automatic approval' }
const inWords = ({ role, label }: By): string => `${role} ${label}`
const refused = (code: ReturnRefusal, detail: string): ReturnRefused => ({ ok: false, code, detail })

const ENTRY = [
  ...(['id', 'lead_id', 'contract', 'buyer', 'campaign', 'source', 'currency', 'price'] as const),
  ...(['sold_at', 'reason_code', 'state', 'clawback_from', 'beyond_terms', 'asked_by', 'asked_at'] as const),
  ...(['decided_by', 'decided_at', 'clawback'] as const),
]

type Sale = NonNullable<Awaited<ReturnType<typeof saleOf>>>

function saleOf(db: Db, { leadId, buyer, contract }: ReturnGiven) {
  let query = db
    .selectFrom('sales')
    .innerJoin('leads', 'leads.id', 'sales.lead_id')
    .select(['contract', 'buyer', 'held_at', 'leads.campaign', 'leads.version', 'leads.trace'])
    .where('lead_id', '=', leadId)
  if (buyer !== undefined) query = query.where('buyer', '=', buyer)
  if (contract !== undefined) query = query.where('contract', '=', contract)
  return query.executeTakeFirst()
}

function saleReturn(db: Db, leadId: string, contract: string): Promise<Row> {
  const query = db.selectFrom('returns').selectAll().where('lead_id', '=', leadId).where('contract', '=', contract)
  return query.executeTakeFirstOrThrow()
}

/** `agreed`: null where the contract had no returns. `zone`: whose months count. */
interface Terms {
  readonly agreed: ReturnTerms | null
  readonly zone: string
}

/** By the version that sold it. */
async function termsOf(versions: Versions, sale: Sale): Promise<Terms> {
  const version = await versions.get(readTrace(sale.trace)?.version ?? sale.version)
  const contract = version?.campaigns.get(sale.campaign)?.contracts.find(({ id }) => id === sale.contract)
  return { agreed: contract?.returns ?? null, zone: contract?.buyer.zone ?? 'UTC' }
}

async function note(tx: Db, by: By, action: string, row: Row, changes: readonly string[]): Promise<void> {
  const subject = `lead ${row.lead_id}, contract ${row.contract}`
  const values = { actor: by.label, role: by.role, action, subject, changes: JSON.stringify(changes), version: null }
  await tx.insertInto('audit').values(values).execute()
}
