/** This process's place among the engines: its row, its heartbeat, and whether it may still act on what it owns. */
import { hostname } from 'node:os'
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import type { LedgerTables } from './store/tables.ts'

export interface OwnershipSettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  /** How often the heart beats; default 1,000. */
  readonly beatMs?: number
  /** A heart that was silent for longer may be fenced; default 6,000. */
  readonly fenceAfterMs?: number
  /** No other engine can be alive on this ledger: the others are fenced without waiting. */
  readonly alone?: boolean
  /** Told once, when another engine has fenced this one: its leads are the other's now. */
  readonly fenced?: () => void
  readonly log?: (message: string) => void
}

/** Stops acting this part of the fencing age before others may fence it. */
const MARGIN = 1 / 6

/**
 * An engine is `alive` while its heart beats, `silent` once it could not beat for nearly as long as the others wait
 * (Postgres away, the process stopped), and `fenced` for ever once another has fenced it. A silent engine posts nothing;
 * when its heart beats again and nobody has fenced it, it is alive as before, for nobody took anything from it.
 */
export class Ownership {
  readonly #settings: OwnershipSettings
  readonly #beatMs: number
  readonly #fenceAfterMs: number
  #engine = 0
  #lastBeatAt = Number.NEGATIVE_INFINITY
  /** Since when every heartbeat has come in time. */
  #steadySince = 0
  #fenced = false
  #stopped = false
  #timer: Timer | null = null
  #beating: Promise<void> = Promise.resolve()

  private constructor(settings: OwnershipSettings) {
    this.#settings = settings
    this.#beatMs = settings.beatMs ?? 1_000
    this.#fenceAfterMs = settings.fenceAfterMs ?? 6_000
  }

  /** Takes a new row: a process that starts again is another engine. */
  static async register(settings: OwnershipSettings): Promise<Ownership> {
    const ownership = new Ownership(settings)
    const began = settings.clock.mono()
    const row = await settings.db
      .insertInto('engines')
      .values({ host: hostname(), pid: process.pid })
      .returning('id')
      .executeTakeFirstOrThrow()
    ownership.#engine = row.id
    ownership.#lastBeatAt = began
    ownership.#steadySince = began
    ownership.#beatLater()
    return ownership
  }

  /** Number of this engine: the owner of its leads. */
  get engine(): number {
    return this.#engine
  }

  get isFenced(): boolean {
    return this.#fenced
  }

  /** True while nobody can have fenced this engine: to be asked right before anything leaves that cannot be taken back. */
  mayAct(): boolean {
    const silence = this.#settings.clock.mono() - this.#lastBeatAt
    return !this.#fenced && !this.#stopped && silence < this.#fenceAfterMs * (1 - MARGIN)
  }

  /**
   * Fences the engines whose hearts are silent, and answers their numbers. An engine whose own heart was interrupted
   * first waits as long as it would have the others wait: where Postgres was away, all hearts were silent alike.
   */
  async fenceSilent(): Promise<readonly number[]> {
    const { db, clock, alone } = this.#settings
    if (!this.mayAct()) return []
    if (!alone && clock.mono() - this.#steadySince < this.#fenceAfterMs) return []
    const age = alone ? 0 : this.#fenceAfterMs
    const { rows } = await sql<{ id: number }>`select fence_silent(${this.#engine}, ${age}) as id`.execute(db)
    return rows.map(({ id }) => id)
  }

  /** Ends this engine: what it still owns is free to be taken over at once. Never rejects; others fence it otherwise. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#beating
    await sql`select fence_self(${this.#engine})`.execute(this.#settings.db).catch(() => {})
  }

  #beatLater(): void {
    this.#timer = this.#settings.clock.after(ms(this.#beatMs), () => {
      this.#beating = this.#beat().finally(() => {
        if (!this.#stopped && !this.#fenced) this.#beatLater()
      })
    })
  }

  async #beat(): Promise<void> {
    const { db, clock, log } = this.#settings
    const began = clock.mono()
    try {
      const beaten = await db
        .updateTable('engines')
        .set({ beat_at: sql`clock_timestamp()` })
        .where('id', '=', this.#engine)
        .where('fenced_at', 'is', null)
        .executeTakeFirst()
      if (beaten.numUpdatedRows === 0n) return this.#wasFenced()
      // Counted from before the question: the ledger's own moment is later, so others wait longer, never shorter.
      if (began - this.#lastBeatAt >= this.#fenceAfterMs / 2) this.#steadySince = began
      this.#lastBeatAt = began
    } catch (error) {
      log?.(`the heartbeat failed: ${(error as Error).message}`)
    }
  }

  #wasFenced(): void {
    this.#fenced = true
    this.#settings.log?.(`engine ${this.#engine} was silent for too long and another engine has fenced it`)
    this.#settings.fenced?.()
  }
}
