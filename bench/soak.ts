/** Soaks the engine: at 80 % of what saturates it, how its memory and its queues fare over minutes or hours. */
import { setTimeout as pause } from 'node:timers/promises'
import { SOURCE_KEY } from './config.ts'
import { Deck } from './deck.ts'
import { closedLoop, type LoadResult, openLoop } from './load.ts'
import { SLOW_IN_FLIGHT, soldShareOf, warmUp } from './measure.ts'
import type { Rival, ScriptedBuyers } from './processes.ts'
import { medianOf } from './report.ts'
import { withEngine } from './rig.ts'

const LOAD_SHARE = 0.8
const SATURATE_SECONDS = 5
/** Enough samples for four quarters; of a short soak one a second. */
const MOST_SAMPLES = 240

/** One look at the engine's own metrics. */
interface Sample {
  readonly heapMb: number
  readonly rssMb: number
  readonly queues: ReadonlyMap<string, number>
}

/**
 * Posts leads for so many seconds by an open loop. Of memory the second quarter is compared with the last: rss by its
 * median, the heap by its least, which is what a collection leaves. Queues by the deepest that was seen.
 */
export function soak(seconds: number, warmLeads: number): Promise<Readonly<Record<string, number>>> {
  return withEngine(
    (buyers) => buyers.campaigns,
    (engine, buyers) => soaked(engine, buyers, seconds, warmLeads),
  )
}

async function soaked(engine: Rival, buyers: ScriptedBuyers, seconds: number, warmLeads: number) {
  const deck = new Deck()
  await warmUp(engine, deck, warmLeads)
  const load = { url: engine.url('slow'), key: SOURCE_KEY, leads: deck }
  const saturated = await closedLoop({
    ...load,
    inFlight: SLOW_IN_FLIGHT,
    seconds: Math.min(seconds, SATURATE_SECONDS),
  })
  const sampler = sample(engine, buyers, Math.max(1_000, (seconds * 1_000) / MOST_SAMPLES))
  const result = await openLoop({ ...load, perSecond: saturated.perSecond * LOAD_SHARE, seconds })
  return figuresOf(result, await sampler.stop())
}

function sample(engine: Rival, buyers: ScriptedBuyers, everyMs: number): { stop(): Promise<readonly Sample[]> } {
  const samples: Sample[] = []
  const going = new AbortController()
  const loop = (async () => {
    while (!going.signal.aborted) {
      samples.push(readSample(await engine.page()))
      // The buyers would keep them for ever.
      await buyers.waits()
      await pause(everyMs, undefined, { signal: going.signal }).catch(() => {})
    }
  })()
  return {
    async stop() {
      going.abort()
      await loop
      return samples
    },
  }
}

function readSample(page: string): Sample {
  const megabytes = (name: string): number => {
    const found = new RegExp(`^(?:\\w+_)?${name}(?:\\{[^}]*\\})? ([\\d.e+-]+)`, 'm').exec(page)
    if (!found) throw new Error(`the engine's metrics have no ${name}`)
    return Number(found[1]) / 1e6
  }
  const depths = page.matchAll(/^gavelpost_queue_depth\{queue="(\w+)"\} ([\d.e+-]+)/gm)
  return {
    heapMb: megabytes('nodejs_heap_size_used_bytes'),
    rssMb: megabytes('process_resident_memory_bytes'),
    queues: new Map(Array.from(depths, ([, name, depth]) => [name!, Number(depth)])),
  }
}

function figuresOf(result: LoadResult, samples: readonly Sample[]): Readonly<Record<string, number>> {
  const quarter = Math.ceil(samples.length / 4)
  const [early, late] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)]
  const least = (some: readonly Sample[]): number => Math.min(...some.map(({ heapMb }) => heapMb))
  const rss = (some: readonly Sample[]): number => medianOf(some, ({ rssMb }) => rssMb)
  const deepest = [...samples[0]!.queues.keys()].map(
    (name) => [`soak_most_${name}`, Math.max(...samples.map(({ queues }) => queues.get(name)!))] as const,
  )
  return {
    soak_per_s: result.perSecond,
    soak_sold_share: soldShareOf(result),
    soak_p50_ms: result.latencyMs.p50,
    soak_p99_ms: result.latencyMs.p99,
    soak_heap_early_mb: least(early.length > 0 ? early : samples),
    soak_heap_late_mb: least(late),
    soak_rss_early_mb: rss(early.length > 0 ? early : samples),
    soak_rss_late_mb: rss(late),
    ...Object.fromEntries(deepest),
  }
}
