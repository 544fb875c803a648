/** Has every engine hear within a moment what changed in the ledger: a notification as the hint, a look again and again as the truth. */
import pg from 'pg'
import type { Clock, Timer } from '../../buyers/wire.ts'
import { ms } from '../../rules/units.ts'
import { NEWS_CHANNEL } from '../store/queries.ts'

export interface NewsSettings {
  readonly url: string
  readonly clock: Clock
  /** Pause between two looks that nothing hinted at; default 400. */
  readonly everyMs?: number
}

/** Looks at one thing in the ledger. What it throws is tried again with the next look. */
export type Look = () => Promise<void>

const EVERY_MS = 400
const RECONNECT_MS = 1_000

export class News {
  readonly #settings: NewsSettings
  readonly #lookers = new Set<Looker>()
  #client: pg.Client | null = null
  #timers = new Set<Timer>()
  #stopped = false
  readonly #connected = Promise.withResolvers<void>()

  constructor(settings: NewsSettings) {
    this.#settings = settings
    void this.#listen()
    this.#poll()
  }

  /** Calls `look` at every hint and at every turn of the clock, never twice at once. Answers how to end that. */
  follow(look: Look): () => void {
    const looker = new Looker(look)
    this.#lookers.add(looker)
    return () => void this.#lookers.delete(looker)
  }

  /** Resolves when hints are heard for the first time. */
  listening(): Promise<void> {
    return this.#connected.promise
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#lookers.clear()
    await this.#client?.end().catch(() => {})
  }

  #lookAll(): void {
    for (const looker of this.#lookers) looker.look()
  }

  #poll(): void {
    this.#after(this.#settings.everyMs ?? EVERY_MS, () => {
      this.#lookAll()
      this.#poll()
    })
  }

  async #listen(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#settings.url,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      application_name: 'gavelpost news',
    })
    let lost = false
    const lose = (): void => {
      if (lost || this.#stopped) return
      lost = true
      this.#after(RECONNECT_MS, () => void this.#listen())
    }
    client.on('error', lose).on('end', lose)
    client.on('notification', () => this.#lookAll())
    try {
      await client.connect()
      await client.query(`listen ${NEWS_CHANNEL}`)
      this.#client = client
      this.#connected.resolve()
      if (this.#stopped) await client.end()
    } catch {
      client.end().catch(() => {})
      lose()
    }
  }

  #after(delay: number, act: () => void): void {
    if (this.#stopped) return
    const timer = this.#settings.clock.after(ms(delay), () => {
      this.#timers.delete(timer)
      act()
    })
    this.#timers.add(timer)
  }
}

/** One look at a time: whatever hints come meanwhile are one more look. */
class Looker {
  readonly #look: Look
  #looking = false
  #again = false

  constructor(look: Look) {
    this.#look = look
  }

  look(): void {
    this.#again = true
    if (!this.#looking) void this.#turn()
  }

  async #turn(): Promise<void> {
    this.#looking = true
    while (this.#again) {
      this.#again = false
      await this.#look().catch(() => {})
    }
    this.#looking = false
  }
}
