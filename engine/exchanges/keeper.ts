/** Keeps what was said to buyers about leads: sealed under each lead's own key and written in batches, beside the hot path. */
import type pg from 'pg'
import type { Tape, Witness } from '../../buyers/tape.ts'
import type { Clock, Timer } from '../../buyers/wire.ts'
import { ms } from '../../rules/units.ts'
import type { Metrics } from '../metrics.ts'
import { random } from '../random.ts'
import type { LeadKey } from '../seal.ts'
import { openPool } from '../store/postgres.ts'
import { type ExchangeKind, writeRecord } from './record.ts'

export interface KeeperSettings {
  readonly url: string
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'exchangesLost'>
  /** False: pings are not kept. */
  readonly pings: boolean
  /** The key of a lead in the ledger; null where it has none any more. */
  readonly keyOf: (leadId: string) => Promise<LeadKey | null>
  readonly log: (text: string) => void
  /** Most bytes that wait; default 64 MB. */
  readonly most?: number
}

/** A kill -9 takes what ended within about so long, and the commit of it. */
const EVERY_MS = 100
/** Sealed in one turn of the event loop: about a third of a millisecond. */
const SEALED_AT_ONCE = 8
const WRITTEN_AT_ONCE = 1_000
const RETRY_MS = 1_000
/** How long a stopping engine tries to write what is left. */
const STOP_MS = 5_000
const MOST_BYTES = 64 * 1024 * 1024

/** Exchanges of one lead that are written together. */
interface Batch {
  readonly leadId: string
  readonly isPing: boolean
  readonly exchanges: number
  readonly bytes: number
  /** Written with it, where the ledger has none for this id. */
  readonly key: LeadKey | null
  readonly seal: () => Buffer
}

interface Sealed extends Omit<Batch, 'seal'> {
  readonly piece: number
  readonly sealed: Buffer
}

/**
 * Taken -> sealed -> written. What waits is bounded in bytes; pings may fill half of it, so that posts, which are kept for longer and
 * asked for by courts, are lost only where Postgres is away for long. What is lost is counted. No lead waits for any of it.
 */
export class Exchanges {
  readonly #settings: KeeperSettings
  readonly #pool: pg.Pool
  #taken: Batch[] = []
  #sealed: Sealed[] = []
  #bytes = 0
  #timer: Timer | null = null
  #working: Promise<void> | null = null
  #stopping: Promise<void> | null = null
  #away = false

  constructor(settings: KeeperSettings) {
    this.#settings = settings
    this.#pool = openPool({ url: settings.url, connections: 1, log: settings.log })
  }

