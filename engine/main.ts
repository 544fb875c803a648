/** The program: reads the environment, starts an engine, says where it is, and ends it in order. */
import closeWithGrace from 'close-with-grace'
import { systemClock } from './clock.ts'
import { startEngine } from './engine.ts'
import { readEnv } from './env.ts'
import { exampleCurl } from './example.ts'
import { CannotStart, layFoundation } from './foundation.ts'

const reading = readEnv(process.env)
const note = (line: string): void => void process.stderr.write(`${line}\n`)
for (const hint of reading.hints) note(hint)
if (!reading.ok) {
  for (const { name, message } of reading.faults) note(`${name} ${message}`)
  process.exit(2)
}
const { env } = reading
const clock = systemClock()
try {
  const foundation = await layFoundation(env, clock, note, null)
  const engine = await startEngine({ env, foundation, clock, note, fenced: () => process.exit(3) })
  closeWithGrace({ delay: env.unreadyMs + env.drainMs + 10_000 }, async ({ err }) => {
    if (err) note(String(err.stack))
    await engine.stop()
    await foundation.stop()
  })
  process.stdout.write(`ready ${engine.origin}  admin http://${env.adminHost}:${env.adminPort}\n`)
  if (engine.example) process.stdout.write(`${exampleCurl(engine.origin, Math.floor(Math.random() * 10_000_000))}\n`)
} catch (error) {
  if (!(error instanceof CannotStart)) throw error
  note(error.message)
  process.exit(1)
}
