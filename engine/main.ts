/** The program: reads the environment, starts one engine or a primary with its workers, says where it is, and ends it in order. */
import closeWithGrace from 'close-with-grace'
import type { Snapshot } from '../rules/version.ts'
import { type AdminParts, operationsOf } from './admin/operations.ts'
import type { AdminPort } from './admin/port.ts'
import { createAdmin } from './admin/server.ts'
import { systemClock } from './clock.ts'
import { isWorker, joinPrimary } from './cluster.ts'
import { KeyUses } from './configuration/key-uses.ts'
import { Publishing } from './configuration/publishing.ts'
import { startEngine } from './engine.ts'
import { type Env, listenOn, readEnv } from './env.ts'
import { exampleCurl } from './example.ts'
import { type Foundation, layFoundation } from './foundation.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { BUYERS_ORIGIN, startPrimary } from './primary.ts'

/** Tells a supervisor that this process was fenced: start another. */
const EXIT_FENCED = 3

const clock = systemClock()
const env = environment()
const log = createLog(env.logLevel)
const undo: (() => Promise<unknown>)[] = []

// SIGHUP means to read the configuration again, not to end.
closeWithGrace({ delay: env.unreadyMs + env.drainMs + 10_000, skip: ['SIGHUP'] }, async ({ err, signal }) => {
  if (err) log('unexpected', { fault: err })
  if (signal) log('draining', { signal })
  await stopAll()
})
try {
  if (isWorker()) await work()
  else if (env.workers > 1) await leadWorkers()
  else await workAlone()
} catch (error) {
  complain(error instanceof Error ? error.message : String(error))
  await stopAll()
  process.exit(1)
}

async function workAlone(): Promise<void> {
  const { engine, foundation } = await startOne(null)
  const admin = await openAdmin(foundation, engine)
  announce(engine.origin, admin, foundation.snapshot.example)
}

async function work(): Promise<void> {
  const { engine, metrics } = await startOne(process.env[BUYERS_ORIGIN] ?? null)
  joinPrimary({ metrics: () => metrics.json(), status: () => engine.admin.status() })
}

async function leadWorkers(): Promise<void> {
  const primary = await startPrimary({ env, clock, log })
  undo.push(primary.stop)
  const admin = await openAdmin(primary.foundation, primary)
  announce(primary.origin, admin, primary.foundation.snapshot.example)
}

async function startOne(buyersOrigin: string | null) {
  const metrics = createMetrics()
  const foundation = await layFoundation(env, clock, (text) => log('note', { text }), buyersOrigin)
  undo.push(foundation.stop)
  const engine = await startEngine({ env, foundation, clock, log, metrics, fenced })
  undo.push(engine.stop)
  return { engine, metrics, foundation }
}

/** Another engine owns this one's leads now: it may only write down the ends of posts that had left. */
async function fenced(): Promise<void> {
  log('fenced', { text: 'another engine has taken over: this process ends and must be started again' })
  await stopAll()
  process.exit(EXIT_FENCED)
}

/** What the admin plane asks of an engine, or of the primary of several. */
interface Administered {
  readonly admin: AdminPort
  readonly adminKeys: () => Snapshot['adminKeys']
}

async function openAdmin(foundation: Foundation, { admin: data, adminKeys }: Administered): Promise<string> {
  const { db, sealer, vault, configuration } = foundation
  const mayServeExample = 'host' in listenOn(env, true)
  const publishing = new Publishing({ db, vault, governs: configuration.inLedger, mayServeExample })
  const uses = new KeyUses(db, clock)
  undo.push(() => uses.stop())
  const parts: AdminParts = { data, publishing, db, sealer, clock }
  const admin = await createAdmin({
    host: env.adminHost,
    port: env.adminPort,
    keys: adminKeys,
    operations: operationsOf(parts),
    used: (sha256) => uses.used(sha256),
    log,
  })
  undo.push(admin.close)
  return `http://${env.adminHost}:${admin.port}`
}

/** The last lines of a start. The example's curl line posts another person at each start, whom nobody has bought yet. */
function announce(origin: string, admin: string, example: boolean): void {
  process.stdout.write(`ready ${origin}  admin ${admin}\n`)
  if (example) process.stdout.write(`${exampleCurl(origin, Math.floor(Math.random() * 10_000_000))}\n`)
}

/** Stops what was started, the latest first. */
async function stopAll(): Promise<void> {
  for (const stop of undo.splice(0).reverse()) await stop()
}

/** Exits with 2 and every fault where the environment has one. */
function environment(): Env {
  const reading = readEnv(process.env)
  for (const hint of reading.hints) complain(hint)
  if (reading.ok) return reading.env
  for (const { name, message } of reading.faults) complain(`${name} ${message}`)
  process.exit(2)
}

function complain(line: string): void {
  process.stderr.write(`${line}\n`)
}
