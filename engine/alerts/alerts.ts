/** Watches what operators want to be told of: one process at a time, beside the hot path, and each thing once for each time it happens. */
import { type Kysely, sql } from 'kysely'
import type { LineHealth } from '../../buyers/health.ts'
import type { Clock, Timer } from '../../buyers/wire.ts'
import type { Alert } from '../../rules/alerts.ts'
import { ms } from '../../rules/units.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type FindingParts, LOOKS } from './findings.ts'
import { OwnBreakers } from './own-breakers.ts'
import { LedgerSourceTimes } from './source-times.ts'

export interface AlertsSettings extends Omit<FindingParts, 'sourceTimes'> {
  readonly db: Kysely<LedgerTables>
  readonly engine: number
  readonly clock: Clock
  readonly snapshot: () => Snapshot
  readonly health: () => readonly LineHealth[]
  readonly log: (message: string) => void
  /** Told of what began. */
  readonly begun?: (alert: string, events: number) => void
}

const EVERY_MS = 5_000
/** A look that took long is followed by a pause so many times as long. */
const SPARING = 50
const HOUR_MS = 3_600_000

interface Watch {
  readonly begun: number
  readonly ended: number
  readonly open: number
}

export class Alerts {
  readonly #settings: AlertsSettings
  readonly #parts: FindingParts
  readonly #breakers: OwnBreakers
  #due = new WeakMap<Alert, number>()
  #open: ReadonlyMap<string, number> = new Map()
  #timer: Timer | null = null
  #passing: Promise<void> = Promise.resolve()
  #stopped = false
  #failed: ReadonlySet<string> = new Set()
  #sweptAt = Number.NEGATIVE_INFINITY
  /** No alert is configured, and none of before is open. */
  #idle = false

  constructor(settings: AlertsSettings) {
    this.#settings = settings
    this.#parts = { ...settings, sourceTimes: new LedgerSourceTimes(settings.db) }
    this.#breakers = new OwnBreakers(settings.db, settings.engine, settings.health)
  }

  start(): void {
    if (this.#stopped) return
    this.#timer = this.#settings.clock.after(ms(EVERY_MS), () => {
      this.#passing = this.#passSafely().then(() => this.start())
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#passing
    await this.#breakers.forget().catch(() => {})
  }

  /** Events that are open, by alert, as the process that watches knows them; elsewhere none. */
  get open(): ReadonlyMap<string, number> {
    return this.#open
  }

  /** Looks for all that is due, where no other process does so. Rejects where the ledger is away. */
  async pass(): Promise<void> {
    const { db, snapshot } = this.#settings
    const { alerts } = snapshot()
    if (alerts.size === 0 && this.#idle) return
    const wanted = [...alerts.values()].some(({ on }) => on === 'breaker_open')
    await (wanted ? this.#breakers.tell() : this.#breakers.forget())
    await db.connection().execute(async (own) => {
      const { rows } = await sql<{ mine: boolean }>`select pg_try_advisory_lock(78, 0) as mine`.execute(own)
      if (!rows[0]!.mine) {
        this.#open = new Map()
        return
      }
      try {
        await this.#watchAll(snapshot())
      } finally {
        await sql`select pg_advisory_unlock(78, 0)`.execute(own)
      }
    })
  }

  async #passSafely(): Promise<void> {
    await this.pass().then(
      () => this.#note('the ledger', null),
      (error: Error) => this.#note('the ledger', error),
    )
  }

  /** Each once until it is well again. */
  #note(what: string, error: Error | null): void {
    if (error !== null && !this.#failed.has(what)) this.#settings.log(`alerts wait for ${what}: ${error.message}`)
    const failed = new Set(this.#failed)
    if (error === null) failed.delete(what)
    else failed.add(what)
    this.#failed = failed
  }

  async #watchAll(snapshot: Snapshot): Promise<void> {
    const { db, clock } = this.#settings
    const { rows } = await sql<{ version: number }>`
      update alert_watch set version = greatest(version, ${snapshot.version}) returning version`.execute(db)
    if (rows[0]!.version > snapshot.version) return
    const ids = [...snapshot.alerts.keys()]
    await sql`update events set ended_at = now()
      where ended_at is null and not (alert = any(${ids}::text[]))`.execute(db)
    const open = new Map([...this.#open].filter(([id]) => snapshot.alerts.has(id)))
    for (const alert of snapshot.alerts.values()) {
      if (this.#stopped) break
      const began = clock.mono()
      if (began < (this.#due.get(alert) ?? Number.NEGATIVE_INFINITY)) continue
      const watch = await this.#watch(alert, snapshot)
      if (watch !== null) open.set(alert.id, watch.open)
      this.#due.set(alert, began + Math.max(LOOKS[alert.on].everyMs, SPARING * (clock.mono() - began)))
    }
    this.#open = open
    this.#idle = ids.length === 0
    await this.#sweep()
  }

  /** Null where it could not be looked for: what is open stays so. */
  async #watch(alert: Alert, snapshot: Snapshot): Promise<Watch | null> {
    const { db, clock, begun } = this.#settings
    const { id, on, to, quietMs } = alert
    try {
      const found = await LOOKS[on].find(this.#parts, alert, snapshot, clock.wall())
      const { rows } = await sql<{ watch: Watch }>`
        select watch_alert(${id}, ${on}, ${to}, ${quietMs}, ${JSON.stringify(found)}::json) as watch`.execute(db)
      const { watch } = rows[0]!
      if (watch.begun > 0) begun?.(id, watch.begun)
      this.#note(`what ${id} looks for`, null)
      return watch
    } catch (error) {
      this.#note(`what ${id} looks for`, error as Error)
      return null
    }
  }

  /** What ended a quarter ago is forgotten, and so is what an engine left behind. */
  async #sweep(): Promise<void> {
    const { clock, db } = this.#settings
    if (clock.mono() - this.#sweptAt < HOUR_MS) return
    this.#sweptAt = clock.mono()
    await sql`delete from events where id in (
      select id from events where ended_at < now() - interval '90 days' limit 10000)`.execute(db)
    await sql`delete from breakers b using engines e where e.id = b.engine and e.fenced_at is not null`.execute(db)
  }
}
