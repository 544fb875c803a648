/** Keeps test leads off the buyers' real addresses: they go to test addresses, over connections and a health of their own. */
import type { BuyersWire } from '../buyers/wire.ts'
import { testContract } from '../rules/test-delivery.ts'
import type { Contract } from '../rules/version.ts'

/** Connections for tests are few: no storm of them may touch what is sold. */
export const TEST_LANES = { connections: 8, queue: 64, origins: 200 } as const

export function splitWire(live: BuyersWire, tests: BuyersWire): BuyersWire {
  /** Eligibility lets no test lead meet a contract without test addresses. */
  const tested = (contract: Contract): Contract => {
    const found = testContract(contract)
    if (!found) throw new Error(`contract ${contract.id} has no test delivery, and a test lead was to reach it`)
    return found
  }
  return {
    ping: (contract, lead, ...rest) =>
      lead.test ? tests.ping(tested(contract), lead, ...rest) : live.ping(contract, lead, ...rest),
    post: (contract, lead, ...rest) =>
      lead.test ? tests.post(tested(contract), lead, ...rest) : live.post(contract, lead, ...rest),
    close: async () => {
      await Promise.all([live.close(), tests.close()])
    },
  }
}
