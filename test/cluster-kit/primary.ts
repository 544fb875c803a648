/** A primary as a program of its own, to be killed: prints its workers' pids. */
import { systemClock } from '../../engine/clock.ts'
import { runPrimary } from '../../engine/cluster.ts'

const port = Number(process.env['PORT'])
const entry = new URL('worker.ts', import.meta.url).pathname
const options = { workers: 2, host: '127.0.0.1', port, clock: systemClock(), log: () => {}, graceMs: 5_000, entry }
const primary = await runPrimary(options)
const pids = (await primary.ask('status')).map((status) => (status as { pid: number }).pid)
process.stdout.write(`${JSON.stringify(pids)}\n`)
