/** The API of buyers and of sources: their requests come by the data port, and wait for each other instead of making leads wait. */
import { createHash } from 'node:crypto'
import type { Clock } from '../../buyers/wire.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { Call, Operation, Page } from '../admin/operation.ts'
import { type Asked, createPlane, type Plane } from '../admin/plane.ts'
import { headerKey } from '../admission.ts'
import { type Actor, Publishing, type PublishingSettings } from '../configuration/publishing.ts'
import { Versions } from '../configuration/versions.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import { createLimiter, type Limiter } from '../limiter.ts'
import type { Log } from '../log.ts'
import * as problem from '../problem.ts'
import { Returns } from '../returns/returns.ts'
import type { Sealer } from '../seal.ts'
import type { HotStore } from '../store/port.ts'
import { openPool, queriesOver } from '../store/postgres.ts'
import { Gate } from './gate.ts'
import { portalOperations } from './operations.ts'

export interface PortalSettings extends Omit<PublishingSettings, 'db'> {
  readonly databaseUrl: string
  readonly clock: Clock
  readonly hot: HotStore
  readonly sealer: Sealer
  /** In force. */
  readonly snapshot: () => Snapshot
  /** This process's part of every rate. */
  readonly share: () => number
  readonly keyUsed: (sha256: string) => void
  readonly log: Log
}

/** Requests of one process that use the ledger at a time; each has a connection of its own. */
const AT_ONCE = 3
/** Of these, such as read a lot. */
const HEAVY_AT_ONCE = 1
const WAITING = 64
const HEAVY_WAITING = 32
/** Of one key, over all processes: less at once than may wait, so that no key takes every place. */
const RATE = { ratePerSecond: 10, burst: 40 }

const ALWAYS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

export class Portal {
  readonly #settings: PortalSettings
  readonly #pool
  readonly #plane: Plane
  readonly #limiter: Limiter
  readonly #gate = new Gate(AT_ONCE, WAITING)
  readonly #heavy = new Gate(HEAVY_AT_ONCE, HEAVY_WAITING)

  /** Connects when it is asked for the first time. */
  constructor(settings: PortalSettings) {
    const { databaseUrl: url, clock, hot, sealer, snapshot, share, log } = settings
    this.#settings = settings
    this.#pool = openPool({ url, connections: AT_ONCE, log: (text) => log('note', { text }) })
    const db = queriesOver(this.#pool)
    const publishing = new Publishing({ ...settings, db })
    const returns = new Returns({ db, sealer, versions: new Versions(db) })
    this.#limiter = createLimiter({ clock, store: hot, share })
    this.#plane = createPlane({
      operations: portalOperations({ db, publishing, returns, clock, hot, snapshot }),
      callerOf: (key) => this.#callerOf(key),
      keyNeeded: problem.portalKeyNeeded,
      isOpen: ({ role }) => role === null,
      limit: (key) => this.#limit(key),
      run: (operation, call) => this.#run(operation, call),
    })
  }

  async take(request: EdgeRequest): Promise<EdgeReply> {
    try {
      const { headers, ...page } = await this.#plane(askedBy(request))
      return { ...page, headers: { ...ALWAYS, ...headers } }
    } catch (error) {
      this.#settings.log('request_failed', { fault: error })
      return problem.away()
    }
  }

  /** Forgets the allowances of keys that are no longer in force. */
  keep({ keys, buyerKeys }: Snapshot): void {
    this.#limiter.keep(new Set([...keys.keys(), ...buyerKeys.keys()].map(allowanceOf)))
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  /** The whole key is hashed and looked up by its hash: no comparison's time depends on a stored secret. */
  #callerOf(given: string): Actor | null {
    const { buyerKeys, keys } = this.#settings.snapshot()
    const sha256 = hashOf(given)
    const [buyer, key] = [buyerKeys.get(sha256), keys.get(sha256)]
    if (buyer === undefined && key === undefined) return null
    this.#settings.keyUsed(sha256)
    if (buyer !== undefined) return { label: buyer, role: 'buyer' }
    return { label: key!.source, role: 'source', test: key!.test }
  }

  #limit(key: string): Page | null {
    const seconds = this.#limiter.take({ id: allowanceOf(hashOf(key)), ...RATE })
    return seconds > 0 ? problem.tooManyRequests(seconds) : null
  }

  async #run(operation: Operation, call: Call): Promise<Page> {
    if (operation.role === null) return operation.run(call)
    const light = () => this.#gate.run(() => operation.run(call))
    return (await (operation.heavy ? this.#heavy.run(light) : light())) ?? problem.busy()
  }
}

const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex')
/** No source is called so. */
const allowanceOf = (sha256: string): string => `key ${sha256.slice(0, 24)}`

function askedBy(request: EdgeRequest): Asked {
  const { accept } = request.headers
  return {
    ...request.asked!,
    key: headerKey(request),
    header: (name) => (name === 'accept' ? accept : name === 'content-type' ? request.contentType || null : null),
    body: async (limit) => (request.body.length > limit ? null : request.body.toString('utf8')),
  }
}
