/** The ledger of offers: each is durable before its source hears of it, and any process finds it again. */
import { type Kysely, sql } from 'kysely'
import { validate } from 'uuid'
import type { Offer } from '../../rules/offer.ts'
import type { LedgerTables } from '../store/tables.ts'

/** An offer with the trace of its auction. */
export interface OfferRow extends Offer {
  readonly trace: string
}

export interface Offers {
  /** Resolves when the offer is durable. Rejects where the ledger is away or too far behind: nothing was promised then. */
  keep(row: OfferRow): Promise<void>
  /** Null where there is no such offer. Rejects where the ledger is away. */
  find(id: string): Promise<Offer | null>
  /** The offer that a lead came for. */
  ofLead(leadId: string): Promise<Offer | null>
  /** What was offered in place of the offer that a lead came for. */
  afterLead(leadId: string): Promise<Offer | null>
}

/** What the source reads, and sends back. */
export const pingIdOf = (offerId: string): string => `pg_${offerId}`

/** The offer's own id; null where the text is no ping id. */
export function offerIdOf(pingId: string): string | null {
  const id = pingId.startsWith('pg_') ? pingId.slice(3) : ''
  return validate(id) ? id.toLowerCase() : null
}

/** What the lead that comes for an offer is bound by: whoever comes second joins the first one's answer. */
export const pingKeyOf = (offer: Pick<Offer, 'id' | 'source'>): string => `ping:${offer.source}:${offer.id}`

/** Offers that may wait for the ledger; one more is refused. */
const MOST_WAITING = 10_000
const AT_ONCE = 500

interface Waiting {
  readonly row: OfferRow
  readonly kept: () => void
  readonly failed: (error: unknown) => void
}

/** Group commits of their own: offers never wait behind leads, nor leads behind offers. */
export class PostgresOffers implements Offers {
  readonly #db: Kysely<LedgerTables>
  #waiting: Waiting[] = []
  #writing = false

  constructor(db: Kysely<LedgerTables>) {
    this.#db = db
  }

  keep(row: OfferRow): Promise<void> {
    if (this.#waiting.length >= MOST_WAITING) return Promise.reject(new Error('too many offers wait for the ledger'))
    return new Promise((kept, failed) => {
      this.#waiting.push({ row, kept, failed })
      if (this.#writing) return
      this.#writing = true
      setImmediate(() => void this.#writeAll())
    })
  }

  async find(id: string): Promise<Offer | null> {
    return this.#one(sql`select offer_json(o) as offer from offers o where o.id = ${id}`)
  }

  async ofLead(leadId: string): Promise<Offer | null> {
    return this.#one(sql`select offer_of_lead(${leadId}) as offer`)
  }

  async afterLead(leadId: string): Promise<Offer | null> {
    return this.#one(sql`select offer_json(o) as offer from offers o where o.after_lead = ${leadId}`)
  }

  async #one(query: ReturnType<typeof sql>): Promise<Offer | null> {
    const { rows } = await query.execute(this.#db)
    return (rows[0] as { offer: Offer | null } | undefined)?.offer ?? null
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#write(this.#waiting.splice(0, AT_ONCE))
    this.#writing = false
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    try {
      await sql`select write_offers(${JSON.stringify(batch.map(({ row }) => row))}::json)`.execute(this.#db)
      for (const { kept } of batch) kept()
    } catch (error) {
      for (const { failed } of batch) failed(error)
    }
  }
}