  /** Records what is said about a lead from now on. `postKind`: what its posts are told as. */
  of(leadId: string, key: LeadKey, postKind: ExchangeKind = 'post'): LeadExchanges {
    return new LeadExchanges(this, { leadId, key, isKeyNew: false }, postKind, this.#settings.pings)
  }

  /** The same of a source's ping, which has no lead of its own: its key is written with what is said. */
  ofPing(offerId: string, key: LeadKey): LeadExchanges {
    return new LeadExchanges(this, { leadId: offerId, key, isKeyNew: true }, 'post', this.#settings.pings)
  }

  /** Records what a buyer told by itself about a lead that is no longer under way here. */
  async heard(leadId: string, tape: Tape): Promise<void> {
    const key = await this.#settings.keyOf(leadId).catch(() => null)
    if (key !== null) this.of(leadId, key, 'callback').ended(tape)
  }

  /** Batches that are not written yet. */
  get waiting(): number {
    return this.#taken.length + this.#sealed.length
  }

  take(batch: Batch): void {
    const most = this.#settings.most ?? MOST_BYTES
    if (this.#bytes + batch.bytes > (batch.isPing ? most / 2 : most)) return this.#lose(batch)
    this.#bytes += batch.bytes
    this.#taken.push(batch)
    this.#wake(EVERY_MS)
  }

  /** Writes what is left, and disconnects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel()
    const until = this.#settings.clock.mono() + STOP_MS
    await this.#working
    while (this.waiting > 0 && this.#settings.clock.mono() < until && !this.#away) await this.#work()
    for (const batch of [...this.#taken, ...this.#sealed]) this.#lose(batch)
    await this.#pool.end()
  }

  #lose({ isPing, exchanges }: Pick<Batch, 'isPing' | 'exchanges'>): void {
    this.#settings.metrics.exchangesLost(isPing ? 'ping' : 'post', exchanges)
  }

  #wake(delay: number): void {
    if (this.#timer !== null || this.#working !== null || this.#stopping !== null) return
    this.#timer = this.#settings.clock.after(ms(delay), () => {
      this.#timer = null
      this.#working = this.#work().finally(() => {
        this.#working = null
        if (this.waiting > 0) this.#wake(this.#away ? RETRY_MS : EVERY_MS)
      })
    })
  }

  async #work(): Promise<void> {
    await this.#sealAll()
    while (this.#sealed.length > 0) {
      const batch = this.#sealed.slice(0, WRITTEN_AT_ONCE)
      if (!(await this.#write(batch))) return
      this.#sealed.splice(0, batch.length)
      for (const { bytes } of batch) this.#bytes -= bytes
    }
  }

  async #sealAll(): Promise<void> {
    while (this.#taken.length > 0) {
      for (const batch of this.#taken.splice(0, SEALED_AT_ONCE)) {
        const sealed = batch.seal()
        const { leadId, isPing, exchanges, key } = batch
        this.#bytes += sealed.length - batch.bytes
        const piece = random(4).readUInt32LE() >>> 1
        this.#sealed.push({ leadId, isPing, exchanges, bytes: sealed.length, key, sealed, piece })
      }
      await new Promise<void>((turn) => setImmediate(turn))
    }
  }

  /** False where Postgres is away: nothing was lost yet. Rows that it does not take are halved until the one at fault stands alone. */
  async #write(batch: readonly Sealed[]): Promise<boolean> {
    try {
      await this.#pool.query({ name: 'exchanges', text: KEEP, values: valuesOf(batch) })
      this.#away = false
      return true
    } catch (error) {
      if (!isAboutData(error)) return this.#wait(error as Error)
      if (batch.length > 1) {
        const middle = batch.length >> 1
        return (await this.#write(batch.slice(0, middle))) && this.#write(batch.slice(middle))
      }
      this.#settings.log(`exchanges of lead ${batch[0]!.leadId} could not be kept: ${(error as Error).message}`)
      this.#lose(batch[0]!)
      return true
    }
  }

  #wait(error: Error): false {
    if (!this.#away) this.#settings.log(`exchanges wait for Postgres: ${error.message}`)
    this.#away = true
    return false
  }
}

const KEEP = 'select keep_exchanges($1, $2, $3, $4, $5, $6, $7, $8)'

/** One value has all bytes: an array of them would travel as text, twice as long. */
function valuesOf(batch: readonly Sealed[]): unknown[] {
  let from = 1
  const froms = batch.map(({ sealed }) => {
    from += sealed.length
    return from - sealed.length
  })
  return [
    batch.map(({ isPing }) => isPing),
    batch.map(({ leadId }) => leadId),
    batch.map(({ piece }) => piece),
    froms,
    batch.map(({ sealed }) => sealed.length),
    Buffer.concat(batch.map(({ sealed }) => sealed)),
    batch.map(({ key }) => key?.wrappedKey),
    batch.map(({ key }) => key?.keyVersion),
  ]
}

interface Whose {
  readonly leadId: string
  readonly key: LeadKey
  /** True where the ledger does not have the key yet. */
  readonly isKeyNew: boolean
}

const isAboutData = (error: unknown): boolean => /^(?:22|23|42|54|P0)/.test(String((error as { code?: unknown }).code))

/**
 * The witness of one lead. A post is kept when it ends; pings together, when the lead is over. A ping that ends later is kept again:
 * of two records of one exchange the later one counts.
 */
export class LeadExchanges implements Witness {
  readonly wantsPings: boolean
  readonly #keeper: Exchanges
  readonly #whose: Whose
  readonly #postKind: ExchangeKind
  #pings: Tape[] = []
  #over = false

  constructor(keeper: Exchanges, whose: Whose, postKind: ExchangeKind, wantsPings: boolean) {
    this.wantsPings = wantsPings
    this.#keeper = keeper
    this.#whose = whose
    this.#postKind = postKind
  }

  began(tape: Tape): void {
    if (tape.kind === 'ping' && !this.#over) this.#pings.push(tape)
  }

  ended(tape: Tape): void {
    if (tape.kind === 'post' || this.#over) this.#take([tape])
  }

  /** Nothing more is begun for it here. */
  over(): void {
    this.#over = true
    if (this.#pings.length > 0) this.#take(this.#pings)
    this.#pings = []
  }

  #take(tapes: readonly Tape[]): void {
    let bytes = 0
    for (const { sentBytes, heardBytes } of tapes) bytes += sentBytes + heardBytes
    const { leadId, key, isKeyNew } = this.#whose
    this.#keeper.take({
      leadId,
      isPing: tapes[0]!.kind === 'ping',
      exchanges: tapes.length,
      bytes,
      key: isKeyNew ? key : null,
      seal: () => key.sealExchanges(writeRecord(tapes, this.#postKind)),
    })
  }
}
