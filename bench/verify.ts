/** `npm run verify`: reads the ledger and the hot store, and says whether the engine kept its word. */
import { verifyProgram } from './verify/program.ts'

process.exitCode = await verifyProgram(process.argv.slice(2), process.env, {
  out: (text) => void process.stdout.write(`${text}\n`),
  error: (text) => void process.stderr.write(`${text}\n`),
})
