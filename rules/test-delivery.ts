/** Contracts as test leads meet them: each at its buyer's test addresses, where it has some. */
import type { Contract } from './version.ts'

const TESTED = new WeakMap<Contract, Contract | null>()

/**
 * The contract with its test addresses; null where a test lead may not reach it, since its buyer gave none for a post,
 * or for the ping that it is asked by.
 */
export function testContract(contract: Contract): Contract | null {
  const known = TESTED.get(contract)
  if (known !== undefined) return known
  const { testUrl, testPingUrl } = contract.delivery
  const reachable = testUrl !== null && (!contract.pinged || testPingUrl !== null)
  const tested = reachable
    ? { ...contract, delivery: { ...contract.delivery, postUrl: testUrl, pingUrl: testPingUrl } }
    : null
  TESTED.set(contract, tested)
  return tested
}
