/** Invariant 6: money balances, sales are what intents say, and the sums are what a recount gives. */
import type pg from 'pg'
import type { Outcome } from '../../rules/auction.ts'
import { costsOf } from '../../rules/checks.ts'
import { reasonName } from '../../rules/reason.ts'
import { checkedOf } from '../../rules/trace.ts'
import { formatMoney, micros } from '../../rules/units.ts'
import { BalancesCheck } from './balances.ts'
import { type Dossier, type Intent, type Orphan, type Sale, stream } from './dossiers.ts'
import { Finding } from './finding.ts'
import { returnFaults } from './returns.ts'

const QUARTER_MS = 900_000
const DAY_MS = 86_400_000

type Sums = [n: number, bid: number, price: number, payout: number]
/** Ends of a lead that the campaign took. */
const OWED: ReadonlySet<string> = new Set(['sold', 'unsold', 'expired'])

type AccountKind = 'buyer' | 'source' | 'margin' | 'check'

/** A key of joined names that a recount shares with the stored row. */
const joined = (...names: readonly (string | number)[]): string => names.join(' ')

export class MoneyCheck {
  readonly finding = new Finding(6, 'money balances', ['sales', 'entries', 'returns', 'balances', 'rollups', 'sums'])
  readonly #balances = new BalancesCheck(this.finding)
  readonly #rollups = new Map<string, number>()
  readonly #sums = new Map<string, Sums>()
  /** By currency, what each kind of account has in all. */
  readonly #totals = new Map<string, Record<AccountKind, number>>()
  #seatsKnown = true

  /** `seats`: how the lead's seats ended in the replay of its trace. */
  see(dossier: Dossier, seats: ReadonlyMap<string, Outcome> | null): void {
    const { lead, sales } = dossier
    this.finding.count('sales', sales.length)
    this.finding.count('entries', dossier.entries.length)
    this.#salesAreIntents(dossier)
    this.#payoutIsEarned(dossier)
    this.#entriesBalance(dossier)
    this.finding.count('returns', dossier.returns.length)
    for (const fault of returnFaults(dossier)) this.finding.violated(`lead ${lead.id} ${fault}`)
    this.#balances.see(dossier)
    this.#checksArePaid(dossier)
    for (const sale of sales) this.#addSum(sale, dossier.intents)
    if (lead.status !== null && !lead.test) this.#recount(dossier, seats)
  }

  orphan({ leadId, what }: Orphan): void {
    this.finding.violated(
      `there is an ${what} of lead ${leadId}, which the ledger does not know`.replace(/an (?=sale|return)/, 'a '),
    )
  }

  /** Compares with the ledger's own sums. */
  async end(client: pg.ClientBase): Promise<Finding> {
    const { rows } = await client.query<{ kept_from: string | null }>('select kept_from::text from retention')
    const keptFrom = rows[0]!.kept_from
    if (keptFrom === null) await this.#compareRollups(client)
    else this.finding.note(`leads before ${keptFrom} were dropped: rollups were not recounted, nor older sums`)
    await this.#compareSums(client, keptFrom === null ? 0 : Date.parse(keptFrom) + DAY_MS)
    await this.#balances.end(client, keptFrom)
    for (const [currency, { buyer, source, margin, check }] of this.#totals) {
      const [paid, earned, kept, spent] = [-buyer, source, margin, check].map((amount) => formatMoney(micros(amount)))
      const checks = check === 0 ? '' : ` + checks ${spent}`
      this.finding.note(`${currency}: buyers pay ${paid} = sources earn ${earned} + margin ${kept}${checks}`)
    }
    return this.finding
  }

