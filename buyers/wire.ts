/** The wire to all buyers as the conductor sees it: ask for a bid, deliver a lead. */
import type { Ms, WallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { PingAnswer, PostAnswer, PostFacts, WireLead } from './adapter.ts'

export interface Timer {
  cancel(): void
}

/** The edge of the world where time is read. The engine's is `engine/clock`; tests bring a virtual one. */
export interface Clock {
  /** Monotonic: deadlines and durations. */
  mono(): Ms
  /** Wall time; never steps back. */
  wall(): WallMs
  after(delay: Ms, fire: () => void): Timer
}

/** How a post ended; `notSent`: no byte of the request left. */
export type PostEnd = PostAnswer | { readonly kind: 'notSent'; readonly reason: string }

export interface BuyersWire {
  /** Calls back exactly once, whenever the answer comes, however late: the tier's deadline is the conductor's. */
  ping(contract: Contract, lead: WireLead, answered: (answer: PingAnswer) => void): void
  /** Sends unless `postBy` (monotonic) has passed, and calls back exactly once, at the latest after the contract's `postMs`. A reply that comes after `unknown timeout` goes to `late`. */
  post(
    contract: Contract,
    lead: WireLead,
    facts: PostFacts,
    postBy: Ms,
    ended: (end: PostEnd) => void,
    late: (answer: PostAnswer) => void,
  ): void
  /** Lets go of every socket that no live exchange uses. */
  close(): Promise<void>
}
