/** Measures what leads notice of a buyer that they do not ask: it hangs, and others do ask it. */
import { build } from 'hdr-histogram-js'
import { SOURCE_KEY } from './config.ts'
import { Deck } from './deck.ts'
import { type LoadResult, openLoop, summary } from './load.ts'
import type { Rival, ScriptedBuyers } from './processes.ts'
import { withEngine } from './rig.ts'

/** Far below saturation: what is measured is what leads do to each other, not how many there can be. */
const PER_SECOND = 30

/** How long leads took, in milliseconds from the moment each was due, over all rounds. */
interface Sample {
  readonly well: number
  readonly hanging: number
  /** Leads of the campaign that asks the tenth buyer which were sold all the same. */
  readonly soldShare: number
}

/**
 * Two streams at once: one campaign asks nine buyers, the other the same nine and a tenth. In turns the tenth answers
 * and hangs. p99 of the first stream, over all rounds of a kind, must not tell which.
 */
export function isolation(rounds: number, seconds: number): Promise<Readonly<Record<string, number>>> {
  return withEngine(
    (buyers) => buyers.neighbours(),
    async (engine, buyers) => {
      const { well, hanging, soldShare } = await inTurns(engine, buyers, rounds, seconds)
      return {
        beside_p99_ms: well,
        beside_hanging_p99_ms: hanging,
        beside_moved: hanging / well,
        asking_sold: soldShare,
      }
    },
  )
}

async function inTurns(engine: Rival, buyers: ScriptedBuyers, rounds: number, seconds: number): Promise<Sample> {
  const histograms = { well: newHistogram(), hanging: newHistogram() }
  // One deck for both: of two leads of one person the second waits for the first, whoever is asked.
  const leads = new Deck()
  const stream = (campaign: 'beside' | 'asking', seed: number, onLatency: (us: number) => void) => {
    const url = engine.url(campaign)
    const onDecision = (_: string, us: number) => onLatency(us)
    return openLoop({ url, key: SOURCE_KEY, leads, perSecond: PER_SECOND, seconds, seed, onDecision })
  }
  const both = async (seed: number, onLatency: (us: number) => void) =>
    (await Promise.all([stream('beside', seed, onLatency), stream('asking', seed + 1, () => {})]))[1]
  await both(1, () => {})
  const asked: LoadResult[] = []
  for (let round = 0; round < 2 * rounds; round++) {
    const kind = round % 2 === 0 ? 'well' : 'hanging'
    await buyers.tenth(kind)
    const result = await both(2 * round, (us) => histograms[kind].recordValue(us))
    if (kind === 'hanging') asked.push(result)
  }
  const sold = asked.reduce((sum, { answers }) => sum + (answers['200 sold'] ?? 0), 0)
  const sent = asked.reduce((sum, result) => sum + result.sent, 0)
  return { well: p99(histograms.well), hanging: p99(histograms.hanging), soldShare: sold / Math.max(1, sent) }
}

const newHistogram = () => build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3 })
const p99 = (histogram: ReturnType<typeof newHistogram>): number => summary(histogram).p99
