/** Turns the rounds of a bench run into its figures, its table and its verdicts. */
import { readFileSync } from 'node:fs'
import type { Measured } from './measure.ts'
import type { RivalName } from './processes.ts'

export type Rounds = Readonly<Partial<Record<RivalName, readonly Measured[]>>>
/** Named figures of the whole run, in the order in which they are shown. */
export type Figures = Readonly<Record<string, number>>

interface Budget {
  readonly most?: number
  readonly least?: number
  readonly what: string
}

export interface Verdict extends Budget {
  readonly name: string
  readonly measured: number
  readonly pass: boolean
}

/** Each rival's figures are medians over its rounds; a ratio is one of medians. */
export function figuresOf(rounds: Rounds): Figures {
  const { floor = [], engine = [], baseline = [] } = rounds
  return {
    ...rivalFigures('floor', floor),
    ...rivalFigures('engine', engine),
    ...rivalFigures('baseline', baseline),
    ...(engine.length > 0 && floor.length > 0 ? ratioToFloor(engine, floor) : {}),
    ...(engine.length > 0 && baseline.length > 0 ? ratioToBaseline(engine, baseline) : {}),
    ...(engine.length > 0 ? addedFigures(engine) : {}),
  }
}

function rivalFigures(name: RivalName, rounds: readonly Measured[]): Figures {
  if (rounds.length === 0) return {}
  return {
    [`${name}_us`]: tidy(medianOf(rounds, (round) => round.cpuUs)),
    [`${name}_per_s_64`]: tidy(medianOf(rounds, (round) => round.perSecond[64])),
    [`${name}_per_s_128`]: tidy(medianOf(rounds, (round) => round.perSecond[128])),
    [`${name}_open_per_s`]: tidy(medianOf(rounds, (round) => round.openPerSecond)),
    [`${name}_added_p50_ms`]: tidy(medianOf(rounds, (round) => round.added.p50)),
    [`${name}_added_p99_ms`]: tidy(medianOf(rounds, (round) => round.added.p99)),
    [`${name}_commit_p50_ms`]: tidy(medianOf(rounds, (round) => round.commit.p50)),
    [`${name}_commit_p99_ms`]: tidy(medianOf(rounds, (round) => round.commit.p99)),
    [`${name}_sold_share`]: tidy(Math.min(...rounds.map((round) => round.soldShare))),
  }
}

function ratioToFloor(engine: readonly Measured[], floor: readonly Measured[]): Figures {
  const cpuOf = (rounds: readonly Measured[]) => medianOf(rounds, (round) => round.cpuUs)
  return { ratio_to_floor: tidy(cpuOf(engine) / cpuOf(floor)) }
}

/** Where the engine fares worse against the baseline, 64 or 128 in flight: both sides' throughput there, and their ratio. */
function ratioToBaseline(engine: readonly Measured[], baseline: readonly Measured[]): Figures {
  const pairs = ([64, 128] as const).map((inFlight) => {
    const ours = medianOf(engine, (round) => round.perSecond[inFlight])
    const theirs = medianOf(baseline, (round) => round.perSecond[inFlight])
    return { engine_per_s: tidy(ours), baseline_per_s: tidy(theirs), ratio_to_baseline: tidy(ours / theirs) }
  })
  return pairs.sort((a, b) => a.ratio_to_baseline - b.ratio_to_baseline)[0]!
}

function addedFigures(engine: readonly Measured[]): Figures {
  const p99 = medianOf(engine, (round) => round.added.p99)
  const commitP50 = medianOf(engine, (round) => round.commit.p50)
  const commitP99 = medianOf(engine, (round) => round.commit.p99)
  return {
    added_p50_ms: tidy(medianOf(engine, (round) => round.added.p50)),
    added_p99_ms: tidy(p99),
    commit_p50_ms: tidy(commitP50),
    commit_p99_ms: tidy(commitP99),
    // A sale waits for two commits, its intent's and its result's, of which one in a hundred sees one slow one.
    added_p99_less_commit_ms: tidy(Math.max(0, p99 - commitP99 - commitP50)),
  }
}

/** Compares with bench/budget.json whatever the run has measured of it. */
export function verdictsOf(figures: Figures): readonly Verdict[] {
  const budgets = JSON.parse(readFileSync(new URL('budget.json', import.meta.url), 'utf8')) as Record<string, Budget>
  return Object.entries(budgets).flatMap(([name, budget]) => {
    const measured = figures[name]
    if (measured === undefined) return []
    const pass = measured <= (budget.most ?? Number.POSITIVE_INFINITY) && measured >= (budget.least ?? 0)
    return [{ name, ...budget, measured, pass }]
  })
}

const ROWS: readonly (readonly [string, string])[] = [
  ['CPU per lead, us', 'us'],
  ['leads/s, 64 in flight', 'per_s_64'],
  ['leads/s, 128 in flight', 'per_s_128'],
  ['open loop, leads/s', 'open_per_s'],
  ['added latency p50, ms', 'added_p50_ms'],
  ['added latency p99, ms', 'added_p99_ms'],
  ['commit meanwhile p50, ms', 'commit_p50_ms'],
  ['commit meanwhile p99, ms', 'commit_p99_ms'],
  ['answers that sold', 'sold_share'],
]

/** One row a figure, one column a rival. */
export function rivalTable(figures: Figures): string {
  const rivals = ['floor', 'engine', 'baseline'].filter((name) => `${name}_us` in figures)
  const rows = ROWS.map(([label, figure]) => [label, ...rivals.map((name) => shown(figures[`${name}_${figure}`]!))])
  return aligned([['', ...rivals], ...rows])
}

/** Figures of single steps, one a row. */
export function microTable(figures: Figures): string {
  return aligned(Object.entries(figures).map(([name, value]) => [name, shown(value)]))
}

export function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ name, measured, most, least, pass, what }) => {
    const limit = most === undefined ? `>= ${least}` : `<= ${most}`
    return [pass ? 'pass' : 'MISS', name, shown(measured), limit, what]
  })
  return aligned(rows)
}

/** First and last column to the left, numbers to the right. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const numeric = (text: string): boolean => /^[\d.,]+$/.test(text) || text === ''
  return rows
    .map((row, at) =>
      row
        .map((text, column) => {
          const right = at === 0 ? column > 0 && rows.slice(1).every((other) => numeric(other[column]!)) : numeric(text)
          return right && column > 0 ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function medianOf<T>(values: readonly T[], of: (value: T) => number): number {
  const sorted = values.map(of).sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Three significant digits are more than such a run can tell; whole numbers stay whole. */
export function tidy(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}

function shown(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 3 })
}
