/** The program: reads the environment, starts an engine, says where it is, and ends it in order. */
import closeWithGrace from 'close-with-grace'
import { systemClock } from './clock.ts'
import { startEngine } from './engine.ts'
import { readEnv } from './env.ts'
import { exampleCurl } from './example.ts'
import { CannotStart, layFoundation } from './foundation.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'

const reading = readEnv(process.env)
const complain = (line: string): void => void process.stderr.write(`${line}\n`)
for (const hint of reading.hints) complain(hint)
if (!reading.ok) {
  for (const { name, message } of reading.faults) complain(`${name} ${message}`)
  process.exit(2)
}
const { env } = reading
const clock = systemClock()
const log = createLog(env.logLevel)
const note = (text: string): void => log('note', { text })
try {
  const foundation = await layFoundation(env, clock, note, null)
  const engine = await startEngine({
    env,
    foundation,
    clock,
    log,
    metrics: createMetrics(),
    fenced: () => process.exit(3),
  })
  closeWithGrace({ delay: env.unreadyMs + env.drainMs + 10_000 }, async ({ err }) => {
    if (err) log('unexpected', { fault: err })
    await engine.stop()
    await foundation.stop()
  })
  process.stdout.write(`ready ${engine.origin}  admin ${engine.adminOrigin}\n`)
  if (engine.example) process.stdout.write(`${exampleCurl(engine.origin, Math.floor(Math.random() * 10_000_000))}\n`)
} catch (error) {
  if (!(error instanceof CannotStart)) throw error
  complain(error.message)
  process.exit(1)
}
