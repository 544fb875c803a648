/** The example that runs where nothing is configured: its files, its scripted buyers, and a curl line that sells a lead. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const beside = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export const EXAMPLE_FILE = beside('./example.yaml')
/** Tempers of the twelve buyers, by the first part of their paths. */
export const EXAMPLE_BUYERS_FILE = beside('./example-buyers.json')
const BUYERS_PROGRAM = beside('../bench/buyer-sim.ts')
const READY_WITHIN_MS = 15_000

export interface ScriptedBuyers {
  /** What stands for `${buyers}` in the example. */
  readonly origin: string
  readonly pid: number
  stop(): Promise<void>
}

/** Starts the buyers as a process of their own, which ends when this one does. Throws where it does not get ready. */
export function startScriptedBuyers(): Promise<ScriptedBuyers> {
  const args = [BUYERS_PROGRAM, '--config', EXAMPLE_BUYERS_FILE, '--port', '0', '--until-stdin-ends']
  // A group of its own: Ctrl-C must not end the buyers before the engine has drained.
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: {} })
  const gone = new Promise<void>((done) => child.once('close', () => done()))
  return new Promise((ready, fail) => {
    let said = ''
    const failed = (why: string) => {
      child.kill('SIGKILL')
      fail(new Error(`The example's scripted buyers ${why}. ${said}`.trim()))
    }
    const limit = setTimeout(() => failed(`were not ready within ${READY_WITHIN_MS / 1000} s`), READY_WITHIN_MS)
    child.once('error', (error) => failed(`could not be started: ${error.message}`))
    void gone.then(() => failed('ended'))
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk).slice(-2_000)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      const origin = /^ready (http:\/\/\S+)/.exec(line)?.[1]
      if (origin === undefined) return
      clearTimeout(limit)
      const stop = async () => {
        child.kill('SIGTERM')
        await gone
      }
      ready({ origin, pid: child.pid!, stop })
    })
  })
}

/** Exchanges that no telephone has. */
const NO_EXCHANGE = /^(.11|555)$/

/**
 * A good lead of the campaign, as its source would post it. Each `n` is another person; the same one again is a
 * duplicate, since its phone and email were sold.
 */
export function exampleLead(n: number): Readonly<Record<string, string>> {
  const digits = String(n % 10_000_000).padStart(7, '0')
  const spoken = `${2 + (Number(digits[0]) % 8)}${digits.slice(1, 3)}`
  const exchange = NO_EXCHANGE.test(spoken) ? '234' : spoken
  return {
    first_name: 'Jane',
    last_name: 'Doe',
    phone: `512-${exchange}-${digits.slice(3)}`,
    email: `jane.${digits}@example.com`,
    address: '1100 Congress Ave',
    city: 'Austin',
    state: 'TX',
    zip: '78701',
    ownership: 'own',
    bill_band: '100-200',
    roof_shade: 'none',
    project_type: 'install',
    time_frame: 'within_3_months',
  }
}

/** One line for a shell: posts `exampleLead(n)` with the example's key. */
export function exampleCurl(origin: string, n: number): string {
  const headers = `-H 'Authorization: Bearer demo' -H 'Content-Type: application/json'`
  return `curl -s ${origin}/v1/campaigns/solar/leads ${headers} -d '${JSON.stringify(exampleLead(n))}'`
}
