/** The verifier as a program: a command line and settings in, lines and an exit code out. */
import { parseArgs } from 'node:util'
import { findingLines, findingsJson } from './finding.ts'
import { look } from './look.ts'
import { readRecords } from './records.ts'
import { openStores } from './stores.ts'

const USAGE = `npm run verify -- [--json] [--acks FILE] [--posts FILE] [--drained] [--admin-key KEY]
  reads DATABASE_URL, REDIS_URL, DATA_DIR, ADMIN_HOST and ADMIN_PORT as the engine does
  --json        one JSON object instead of lines
  --acks        what clients were answered: JSON lines {lead_id, status, payout, http, answered_at}; may be repeated
  --posts       what buyers received: JSON lines {at, key, answer}; may be repeated
  --drained     nothing is under way any more: whatever is undecided or open is a violation
  --admin-key   key of the admin port, asked where REDIS_URL is not set (VERIFY_ADMIN_KEY, else the example's)
  --skew-ms     how far the clocks of engine, ledger, clients and buyers may be apart (10)
  --arrival-ms  how long a post may take from leaving to being read by its buyer (1000)
  --settle-ms   how long a disagreement of hot store and ledger is looked at again (10000)
exit 0: every invariant holds; 1: one is violated; 2: it could not look`

type Variables = Readonly<Record<string, string | undefined>>

/** Where a program writes to: whole texts, each ending a line. */
export interface Output {
  readonly out: (text: string) => void
  readonly error: (text: string) => void
}

interface Plan {
  readonly json: boolean
  readonly drained: boolean
  readonly acks: readonly string[]
  readonly posts: readonly string[]
  readonly adminKey: string
  readonly skewMs: number
  readonly arrivalMs: number
  readonly settleMs: number
}

/** Throws, with what is wrong, on a command line that it cannot follow. */
function readPlan(args: readonly string[], variables: Variables): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      drained: { type: 'boolean', default: false },
      acks: { type: 'string', multiple: true, default: [] },
      posts: { type: 'string', multiple: true, default: [] },
      'admin-key': { type: 'string', default: variables['VERIFY_ADMIN_KEY'] ?? 'demo-admin' },
      'skew-ms': { type: 'string', default: '10' },
      'arrival-ms': { type: 'string', default: '1000' },
      'settle-ms': { type: 'string', default: '10000' },
    },
  })
  const whole = (name: 'skew-ms' | 'arrival-ms' | 'settle-ms'): number => {
    if (/^\d{1,9}$/.test(values[name])) return Number(values[name])
    throw new Error(`--${name} takes whole milliseconds, and is "${values[name]}"`)
  }
  return {
    json: values.json,
    drained: values.drained,
    acks: values.acks,
    posts: values.posts,
    adminKey: values['admin-key'],
    skewMs: whole('skew-ms'),
    arrivalMs: whole('arrival-ms'),
    settleMs: whole('settle-ms'),
  }
}

/** Answers the exit code: 0 every invariant holds, 1 one is violated, 2 it could not look. */
export async function verifyProgram(args: readonly string[], variables: Variables, output: Output): Promise<number> {
  let plan: Plan
  try {
    plan = readPlan(args, variables)
  } catch (error) {
    output.error(`${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  try {
    return await verify(plan, variables, output)
  } catch (error) {
    output.error(`verify could not look: ${(error as Error).message}`)
    return 2
  }
}

async function verify(plan: Plan, variables: Variables, output: Output): Promise<number> {
  const records = await readRecords(plan.acks, plan.posts)
  const stores = await openStores(variables, plan.adminKey)
  try {
    const { databaseUrl, hot } = stores
    const findings = await look({ ...plan, databaseUrl, hot, records, progress: output.error })
    const violated = findings.filter(({ violations }) => violations > 0)
    if (plan.json) output.out(JSON.stringify(findingsJson(findings)))
    else {
      output.out(`ledger ${stores.ledgerName}   hot store ${typeof hot === 'string' ? 'none' : hot.name}`)
      for (const line of findingLines(findings)) output.out(line)
      output.out(violated.length > 0 ? `violated: ${violated.map(({ number }) => number).join(', ')}` : 'all hold')
    }
    return violated.length > 0 ? 1 : 0
  } finally {
    await stores.close()
  }
}
