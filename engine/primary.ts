/** Several engines on one port, put together: what they share, their workers, and one admin plane over all. */
import type { Clock } from '../buyers/wire.ts'
import type { Snapshot } from '../rules/version.ts'
import { adminData } from './admin/data.ts'
import type { AdminPort, StatusPage } from './admin/port.ts'
import { runPrimary } from './cluster.ts'
import { Versions } from './configuration/versions.ts'
import { resolveDoubt } from './doubts/resolve.ts'
import { type Env, listenOn } from './env.ts'
import { CannotStart, type Foundation, layFoundation } from './foundation.ts'
import { Later } from './later.ts'
import type { Log } from './log.ts'
import { type MetricsJson, mergedText } from './metrics.ts'
import { openRedisStore } from './store/redis.ts'

/** Hands a worker the address of the example's scripted buyers, which the primary started. */
export const BUYERS_ORIGIN = 'GAVELPOST_BUYERS_ORIGIN'

/** Whose sums the sales are added to that an operator settles here: a primary is no engine. */
const NO_ENGINE = 0

export interface PrimaryEngine {
  readonly origin: string
  readonly foundation: Foundation
  readonly admin: AdminPort
  readonly adminKeys: () => Snapshot['adminKeys']
  readonly stop: () => Promise<void>
}

/** Resolves when every worker takes leads. */
export async function startPrimary(options: { env: Env; clock: Clock; log: Log }): Promise<PrimaryEngine> {
  const { env, clock, log } = options
  const note = (text: string): void => log('note', { text })
  const foundation = await layFoundation(env, clock, note, null)
  const addresses = listenOn(env, foundation.snapshot.example)
  if ('faults' in addresses) {
    await foundation.stop()
    throw new CannotStart(addresses.faults.map(({ name, message }) => `${name} ${message}`).join('\n'))
  }
  let snapshot = foundation.snapshot
  const origin = foundation.configuration.buyersOrigin
  const variables: Record<string, string> = origin === null ? {} : { [BUYERS_ORIGIN]: origin }
  const { host } = addresses
  const graceMs = env.unreadyMs + env.drainMs + 5_000
  const started = runPrimary({ workers: env.workers, host, port: env.port, clock, log, variables, graceMs })
  const primary = await started.catch(async (error) => {
    await foundation.stop()
    throw error
  })
  const hot = await openRedisStore({ url: env.redisUrl!, log: note })
  // Workers follow the configuration themselves; here it says whose admin keys are in force.
  const watch = foundation.configuration.follow({
    current: snapshot,
    changed: (next) => {
      snapshot = next
    },
    report: () => primary.reload(),
  })
  const statuses = async () => (await primary.ask('status')) as StatusPage[]
  const later = new Later(clock)
  const resolving = {
    db: foundation.db,
    versions: new Versions(foundation.db),
    hot,
    clock,
    engine: NO_ENGINE,
    hotLater: (act: () => Promise<unknown>) => later.add(act),
  }
  const data = adminData({
    db: foundation.db,
    hot,
    sealer: foundation.sealer,
    resolve: (leadId, which, verdict, by) => resolveDoubt(resolving, leadId, which, verdict, by),
    metrics: async () => mergedText((await primary.ask('metrics')) as MetricsJson[]),
    ready: () => true,
    version: () => snapshot.version,
    queues: () => ({}),
    buyers: () => [],
  })
  return {
    origin: `http://${host}:${env.port}`,
    foundation,
    admin: { ...data, status: async () => statusOfAll(await data.status(), await statuses(), env.workers) },
    adminKeys: () => snapshot.adminKeys,
    async stop() {
      watch.close()
      await primary.stop()
      later.close()
      await hot.close()
      await foundation.stop()
    },
  }
}

/** Ready where every worker is; queues are added up; each says how it finds the buyers. */
function statusOfAll(own: StatusPage, workers: readonly StatusPage[], expected: number): StatusPage {
  const queues: Record<string, number> = {}
  for (const worker of workers) {
    for (const [name, depth] of Object.entries(worker.queues)) queues[name] = (queues[name] ?? 0) + depth
  }
  const ready = workers.length === expected && workers.every((worker) => worker.ready)
  const epoch = Math.max(0, ...workers.map((worker) => worker.epoch))
  return { ...own, ready, epoch, queues, buyers: workers.flatMap((worker) => worker.buyers) }
}