  #salesAreIntents({ lead, intents, sales }: Dossier): void {
    const accepted = lead.test ? [] : intents.filter(({ state }) => state === 'accepted')
    const say = (how: string): void => this.finding.violated(`lead ${lead.id} ${how}`)
    if (lead.test && sales.length > 0) say('is a test, and has a sale')
    for (const intent of accepted) {
      const sale = sales.find(({ copy }) => copy === intent.copy)
      if (!sale) say(`was accepted by ${intent.contract}, and has no such sale`)
      else if (!isSaleOf(sale, intent))
        say(`has a sale of copy ${sale.copy} that is not what ${intent.contract} accepted`)
    }
    for (const sale of sales) {
      if (!accepted.some(({ copy }) => copy === sale.copy)) say(`has a sale to ${sale.contract} that nobody accepted`)
      const same = sale.campaign === lead.campaign && sale.source === lead.source && sale.currency === lead.currency
      if (!same) say(`has a sale of another campaign, source or currency`)
    }
    if (lead.status !== 'sold' || lead.test) return
    if (sales.length !== lead.copies) say(`is said to have ${lead.copies} copies sold, and has ${sales.length}`)
  }

  /** By its sales, and up to what its source is owed in any case once nothing is in doubt: that has entries of its own. */
  #payoutIsEarned({ lead, intents, sales, entries }: Dossier): void {
    if (lead.status === null || lead.test) return
    const bySales = sales.reduce((sum, sale) => sum + sale.payout, 0)
    const isOwed = OWED.has(lead.status) && intents.every(({ state }) => state !== 'open' && state !== 'in_doubt')
    const earned = isOwed ? Math.max(bySales, lead.owed) : bySales
    const say = (how: string): void => this.finding.violated(`lead ${lead.id} ${how}`)
    // A lead that is pending tells no payout yet.
    if (lead.status !== 'pending' && earned - lead.clawedBack !== lead.payout) {
      const back = lead.clawedBack === 0 ? '' : `, of which ${lead.clawedBack} were taken back`
      say(`is said to earn ${lead.payout} micros, and it earns ${bySales} by its sales and ${earned} in all${back}`)
    }
    if (isOwed && lead.payout < lead.owed) say(`earns ${lead.payout} micros, and is owed ${lead.owed} in any case`)
    const more = entries.filter(({ cause }) => cause === 'accepted')
    const right: Readonly<Record<string, number>> =
      earned > bySales ? { [`source:${lead.source}`]: earned - bySales, margin: bySales - earned } : {}
    const entered = Object.fromEntries(more.map(({ account, amount }) => [account, amount]))
    const wrong = new Set(
      [...Object.keys(right), ...Object.keys(entered)].filter((name) => right[name] !== entered[name]),
    )
    for (const name of wrong) {
      say(
        `is owed ${lead.owed} micros in any case: ${name} has ${entered[name] ?? 'no entry'}, not ${right[name] ?? 0}`,
      )
    }
  }

  /** Per copy, cause and currency; and each sale's entries name who pays what to whom. */
  #entriesBalance({ lead, sales, entries }: Dossier): void {
    const balances = new Map<string, number>()
    const amounts = new Map<string, number>()
    for (const { copy, cause, account, amount, currency } of entries) {
      const of = joined(copy, cause, currency)
      balances.set(of, (balances.get(of) ?? 0) + amount)
      amounts.set(joined(copy, cause, account), amount)
      this.#addTotal(currency, account, amount)
      if (currency !== lead.currency) this.finding.violated(`lead ${lead.id} has an entry in ${currency}`)
      if (cause === 'sale' && !sales.some((sale) => sale.copy === copy)) {
        this.finding.violated(`lead ${lead.id} has entries of copy ${copy}, which was not sold`)
      }
    }
    for (const [of, balance] of balances) {
      if (balance !== 0)
        this.finding.violated(`the entries of lead ${lead.id} (${of}) add up to ${balance} micros, not 0`)
    }
    for (const { copy, buyer, source, price, payout } of sales) {
      const expected = { [`buyer:${buyer}`]: -price, [`source:${source}`]: payout, margin: price - payout }
      for (const [account, amount] of Object.entries(expected)) {
        const entered = amounts.get(joined(copy, 'sale', account))
        if (entered === amount) continue
        this.finding.violated(
          `the sale of lead ${lead.id}: ${account} has ${entered ?? 'no entry'}, not ${amount} micros`,
        )
      }
    }
  }

  /** What its trace says was called is entered. A lead that slept was checked before, too, and only its last trace is kept. */
  #checksArePaid({ lead, entries, trace }: Dossier): void {
    const said = (trace && checkedOf(trace))?.said ?? []
    const called = lead.test ? {} : (costsOf(said) ?? {})
    const entered = new Map(
      entries.flatMap(({ cause, account, amount }) => (cause === 'check' ? [[account, amount] as const] : [])),
    )
    const slept = trace !== null && trace.term > 1
    for (const [check, cost] of Object.entries(called)) {
      const paid = entered.get(`check:${check}`) ?? 0
      if (slept ? paid < cost : paid !== cost)
        this.finding.violated(`lead ${lead.id}: the check ${check} has ${paid} micros, and its calls cost ${cost}`)
    }
    for (const account of entered.keys())
      if (!slept && account !== 'margin' && called[account.slice('check:'.length)] === undefined)
        this.finding.violated(`lead ${lead.id} has an entry of ${account}, which was not called for it`)
  }

  #addTotal(currency: string, account: string, amount: number): void {
    const totals = this.#totals.get(currency) ?? { buyer: 0, source: 0, margin: 0, check: 0 }
    totals[account.split(':')[0] as AccountKind] += amount
    this.#totals.set(currency, totals)
  }

  #addSum(sale: Sale, intents: readonly Intent[]): void {
    const { heldAt, campaign, source, buyer, contract, currency, price, payout } = sale
    const quarter = Math.floor(heldAt / QUARTER_MS) * QUARTER_MS
    const key = joined(quarter, campaign, source, buyer, contract, currency)
    const { bid = 0 } = intents.find(({ state, copy }) => state === 'accepted' && copy === sale.copy) ?? {}
    const [n, bids, prices, payouts] = this.#sums.get(key) ?? [0, 0, 0, 0]
    this.#sums.set(key, [n + 1, bids + bid, prices + price, payouts + payout])
  }

  #recount({ lead, intents }: Dossier, seats: ReadonlyMap<string, Outcome> | null): void {
    this.#add(joined(lead.campaign, lead.source, '', 'lead', lead.status!))
    if (lead.trace !== null && seats === null) this.#seatsKnown = false
    const add = (contract: string, kind: string, reason: string | null, by = 1): void =>
      this.#add(joined(lead.campaign, '', contract, kind, reason ?? ''), by)
    for (const [contract, { kind, reason }] of seats ?? []) add(contract, kind, reasonName(reason))
    for (const intent of intents) {
      const resolved = intent.doubt !== null && intent.state !== 'in_doubt'
      if (seats && resolved) add(intent.contract, 'in_doubt', intent.doubt, -1)
      if (!seats || resolved) add(intent.contract, kindOf(intent), intent.reasonName)
    }
  }

  #add(key: string, by = 1): void {
    this.#rollups.set(key, (this.#rollups.get(key) ?? 0) + by)
  }

  /** Over all hours and engines: a lead whose status changes is taken out of the hour of the change. */
  async #compareRollups(client: pg.ClientBase): Promise<void> {
    interface Row {
      readonly campaign: string
      readonly source: string
      readonly contract: string
      readonly kind: string
      readonly reason: string
      readonly n: number
    }
    const query = `
      select campaign, source, contract, kind, reason, sum(n)::bigint as n from rollups
      group by 1, 2, 3, 4, 5 having sum(n) <> 0`
    const stored = new Map<string, number>()
    for await (const row of stream<Row>(client, query)) {
      stored.set(joined(row.campaign, row.source, row.contract, row.kind, row.reason), row.n)
    }
    if (!this.#seatsKnown) this.finding.note('some traces could not be replayed: rollups of seats were not recounted')
    const isLead = (key: string): boolean => key.includes('  lead ')
    for (const key of new Set([...stored.keys(), ...this.#rollups.keys()])) {
      if (!this.#seatsKnown && !isLead(key)) continue
      const [said, counted] = [stored.get(key) ?? 0, this.#rollups.get(key) ?? 0]
      if (said !== 0 || counted !== 0) this.finding.count('rollups')
      if (said !== counted) this.finding.violated(`the rollups say ${said} of "${key}", and a recount ${counted}`)
    }
  }

  /** Of quarters from a moment on: the sales of earlier ones may have been dropped. */
  async #compareSums(client: pg.ClientBase, from: number): Promise<void> {
    interface Row extends Omit<Sale, 'leadId' | 'copy' | 'heldAt' | 'soldAt'> {
      readonly quarter: number
      readonly n: number
      readonly bid: number
    }
    const query = `
      select (extract(epoch from quarter) * 1000)::bigint as quarter, campaign, source, buyer, contract, currency,
        sum(n)::bigint as n, sum(bid)::bigint as bid, sum(price)::bigint as price, sum(payout)::bigint as payout
      from sold_sums group by 1, 2, 3, 4, 5, 6`
    const stored = new Map<string, Sums>()
    for await (const row of stream<Row>(client, query)) {
      const { quarter, campaign, source, buyer, contract, currency, n, bid, price, payout } = row
      stored.set(joined(quarter, campaign, source, buyer, contract, currency), [n, bid, price, payout])
    }
    for (const key of new Set([...stored.keys(), ...this.#sums.keys()])) {
      if (Number(key.split(' ')[0]) < from) continue
      this.finding.count('sums')
      const [said, counted] = [stored.get(key), this.#sums.get(key)].map((sums) => (sums ?? [0, 0, 0, 0]).join(' / '))
      if (said === counted) continue
      this.finding.violated(`sold_sums of "${key}" say ${said} (n / bid / price / payout), and a recount ${counted}`)
    }
  }
}

const isSaleOf = (sale: Sale, intent: Intent): boolean =>
  sale.contract === intent.contract &&
  sale.buyer === intent.buyer &&
  sale.price === intent.price &&
  sale.payout === intent.payout

/** Its seat's outcome. */
const kindOf = ({ state }: Intent): string =>
  state === 'accepted' ? 'sold' : state === 'not_sent' ? 'not_asked' : state
