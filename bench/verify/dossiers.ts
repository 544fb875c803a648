/** Reads the ledger lead by lead: each with its intents, sales and entries, streamed by cursors in the order of their ids. */
import type pg from 'pg'
import type { PlaceGroup } from '../../rules/caps.ts'
import type { Trace } from '../../rules/trace.ts'

/** Moments are milliseconds since the Unix epoch, with fractions; money is in micros. */
export interface LeadRow {
  readonly id: string
  readonly campaign: string
  readonly source: string
  readonly version: number
  readonly test: boolean
  readonly receivedAt: number
  readonly currency: string
  readonly status: string | null
  readonly payout: number
  readonly copies: number
  /** What its source earns although nobody buys it. */
  readonly owed: number
  /** Copies that came back, and what was taken back from its source for them. */
  readonly returned: number
  readonly clawedBack: number
  readonly trace: string | null
  /** It waits for a contract to open, or was woken for one. */
  readonly asleep: boolean
}

export interface Intent {
  readonly leadId: string
  readonly contract: string
  readonly buyer: string
  readonly term: number
  readonly attempt: number
  readonly copy: number
  readonly state: 'open' | 'in_doubt' | 'accepted' | 'rejected' | 'not_sent'
  /** What was held and posted for; the price is what is paid. */
  readonly bid: number
  readonly price: number
  readonly payout: number
  readonly heldAt: number
  readonly postBy: number
  readonly postMs: number
  readonly inDoubt: string
  readonly places: readonly PlaceGroup[]
  readonly epoch: number
  /** When the transaction began that made it durable. */
  readonly createdAt: number
  readonly endedAt: number | null
  readonly reason: string | null
  readonly reasonName: string | null
  /** Why it fell into doubt, where it ever did. */
  readonly doubt: string | null
  /** How often its buyer was asked about it while it was in doubt, which may send the same post again. */
  readonly repeats: number
}

export interface Sale {
  readonly leadId: string
  readonly copy: number
  readonly contract: string
  readonly buyer: string
  readonly campaign: string
  readonly source: string
  readonly price: number
  readonly payout: number
  readonly currency: string
  readonly heldAt: number
  readonly soldAt: number
}

export interface Entry {
  readonly leadId: string
  readonly copy: number
  readonly cause: string
  readonly account: string
  readonly amount: number
  readonly currency: string
}

export interface Return {
  readonly leadId: string
  readonly contract: string
  readonly copy: number
  readonly buyer: string
  readonly price: number
  readonly state: 'asked' | 'approved' | 'refused'
  readonly clawbackFrom: 'source' | 'us'
  readonly clawback: number
}

/** All that the ledger says of one lead. */
export interface Dossier {
  readonly lead: LeadRow
  readonly intents: readonly Intent[]
  readonly sales: readonly Sale[]
  readonly entries: readonly Entry[]
  readonly returns: readonly Return[]
  /** The stored trace, read; null where there is none. */
  readonly trace: Trace | null
}

/** Rows of a lead that the ledger does not know. */
export interface Orphan {
  readonly leadId: string
  readonly what: 'intent' | 'sale' | 'entry' | 'return'
}

const BATCH = 1_000

const moment = (column: string, name: string): string => `(extract(epoch from ${column}) * 1000)::float8 as "${name}"`

const LEADS = `
  select id::text, campaign, source, version, test, ${moment('received_at', 'receivedAt')}, currency, status, payout,
    copies, owed, returned, clawed_back as "clawedBack", trace, status is null and queue_until is not null as asleep
  from leads order by leads.id`

const INTENT_COLUMNS = `
  lead_id::text as "leadId", contract, buyer, term, attempt, copy, state, bid, price, payout,
  ${moment('held_at', 'heldAt')}, ${moment('post_by', 'postBy')}, post_ms as "postMs", in_doubt as "inDoubt", places,
  epoch, ${moment('created_at', 'createdAt')}, ${moment('ended_at', 'endedAt')}, reason, reason_name as "reasonName", doubt,
  coalesce((select tries from inquiries q where q.lead_id = intents.lead_id and q.contract = intents.contract), 0) as repeats`

