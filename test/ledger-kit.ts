/** A real ledger for one test file: a database of its own, engines on it, and rows to write. */
import type { Kysely } from 'kysely'
import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { systemClock } from '../engine/clock.ts'
import { type LedgerSettings, PostgresLedger } from '../engine/ledger.ts'
import { Ownership, type OwnershipSettings } from '../engine/ownership.ts'
import { makePartitions } from '../engine/partitions.ts'
import { createSealer } from '../engine/seal.ts'
import type { FinalRow, FinalStatus, IntentRow, ReceivedRow, ResultRow } from '../engine/store/port.ts'
import { migrate, openPool, queriesOver } from '../engine/store/postgres.ts'
import type { LedgerTables } from '../engine/store/tables.ts'
import type { Sighting } from '../rules/sightings.ts'
import { micros, wallMs } from '../rules/units.ts'
import { freshDatabase, stopOwnPostgres } from './postgres.ts'

const DAY_MS = 86_400_000
export const sealer = createSealer(new Map([[1, Buffer.alloc(32, 7)]]))
export const clock = systemClock()

/** One engine: its row with a heartbeat, and its way to write. */
export interface TestEngine {
  readonly id: number
  readonly ownership: Ownership
  readonly ledger: PostgresLedger
}

/** Kits that are open in this file: the last one stops a server that was started for it. */
let open = 0

export class LedgerKit {
  readonly url: string
  readonly pool: pg.Pool
  readonly db: Kysely<LedgerTables>
  readonly #undo: (() => Promise<unknown>)[] = []

  private constructor(url: string, undo: () => Promise<void>) {
    this.url = url
    this.pool = openPool({ url })
    this.db = queriesOver(this.pool)
    this.#undo.push(undo, () => this.pool.end())
  }

  static async open(): Promise<LedgerKit> {
    const { url, drop } = await freshDatabase()
    open++
    const kit = new LedgerKit(url, async () => {
      await drop()
      if (--open === 0) await stopOwnPostgres()
    })
    await migrate(kit.pool)
    await makePartitions(kit.db, Date.now())
    return kit
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo()
  }

  async engine(settings: Partial<LedgerSettings> = {}, owning: Partial<OwnershipSettings> = {}): Promise<TestEngine> {
    const ownership = await Ownership.register({ db: this.db, clock, ...owning })
    const ledger = await PostgresLedger.open({ url: this.url, engine: ownership.engine, clock, ...settings })
    this.#undo.push(
      () => ownership.stop(),
      () => ledger.close(),
    )
    return { id: ownership.engine, ownership, ledger }
  }

  /** What a killed process looks like to the others: its heart has been silent for a minute. */
  async silence(engine: TestEngine): Promise<void> {
    await this.ask(`update engines set beat_at = now() - interval '1 minute' where id = $1`, [engine.id])
  }

  async ask<T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> {
    return (await this.pool.query<T>(text, values)).rows
  }

  /** Rows of a lead that somebody wrote, by what they are about. */
  async states(leadId: string): Promise<Record<string, string>> {
    const rows = await this.ask<{ contract: string; state: string }>(
      'select contract, state from intents where lead_id = $1 order by created_at',
      [leadId],
    )
    return Object.fromEntries(rows.map(({ contract, state }) => [contract, state]))
  }
}

export function received(given: Partial<ReceivedRow> = {}): ReceivedRow {
  const leadId = given.leadId ?? uuidv7()
  return {
    leadId,
    campaign: 'solar',
    source: 'demo',
    version: 1,
    mode: 'sync',
    test: false,
    receivedAt: wallMs(Date.now()),
    leadRef: null,
    idempotency: null,
    fingerprints: [`solar:p${leadId}`, `solar:m${leadId}`],
    claimEpoch: null,
    remembers: 3,
    keepMs: 90 * DAY_MS,
    currency: 'USD',
    owed: micros(0),
    ...sealer.seal(leadId, '{"first_name":"Ada"}'),
    ...given,
  }
}

export function intent(leadId: string, given: Partial<IntentRow> = {}): IntentRow {
  const now = Date.now()
  return {
    leadId,
    term: 1,
    contract: 'acme',
    buyer: given.contract ?? 'acme',
    copy: 0,
    attempt: 1,
    price: micros(20_000_000),
    payout: micros(14_000_000),
    heldAt: wallMs(now),
    postBy: wallMs(now + 4_000),
    postMs: 1_000,
    inDoubt: 'hold_unbilled',
    groups: [],
    epoch: 0,
    ...given,
  }
}

export function result(given: Partial<ResultRow> = {}): ResultRow {
  const accepted = (given.state ?? 'accepted') === 'accepted'
  return {
    seat: 0,
    contract: 'acme',
    buyer: given.contract ?? 'acme',
    copy: 0,
    attempt: 1,
    state: 'accepted',
    reason: accepted ? 'won' : given.state === 'in_doubt' ? 'timeout' : 'rejected:no_thanks',
    price: micros(20_000_000),
    payout: micros(accepted || given.state === 'in_doubt' ? 14_000_000 : 0),
    buyerReference: 'B-77',
    redirectUrl: null,
    priceCut: false,
    ...given,
  }
}

export function final(
  leadId: string,
  results: readonly ResultRow[],
  status: Partial<FinalStatus> | null,
  given: Partial<FinalRow> = {},
): FinalRow {
  const sold = status?.status === 'sold' || status?.status === undefined
  const ended: FinalStatus = {
    status: 'sold',
    payout: micros(sold ? 14_000_000 : 0),
    copies: sold ? 1 : 0,
    reasons: [],
    redirectUrl: null,
    trace: storedTrace(),
    sighting: status?.status === 'unsold' ? null : soldSighting(leadId),
    outcomes: { 'acme|sold|won': 1, 'bolt|lost|lower_bid': 1 },
    awaited: false,
    ...status,
  }
  return {
    leadId,
    term: 1,
    campaign: 'solar',
    source: 'demo',
    test: false,
    currency: 'USD',
    results,
    final: status === null ? null : ended,
    ...given,
  }
}

/** Of an auction of which nothing is told but what was promised. */
export const storedTrace = (opening: object = {}, version = 1): string =>
  JSON.stringify({
    ...{ machine: 1, version, campaign: 'solar', source: 'demo', term: 1, rows: [['durable', 5]] },
    opening: { eligible: [], dice: [], excluded: {}, ...opening },
  })

/** Acme has bought it: what is kept of that for 90 days. */
export const soldSighting = (leadId: string, at = Date.now()): Sighting => ({
  ...{ leadId, campaign: 'solar', level: 3, sold: ['acme'], asked: [], at: wallMs(at), keepMs: 90 * DAY_MS },
})

/** A lead that got as far as an INTENT to acme. */
export async function intended(
  engine: TestEngine,
  lead: Partial<ReceivedRow> = {},
  given: Partial<IntentRow> = {},
): Promise<string> {
  const row = received(lead)
  const [, answer] = await Promise.all([
    engine.ledger.received(row),
    engine.ledger.intent(intent(row.leadId, given), []),
  ])
  if (answer !== 'INTENDED') throw new Error(`the INTENT was ${answer}`)
  return row.leadId
}

export function idAt(at: number): string {
  const hex = at.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}
