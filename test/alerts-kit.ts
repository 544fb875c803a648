/** Alerts on a real ledger: watchers as two processes would have them, over a configuration that a test bends. */
import { compileConfiguration } from '../buyers/configuration.ts'
import type { LineHealth } from '../buyers/health.ts'
import type { Clock } from '../buyers/wire.ts'
import { Alerts, type AlertsSettings } from '../engine/alerts/alerts.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import { ms, wallMs } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import type { LedgerKit } from './ledger-kit.ts'

/** Two buyers of which acme pays in advance, one source, and what the test adds. */
export function alertConfig(more: object): Snapshot {
  const contract = (buyer: string) => ({
    ...{ buyer, campaign: 'solar', status: 'active', price: '9.00', caps: { day: 2 } },
    delivery: { post_url: `https://${buyer}.example/` },
  })
  const compiled = compileConfiguration(
    {
      sources: { demo: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [] } },
      campaigns: {
        solar: {
          vertical: 'solar',
          zone: 'UTC',
          payout: { share: 0.7 },
          plan: [{ tier: 'open', strategy: 'auction' }],
        },
      },
      buyers: { acme: { zone: 'UTC', balance: { credit: '50.00', low: '20.00' } }, bolt: { zone: 'UTC' } },
      contracts: { acme: contract('acme'), bolt: contract('bolt') },
      ...more,
    },
    version++,
  )
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  return compiled.snapshot
}
let version = 1

let now = 0

/** Each pass comes an hour after the one before, so that everything is due; wall time is what the test says. */
export class LeapClock implements Clock {
  wallAt = Date.now()
  mono() {
    return ms(now)
  }
  wall() {
    return wallMs(this.wallAt)
  }
  after(): never {
    throw new Error('nobody starts it')
  }
}

export interface WatchedWorld {
  readonly kit: LedgerKit
  readonly snapshot: () => Snapshot
  readonly hot?: MemoryStore
  readonly clock?: Clock
  readonly balances?: AlertsSettings['balances']
  readonly health?: () => readonly LineHealth[]
  readonly engine?: number
}

/** One process's watcher. */
export function watcher(world: WatchedWorld, said: (text: string) => void = () => {}): Alerts {
  const { kit, snapshot, hot, clock, balances, health, engine } = world
  return new Alerts({
    ...{ db: kit.db, snapshot, engine: engine ?? 1, hot: hot ?? new MemoryStore('alerts'), log: said },
    clock: clock ?? new LeapClock(),
    sourcePaused: () => false,
    balances: balances ?? (async () => []),
    health: health ?? (() => []),
  })
}

/** Both at once: whoever is first watches. */
export function passAll(watchers: readonly Alerts[]): Promise<unknown> {
  now += 3_600_000
  return Promise.all(watchers.map((one) => one.pass()))
}

export interface ShownEvent {
  readonly id: number
  readonly alert: string
  readonly subject: string
  readonly episode: string
  readonly open: boolean
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what they expect
  readonly data: any
}

/** In the order in which they began. */
export const eventsOf = (kit: LedgerKit, alert: string) =>
  kit.ask<ShownEvent & Record<string, unknown>>(
    'select id, alert, subject, episode, ended_at is null as open, data from events where alert = $1 order by id',
    [alert],
  )