const INTENTS = `select ${INTENT_COLUMNS} from intents order by lead_id, term, attempt, contract`
const INTENTS_AS_HELD = `select ${INTENT_COLUMNS} from intents order by held_at, created_at, lead_id`

const SALES = `
  select lead_id::text as "leadId", copy, contract, buyer, campaign, source, price, payout, currency,
    ${moment('held_at', 'heldAt')}, ${moment('sold_at', 'soldAt')}
  from sales order by lead_id, copy`

const ENTRIES = `
  select lead_id::text as "leadId", copy, cause, account, amount, currency
  from entries order by lead_id, copy, cause, account`

const RETURNS = `
  select lead_id::text as "leadId", contract, copy, buyer, price, state, clawback_from as "clawbackFrom", clawback
  from returns order by lead_id, contract`

let cursors = 0

/** Rows of a query, a batch at a time. Needs an open transaction on the client. */
export async function* stream<T extends pg.QueryResultRow>(client: pg.ClientBase, query: string): AsyncGenerator<T> {
  const cursor = `verify_${++cursors}`
  await client.query(`declare ${cursor} no scroll cursor for ${query}`)
  for (;;) {
    const { rows } = await client.query<T>(`fetch forward ${BATCH} from ${cursor}`)
    yield* rows
    if (rows.length < BATCH) break
  }
  await client.query(`close ${cursor}`)
}

/** Every intent in the order in which its hold was asked for. */
export const intentsAsHeld = (client: pg.ClientBase): AsyncGenerator<Intent> => stream<Intent>(client, INTENTS_AS_HELD)

/** Every lead with what belongs to it; rows without a lead are told to `orphaned`. */
export async function* dossiers(client: pg.ClientBase, orphaned: (orphan: Orphan) => void): AsyncGenerator<Dossier> {
  const intents = new Follower(stream<Intent>(client, INTENTS), 'intent', orphaned)
  const sales = new Follower(stream<Sale>(client, SALES), 'sale', orphaned)
  const entries = new Follower(stream<Entry>(client, ENTRIES), 'entry', orphaned)
  const returns = new Follower(stream<Return>(client, RETURNS), 'return', orphaned)
  for await (const lead of stream<LeadRow>(client, LEADS)) {
    yield {
      lead,
      intents: await intents.of(lead.id),
      sales: await sales.of(lead.id),
      entries: await entries.of(lead.id),
      returns: await returns.of(lead.id),
      trace: traceOf(lead),
    }
  }
  for (const follower of [intents, sales, entries, returns]) await follower.of(null)
}

function traceOf(lead: LeadRow): Trace | null {
  return lead.trace === null || lead.trace === '' ? null : (JSON.parse(lead.trace) as Trace)
}

/** A stream of rows in the order of their leads, read along with the leads. */
class Follower<T extends { readonly leadId: string }> {
  readonly #rows: AsyncGenerator<T>
  readonly #what: Orphan['what']
  readonly #orphaned: (orphan: Orphan) => void
  #ahead: T | null | undefined

  constructor(rows: AsyncGenerator<T>, what: Orphan['what'], orphaned: (orphan: Orphan) => void) {
    this.#rows = rows
    this.#what = what
    this.#orphaned = orphaned
  }

  /** The rows of this lead; what stands before it belongs to no lead. Null: everything that is left does. */
  async of(leadId: string | null): Promise<readonly T[]> {
    const found: T[] = []
    if (this.#ahead === undefined) await this.#next()
    while (this.#ahead && (leadId === null || this.#ahead.leadId <= leadId)) {
      if (this.#ahead.leadId === leadId) found.push(this.#ahead)
      else this.#orphaned({ leadId: this.#ahead.leadId, what: this.#what })
      await this.#next()
    }
    return found
  }

  async #next(): Promise<void> {
    const { value, done } = await this.#rows.next()
    this.#ahead = done ? null : (value as T)
  }
}
