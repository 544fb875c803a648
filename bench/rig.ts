/** The engine on real stores before scripted buyers, for a bench that compares it with nothing. */
import type { CampaignBuyers } from './contender.ts'
import { type Rival, type ScriptedBuyers, startBuyers, startRival } from './processes.ts'
import { startStores } from './stores.ts'

/** Starts everything, does the work, and stops everything, whatever became of the work. `asked`: the buyers of each campaign. */
export async function withEngine<T>(
  asked: (buyers: ScriptedBuyers) => CampaignBuyers | Promise<CampaignBuyers>,
  work: (engine: Rival, buyers: ScriptedBuyers) => Promise<T>,
): Promise<T> {
  const stops: (() => Promise<void>)[] = []
  try {
    const stores = await startStores()
    stops.push(stores.stop)
    const buyers = await startBuyers()
    stops.push(buyers.stop)
    const engine = await startRival('engine', stores, await asked(buyers))
    stops.push(engine.stop)
    return await work(engine, buyers)
  } finally {
    for (const stop of stops.reverse()) await stop().catch(() => {})
  }
}
