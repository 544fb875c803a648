/** `npm run bench`: floor, engine and baseline in turn on the same stores, buyers and leads, and what that says of the engine. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Deck } from './deck.ts'
import { duplicates } from './duplicates.ts'
import { byContracts } from './eligibility.ts'
import { isolation } from './isolation.ts'
import { type Measured, measure, SLOW_IN_FLIGHT, WARM_LEADS, warmUp } from './measure.ts'
import { MICRO } from './micro.ts'
import { type Rival, type RivalName, type ScriptedBuyers, startBuyers, startRival } from './processes.ts'
import {
  type Figures,
  figuresOf,
  microTable,
  type Rounds,
  rivalTable,
  tidy,
  verdictsOf,
  verdictTable,
} from './report.ts'
import { soak } from './soak.ts'
import { startStores } from './stores.ts'

const RIVALS: readonly RivalName[] = ['floor', 'engine', 'baseline']
/** Benches that start what they need themselves; each gives its figures by name. */
const APART: Readonly<Record<string, (plan: Plan) => Promise<Figures>>> = {
  isolation: isolationFigures,
  duplicates: ({ seconds }) => duplicates(seconds > 1 ? 1_000_000 : 50_000),
  soak: soakFigures,
}
/** Too long to be a part of all. */
const ONLY_NAMED: ReadonlySet<string> = new Set(['soak'])
const SOAK_SECONDS = 60
const NAMES: readonly string[] = [...RIVALS, ...Object.keys(MICRO), ...Object.keys(APART)]
const USAGE = `npm run bench -- [names] [--json] [--short] [--rounds n] [--seconds n] [--strict]
  names      any of ${NAMES.join(', ')}; all but soak where none is named
  --json     the last line is one JSON object with every figure
  --short    one round of one second a phase: to see that it works, not to measure
  --rounds   rounds in which the rivals take turns; medians are shown (3)
  --seconds  length of each phase (5), of a soak (${SOAK_SECONDS}; an hour is 3600)
  --strict   exit 1 where a budget of bench/budget.json is missed`

interface Plan {
  readonly rivals: readonly RivalName[]
  readonly micro: readonly string[]
  readonly apart: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly warmLeads: number
  readonly slowInFlight: number
  readonly json: boolean
  readonly strict: boolean
}

/** Reads the command line; a text is what is wrong with it. */
function readPlan(args: readonly string[]): Plan | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        short: { type: 'boolean', default: false },
        strict: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
      },
    })
    const unknown = positionals.filter((name) => !NAMES.includes(name))
    if (unknown.length > 0) return `there is no bench "${unknown[0]}"`
    const rounds = Number(values.rounds ?? (values.short ? 1 : 3))
    const seconds = Number(values.seconds ?? (values.short ? 1 : positionals.includes('soak') ? SOAK_SECONDS : 5))
    if (!Number.isInteger(rounds) || rounds < 1) return '--rounds takes a whole number from 1 on'
    if (!(seconds > 0 && seconds <= 3600)) return '--seconds takes a number of seconds above 0'
    const named = (name: string): boolean =>
      positionals.includes(name) || (positionals.length === 0 && !ONLY_NAMED.has(name))
    const { json, strict } = values
    const [rivals, micro] = [RIVALS.filter(named), Object.keys(MICRO).filter(named)]
    const [warmLeads, slowInFlight] = values.short ? [50, 50] : [WARM_LEADS, SLOW_IN_FLIGHT]
    const apart = Object.keys(APART).filter(named)
    return { rivals, micro, apart, rounds, seconds, warmLeads, slowInFlight, json, strict }
  } catch (error) {
    return (error as Error).message
  }
}

const progress = (line: string): void => void process.stderr.write(`${line}\n`)

