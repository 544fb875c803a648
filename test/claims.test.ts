/** Leads with one phone at one time: the second waits for the first, and is its duplicate where the first was sold. */
import { expect, test } from 'vitest'
import { type ClaimPorts, claim } from '../engine/claims.ts'
import { systemClock } from '../engine/clock.ts'
import { type LiveLead, LiveLeads } from '../engine/live.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { LeadRecord } from '../engine/store/port.ts'
import { NOBODY } from '../rules/duplicates.ts'
import { ms } from '../rules/units.ts'
import { MemoryLedger } from './world/ledger.ts'

const FIRST = '0197f000-0000-7000-8000-000000000001'
const SECOND = '0197f000-0000-7000-8000-000000000002'
const PRINT = 'solar:x'
const DAY_MS = 86_400_000

const anybody = (seen: readonly string[]) => (seen.length > 0 ? 'duplicate' : NOBODY)

/** The first lead has its claim; the ledger says of it what it is asked to, in turn, the last word for ever. */
async function withTwin(...says: (LeadRecord['status'] | null)[]) {
  const hot = new MemoryStore('test')
  await hot.restore({ epoch: 1, committed: [], tokens: [], tags: [], scopes: ['solar'], locks: [], sightings: [] })
  const ledger = new MemoryLedger()
  ledger.lead = async () => {
    const status = says.length > 1 ? says.shift()! : says[0]!
    return status === null ? null : ({ leadId: FIRST, status, decided: status !== 'received' } as LeadRecord)
  }
  let asked = 0
  const claimOnce = hot.claim.bind(hot)
  hot.claim = (request) => {
    asked++
    return claimOnce(request)
  }
  const live = new LiveLeads(10)
  const clock = systemClock()
  ledger.sighting = async (leadId) => {
    if (says[0] !== 'sold' && says[0] !== 'pending') return null
    const sighting = { leadId, campaign: 'solar', level: 3, sold: ['acme'], asked: [] } as const
    return { ...sighting, at: clock.wall(), keepMs: DAY_MS, fingerprints: [PRINT] }
  }
  const ports: ClaimPorts = {
    ...{ clock, hot, ledger, live, warm: async () => false, reveal: (_, text) => text },
    hotLater: () => {},
  }
  const request = (leadId: string) => ({
    ...{ leadId, idempotency: null, bodyHash: '', fingerprints: [PRINT], keepMs: DAY_MS, now: clock.wall() },
  })
  await claimOnce(request(FIRST))
  return { live, asked: () => asked, second: () => claim(ports, request(SECOND), anybody, ms(2_000)) }
}

test.each(['sold', 'pending'])(
  'a twin that the ledger has as %s makes a duplicate, though its lock still stands',
  async (status) => {
    const { second } = await withTwin('received', status)
    expect(await second()).toEqual({ code: 'duplicate' })
  },
)

test.each(['unsold', 'duplicate', 'expired'])('a twin that ended %s gives way', async (status) => {
  const { second } = await withTwin('received', status)
  expect(await second()).toEqual({ code: 'fresh', barred: NOBODY, epoch: 1 })
})

test('a twin whose source stopped waiting is asked about at a walking pace', async () => {
  const { live, asked, second } = await withTwin('received', 'received', 'received', 'sold')
  live.add({ leadId: FIRST, answer: { status: 'pending' }, waiters: [] } as unknown as LiveLead)
  expect(await second()).toEqual({ code: 'duplicate' })
  expect(asked()).toBeLessThan(3)
})
