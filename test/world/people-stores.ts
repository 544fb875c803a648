/** Stores in this process for stories of people: everything hot is lost and restored from the ledger on paper. */
import { MemoryStore } from '../../engine/store/memory.ts'
import type { Snapshot } from '../../rules/version.ts'
import { MemoryLedger } from './ledger.ts'
import type { PeopleStores } from './people.ts'

export function paperStores(): PeopleStores & { readonly ledger: MemoryLedger } {
  const ledger = new MemoryLedger()
  const stores = {
    ledger,
    hot: new MemoryStore('test'),
    async lose({ campaigns }: Snapshot) {
      const epoch = ++ledger.paper.epoch
      const scopes = [...new Set([...campaigns.values()].map(({ duplicates }) => duplicates.scope))]
      stores.hot = new MemoryStore('test')
      const sightings = [...ledger.paper.leads.keys()].flatMap((leadId) => ledger.paper.sighting(leadId) ?? [])
      const nothing = { committed: [], tokens: [], tags: [], locks: [] }
      await stores.hot.restore({ ...nothing, epoch, scopes, sightings: [sightings] })
    },
  }
  return stores
}
