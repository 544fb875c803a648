/** Prepaid balances: each is what its entries add up to, and these are what price cuts and returns must have given back. */
import type pg from 'pg'
import { type Dossier, stream } from './dossiers.ts'
import type { Finding } from './finding.ts'

interface Row {
  readonly buyer: string
  readonly currency: string
  readonly seq: number
  readonly cause: string
  readonly amount: number
  readonly total: number
  readonly reference: string | null
  readonly leadId: string | null
}

export class BalancesCheck {
  readonly #finding: Finding
  /** What must be given back, by its reference. */
  readonly #owed = new Map<string, { readonly buyer: string; readonly amount: number }>()

  constructor(finding: Finding) {
    this.#finding = finding
  }

  see({ lead, intents, returns }: Dossier): void {
    if (lead.test) return
    for (const { state, price, bid, copy, buyer } of intents) {
      if (state !== 'accepted' || price >= bid) continue
      this.#owed.set(`price_cut:${lead.id}:${copy}`, { buyer, amount: bid - price })
    }
    for (const { state, contract, buyer, price } of returns) {
      if (state === 'approved') this.#owed.set(`return:${lead.id}:${contract}`, { buyer, amount: price })
    }
  }

  /** `keptFrom`: leads of before were dropped, their entries stay. */
  async end(client: pg.ClientBase, keptFrom: string | null): Promise<void> {
    const totals = new Map<string, { readonly seq: number; readonly total: number }>()
    const entries = `
      select buyer, currency, seq, cause, amount, total, reference, lead_id::text as "leadId" from balance_entries
      order by buyer, currency, seq`
    for await (const row of stream<Row>(client, entries)) {
      const of = `${row.buyer} ${row.currency}`
      const { seq, total } = totals.get(of) ?? { seq: 0, total: 0 }
      if (row.seq !== seq + 1 || row.total !== total + row.amount)
        this.#finding.violated(
          `entry ${row.seq} of balance ${of} makes it ${row.total} micros, and it follows ${total}`,
        )
      totals.set(of, row)
      if (row.leadId !== null) this.#settle(row, keptFrom !== null)
    }
    for (const [reference, { buyer, amount }] of this.#owed)
      this.#finding.violated(`${buyer} was not given back ${amount} micros (${reference})`)
    const stored = `select buyer, currency, seq, total from balances`
    for await (const { buyer, currency, seq, total } of stream<Row>(client, stored)) {
      this.#finding.count('balances')
      const said = totals.get(`${buyer} ${currency}`) ?? { seq: 0, total: 0 }
      if (said.seq !== seq || said.total !== total)
        this.#finding.violated(
          `balance ${buyer} ${currency} is ${total} micros, and its entries add up to ${said.total}`,
        )
    }
  }

  #settle({ buyer, cause, amount, reference, leadId }: Row, someDropped: boolean): void {
    const owed = this.#owed.get(reference ?? '')
    this.#owed.delete(reference ?? '')
    if (owed ? owed.buyer === buyer && owed.amount === amount : someDropped) return
    this.#finding.violated(
      `${buyer} was given back ${amount} micros (${cause} of lead ${leadId}), and is owed ${owed?.amount ?? 0}`,
    )
  }
}
