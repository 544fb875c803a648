/** One connection to Redis: it speaks our scripts, repeats what got lost, and is trusted only while the store remembers. */
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type Reply, type ScriptName, Scripts } from './scripts.ts'

export interface RedisOptions {
  /** `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. */
  readonly url: string
  /** What every key begins with; default `gp:`. */
  readonly prefix?: string
  /** How long one command may take before it is sent again; default 1,000. */
  readonly commandTimeoutMs?: number
  /** How long `open` waits for the first connection; default 10,000. */
  readonly connectTimeoutMs?: number
  /** Told of connections lost and found again. */
  readonly log?: (message: string) => void
}

/** Redis did not answer in time, however often it was asked. Whether it acted is unknown: ask again with the same token. */
export class StoreAway extends Error {
  constructor(host: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`Redis at ${host} is out of reach (${why}): check that it runs there and that REDIS_URL names it`, { cause })
    this.name = 'StoreAway'
  }
}

/** What every script answers where the tag is not open under the epoch. */
export const COLD_REPLY = 3

/**
 * `down`: no connection. `checking`: connected, and nobody knows yet to what. `trusted`: this very instance was restored
 * under our epoch. `cold`: it was not, so what it says about caps and claims means nothing.
 */
type Trust = 'down' | 'checking' | 'trusted' | 'cold'

/** Pauses before each try of one call: at most three. */
const RETRY_AFTER_MS = [0, 50, 250]
/** A connection that says nothing for so many command timeouts is cut and made anew: its other end may be gone. */
const DEAD_AFTER_TIMEOUTS = 5
/** A cold store is looked at again this often while calls come in: another process may have restored it. */
const RECHECK_MS = 200
export class RedisLink {
  readonly prefix: string
  readonly #client: Redis
  readonly #scripts: Scripts
  readonly #host: string
  readonly #commandTimeoutMs: number
  readonly #log: (message: string) => void
  readonly #listeners: (() => void)[] = []
  #trust: Trust = 'down'
  #epoch = 0
  /** Changes with every connection and every epoch: what was seen under an older one no longer counts. */
  #generation = 0
  #connection = 0
  #checked: Promise<void> = Promise.resolve()
  #recheckedAt = 0
  #lastError: unknown = new Error('not connected yet')

