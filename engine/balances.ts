/** Prepaid balances: entered in the ledger, and followed by the hot store. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../buyers/wire.ts'
import { placesOf } from '../rules/calendar.ts'
import { type Micros, micros, ms } from '../rules/units.ts'
import type { Buyer, CapRule, Snapshot } from '../rules/version.ts'
import type { HotStore } from './store/port.ts'
import type { LedgerTables } from './store/tables.ts'

export interface BalancesSettings {
  readonly db: Kysely<LedgerTables>
  readonly hot: HotStore
  readonly clock: Clock
  readonly snapshot: () => Snapshot
  readonly log: (message: string) => void
  /** Pause between two looks; default 2,000. */
  readonly everyMs?: number
}

/** Money that somebody enters. A withdrawal's amount is negative; the same reference is entered once. */
export interface BalanceEntry {
  readonly buyer: string
  readonly currency: string
  readonly cause: 'deposit' | 'withdrawal' | 'return' | 'adjustment'
  readonly amount: Micros
  readonly reference: string | null
  readonly note: string | null
  readonly by: string
}

export interface EnteredBalance {
  /** Number of the buyer's latest entry. */
  readonly seq: number
  /** What was paid in by all entries up to now. */
  readonly total: Micros
  /** False where the reference was entered before: nothing changed. */
  readonly entered: boolean
}

/** Resolves once the ledger has it; engines hear of it within some seconds. Rejects while the ledger is away. */
export async function enterBalance(db: Kysely<LedgerTables>, entry: BalanceEntry): Promise<EnteredBalance> {
  const { buyer, currency, cause, amount, reference, note, by } = entry
  const { rows } = await sql<{ entry: { seq: number; total: number; entered: boolean } }>`
    select enter_balance(${buyer}, ${currency}, ${cause}, ${amount}, ${reference}, null, ${note}, ${by}) as entry
  `.execute(db)
  const { seq, total, entered } = rows[0]!.entry
  return { seq, total: micros(total), entered }
}

/** A buyer's balance as the hot store has it. */
export interface BalanceLine {
  readonly buyer: string
  readonly currency: string
  readonly paidIn: Micros
  /** Sold, and held for posts under way or in doubt. */
  readonly used: Micros
  readonly balance: Micros
  readonly credit: Micros
  readonly low: Micros | null
}

/**
 * The hot store has what was paid in as (number of the entry, total), and the highest number counts: whoever enters money
 * tells it at once, and every process looks whether it has heard, so that nothing is lost with a process that died between.
 */
export class Balances {
  readonly #settings: BalancesSettings
  #timer: Timer | null = null
  #stopped = false

  constructor(settings: BalancesSettings) {
    this.#settings = settings
  }

  /** Enters money, and tells the hot store at once. */
  async enter(entry: BalanceEntry): Promise<EnteredBalance> {
    const { buyer, currency } = entry
    const done = await enterBalance(this.#settings.db, entry)
    const place = this.#places().find((one) => one.buyer === buyer && one.currency === currency)
    if (place) await this.#settings.hot.paidIn(place.tag, place.key, done.seq, done.total).catch(() => {})
    return done
  }

  /** Of every buyer that pays in advance. Rejects while the hot store is away. */
  async lines(): Promise<readonly BalanceLine[]> {
    const places = this.#places()
    const usages = await this.#settings.hot.usage(places)
    return places.map(({ buyer, currency, rule, low }, at) => {
      const { used, paidIn } = usages[at]!
      return {
        ...{ buyer, currency, paidIn: micros(paidIn), used: micros(used), balance: micros(paidIn - used) },
        ...{ credit: micros(rule.limit), low },
      }
    })
  }

  /** Looks once, then again and again; what cannot be seen now is seen later. */
  async start(): Promise<void> {
    try {
      await this.look()
    } catch (error) {
      this.#settings.log(`balances could not be looked at: ${(error as Error).message}`)
    }
    if (this.#stopped) return
    const { clock, everyMs } = this.#settings
    this.#timer = clock.after(ms(everyMs ?? 2_000), () => void this.start())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Tells the hot store what it has not heard. */
  async look(): Promise<void> {
    const { db, hot } = this.#settings
    const places = this.#places()
    if (places.length === 0) return
    const usages = await hot.usage(places)
    const rows = await db
      .selectFrom('balances')
      .selectAll()
      .where(
        'buyer',
        'in',
        places.map(({ buyer }) => buyer),
      )
      .execute()
    for (const [at, { buyer, currency, tag, key }] of places.entries()) {
      const row = rows.find((one) => one.buyer === buyer && one.currency === currency)
      if (row && row.seq > usages[at]!.seq) await hot.paidIn(tag, key, row.seq, row.total)
    }
  }

  #places(): readonly BalancePlace[] {
    return [...this.#settings.snapshot().buyers.values()].flatMap((buyer) => placeOf(buyer) ?? [])
  }
}

interface BalancePlace {
  readonly buyer: string
  readonly currency: string
  readonly tag: string
  readonly key: string
  readonly rule: CapRule
  readonly low: Micros | null
}

/** Null where the buyer does not pay in advance. The window never ends, so any moment names it. */
function placeOf({ id, caps, lowBalance }: Buyer): BalancePlace | null {
  const rule = caps.find(({ window }) => window === 'balance')
  if (!rule) return null
  const [{ tag, places }] = placesOf([rule], id, micros(0), 0, 0 as never) as [ReturnType<typeof placesOf>[0]]
  return { buyer: id, currency: rule.currency!, tag, key: places[0]!.key, rule, low: lowBalance }
}