/** Runs every rival once a round, each time in the same order, on processes that live through the whole run. */
async function compare(plan: Plan): Promise<Rounds> {
  if (plan.rivals.length === 0) return {}
  const stops: (() => Promise<void>)[] = []
  const stopAll = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop().catch((error: Error) => progress(error.message))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stopAll().then(() => process.exit(130)))
  }
  try {
    progress('starting Redis, Postgres and the scripted buyers')
    const stores = await startStores()
    stops.push(stores.stop)
    const buyers = await startBuyers()
    stops.push(buyers.stop)
    const rivals: Rival[] = []
    for (const name of plan.rivals) {
      progress(`starting the ${name}`)
      const rival = await startRival(name, stores, buyers.campaigns)
      stops.push(rival.stop)
      rivals.push(rival)
    }
    return await runRounds(plan, rivals, buyers, await stores.database())
  } finally {
    await stopAll()
  }
}

async function runRounds(
  plan: Plan,
  rivals: readonly Rival[],
  buyers: ScriptedBuyers,
  probeUrl: string,
): Promise<Rounds> {
  const { seconds, slowInFlight } = plan
  const measured: Partial<Record<RivalName, Measured[]>> = {}
  const decks = new Map(rivals.map((rival) => [rival, new Deck()]))
  for (const rival of rivals) {
    progress(`warming up the ${rival.name}`)
    await warmUp(rival, decks.get(rival)!, plan.warmLeads)
  }
  for (let round = 1; round <= plan.rounds; round++) {
    for (const rival of rivals) {
      progress(`round ${round} of ${plan.rounds}: ${rival.name}`)
      const one = await measure(rival, { buyers, seconds, probeUrl, deck: decks.get(rival)!, slowInFlight })
      measured[rival.name] = [...(measured[rival.name] ?? []), one]
    }
  }
  return measured
}

function microFigures(plan: Plan): Figures {
  const batchMs = Math.min(500, plan.seconds * 100)
  return Object.assign({}, ...plan.micro.map((name) => MICRO[name]!(batchMs))) as Figures
}

/** With a buyer that hangs: what leads that do not ask it notice. */
async function isolationFigures(plan: Plan): Promise<Figures> {
  progress('one of ten buyers hangs')
  const figures = await isolation(plan.rounds, plan.seconds)
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, tidy(value)]))
}

/** Memory and queues at 80 % of saturation. */
async function soakFigures({ seconds, warmLeads }: Plan): Promise<Figures> {
  progress(`soaking the engine for ${seconds} s`)
  const figures = await soak(seconds, warmLeads)
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, tidy(value)]))
}

async function main(): Promise<void> {
  const plan = readPlan(process.argv.slice(2))
  if (typeof plan === 'string') {
    console.error(`${plan}\n\n${USAGE}`)
    process.exitCode = 2
    return
  }
  const micro = microFigures(plan)
  const compared = figuresOf(await compare(plan))
  const apart: Record<string, number> = {}
  for (const name of plan.apart) Object.assign(apart, await APART[name]!(plan))
  const figures: Figures = { ...compared, ...micro, ...apart }
  const verdicts = verdictsOf(figures)
  const cores = availableParallelism()
  const run = `median over ${plan.rounds} round(s), ${plan.seconds} s a phase, ten buyers a lead, Redis and Postgres real and durable`
  const parts = [
    ...(plan.rivals.length > 0 ? [rivalTable(compared), run] : []),
    ...(plan.micro.length + plan.apart.length > 0 ? [microTable({ ...micro, ...apart })] : []),
    `${cores} cores carry engine, buyers, load, Redis and Postgres at once: trust CPU per lead and ratios, not leads a second.`,
    ...(verdicts.length > 0 ? [verdictTable(verdicts)] : []),
  ]
  console.log(parts.join('\n\n'))
  if (plan.json)
    console.log(
      JSON.stringify({ ...figures, ...byContracts(figures), cores, rounds: plan.rounds, seconds: plan.seconds }),
    )
  if (plan.strict && verdicts.some((verdict) => !verdict.pass)) process.exitCode = 1
}

main().catch((error: Error) => {
  console.error(`the bench did not finish: ${error.message}`)
  process.exitCode = 1
})