  private constructor(options: RedisOptions) {
    this.prefix = options.prefix ?? 'gp:'
    this.#log = options.log ?? (() => undefined)
    this.#host = new URL(options.url).host
    this.#commandTimeoutMs = options.commandTimeoutMs ?? 1_000
    this.#client = new Redis(options.url, {
      protocol: 2,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      commandTimeout: this.#commandTimeoutMs,
      socketTimeout: DEAD_AFTER_TIMEOUTS * this.#commandTimeoutMs,
      retryStrategy: (times) => Math.min(times * 50, 1_000),
    })
    this.#scripts = new Scripts(this.#client, this.#commandTimeoutMs)
    this.#client.on('error', (error) => {
      this.#lastError = error
    })
    this.#client.on('ready', () => this.#connected())
    this.#client.on('close', () => this.#disconnected())
  }

  /** Connects. Rejects with what to do where nobody answers in time. */
  static async open(options: RedisOptions): Promise<RedisLink> {
    const link = new RedisLink(options)
    const until = performance.now() + (options.connectTimeoutMs ?? 10_000)
    while (link.#state() === 'down') {
      if (performance.now() > until) {
        link.#client.disconnect()
        throw new StoreAway(link.#host, link.#lastError)
      }
      await pause(5)
    }
    await link.#checked
    return link
  }

  epoch(): number {
    return this.#epoch
  }

  setEpoch(epoch: number): void {
    if (epoch === this.#epoch) return
    this.#epoch = epoch
    if (this.#trust !== 'down') this.#check()
  }

  onCold(listener: () => void): void {
    this.#listeners.push(listener)
  }

  fireCold(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Runs a script, whatever the store remembers. */
  async script(name: ScriptName, args: string[]): Promise<Reply> {
    return this.call(() => this.#scripts.run(name, args))
  }

  /** Runs a script on a store that is trusted; answers COLD instead, and says so to the listeners, where it is not. */
  trustedScript(name: ScriptName, args: string[]): Promise<Reply> {
    if (this.#trust !== 'trusted') return this.#tryTrusted(name, args, RETRY_AFTER_MS)
    return this.#scripts.run(name, args).then(this.#heard, (error) => {
      this.#lastError = error
      return this.#tryTrusted(name, args, RETRY_AFTER_MS.slice(1))
    })
  }

  async #tryTrusted(name: ScriptName, args: string[], pauses: readonly number[]): Promise<Reply> {
    for (const after of pauses) {
      if (after > 0) await pause(after)
      if (this.#trust === 'checking') await Promise.race([this.#checked, pause(this.#commandTimeoutMs)])
      const trust = this.#state()
      if (trust === 'cold') return this.#stillCold()
      if (trust !== 'trusted') continue
      try {
        return this.#heard(await this.#scripts.run(name, args))
      } catch (error) {
        this.#lastError = error
      }
    }
    throw new StoreAway(this.#host, this.#lastError)
  }

  readonly #heard = (reply: Reply): Reply => {
    if (reply === COLD_REPLY) this.fireCold()
    return reply
  }

  /** Runs commands that may be repeated. */
  async call<T>(run: (client: Redis) => Promise<T>): Promise<T> {
    for (const after of RETRY_AFTER_MS) {
      if (after > 0) await pause(after)
      try {
        return await run(this.#client)
      } catch (error) {
        this.#lastError = error
      }
    }
    throw new StoreAway(this.#host, this.#lastError)
  }

  async runId(): Promise<string> {
    return runIdOf(await this.call((client) => client.info('server')))
  }

  /** Looks again whether this instance is the one that was restored under our epoch; false too where it does not answer. */
  async warm(): Promise<boolean> {
    if (this.#trust === 'down') return false
    const generation = this.#generation
    try {
      const same = await this.#isRestored()
      if (generation === this.#generation) this.#trust = same ? 'trusted' : 'cold'
    } catch (error) {
      this.#lastError = error
      return false
    }
    return this.#state() === 'trusted'
  }

  /** A number for the present connection: a restoration that sees it change was interrupted. */
  connection(): number {
    return this.#connection
  }

  /** Records that the instance was restored under this epoch, and works under it from now on. */
  async restored(epoch: number, runId: string, connection: number): Promise<void> {
    const same = connection === this.#connection && (await this.runId()) === runId
    if (!same) throw new Error(`Redis at ${this.#host} was restarted or lost while it was restored: restore it again`)
    await this.call((client) => client.hset(`${this.prefix}meta`, 'epoch', String(epoch), 'run', runId))
    this.#epoch = epoch
    this.#check()
    await this.#checked
  }

  async close(): Promise<void> {
    this.#generation++
    this.#trust = 'down'
    this.#client.removeAllListeners('ready')
    await this.#client.quit().catch(() => this.#client.disconnect())
  }

  #state(): Trust {
    return this.#trust
  }

  #connected(): void {
    this.#connection++
    this.#log(`connected to Redis at ${this.#host}`)
    this.#check()
  }

  #disconnected(): void {
    if (this.#trust === 'down') return
    this.#generation++
    this.#trust = 'down'
    this.#log(`lost the connection to Redis at ${this.#host}`)
  }

  /** From now on calls wait until it is known what we are connected to. */
  #check(): void {
    this.#trust = 'checking'
    this.#checked = this.#compare(++this.#generation)
  }

  async #compare(generation: number): Promise<void> {
    while (generation === this.#generation) {
      try {
        const same = await this.#isRestored()
        if (generation !== this.#generation) return
        this.#trust = same ? 'trusted' : 'cold'
        if (!same) this.fireCold()
        return
      } catch (error) {
        this.#lastError = error
        await pause(100, undefined, { ref: false })
      }
    }
  }

  async #isRestored(): Promise<boolean> {
    const [info, meta] = await Promise.all([
      this.#client.info('server'),
      this.#client.hmget(`${this.prefix}meta`, 'epoch', 'run'),
    ])
    return this.#epoch > 0 && meta[0] === String(this.#epoch) && meta[1] === runIdOf(info)
  }

  #stillCold(): Reply {
    this.fireCold()
    if (performance.now() - this.#recheckedAt > RECHECK_MS) {
      this.#recheckedAt = performance.now()
      void this.warm()
    }
    return COLD_REPLY
  }
}

function runIdOf(info: string): string {
  const runId = /^run_id:(\w+)/m.exec(info)?.[1]
  if (!runId) throw new Error('INFO server has no run_id: is this Redis?')
  return runId
}
