/** The form of a story: one lead's auction as a person writes it down, with scripted buyers and what must come of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/**
 * What a buyer does with a ping. `after` counts from the ping, in milliseconds; a wire fault without `after` is there at
 * once. `expires` is for how many seconds the bid stands, or until when. `silent` never answers. A `status` comes with `body`, or an empty one.
 */
export type PingScript =
  | 'silent'
  | WireFault
  | { readonly after: number; readonly bid: string; readonly reference?: string; readonly expires?: number | string }
  | { readonly after: number; readonly noBid: string }
  | { readonly after: number; readonly status: number; readonly body?: string }
  | { readonly after: number; readonly fault: WireFault }

/**
 * What a buyer does with a post. An answer after the contract's `postMs` is late: the post is in doubt by then.
 * `accept` is the buyer's own reference; `price` what its acceptance names.
 */
export type PostScript =
  | 'silent'
  | WireFault
  | { readonly after: number; readonly accept: string; readonly price?: string; readonly redirect?: string }
  | { readonly after: number; readonly reject: string }
  /** `whole: false`: the reply ended with the connection, so nothing proves that it was whole. */
  | { readonly after: number; readonly status: number; readonly body?: string; readonly whole?: boolean }
  | { readonly after: number; readonly fault: WireFault }

/** The first five leave no byte behind; of the last two nobody knows what the buyer read. */
export type WireFault = 'dns' | 'connect' | 'tls' | 'guard' | 'breaker' | 'reset' | 'truncated'

/**
 * What a check's service does. An answer after the check's time is none. `body` is its reply, as the check of the
 * configuration reads it; `listed` what a list says.
 */
export type CheckScript =
  | 'silent'
  | { readonly after: number; readonly body: unknown; readonly status?: number }
  | { readonly after: number; readonly fault: string }
  | { readonly listed: boolean }

type Used<T> = T | Readonly<Record<string, T>>
/**
 * What is used, and the limit. Windows count leads; behind `spend.` stands money as text; `30m` is a rolling window. What is
 * used may be told by how many minutes ago it was sold.
 */
export type StoryCaps = Readonly<Record<string, readonly [Used<number>, number] | readonly [Used<string>, string]>>

/** As in the configuration: the last one counts whose condition holds. */
export type StoryRule<T> = T & { readonly when?: unknown }

export type StoryPayout =
  | { readonly share: number; readonly margin_floor?: string }
  | { readonly fixed: string; readonly payout_on?: 'accepted' }

export interface StoryContract {
  readonly tier?: string
  readonly priority?: number
  readonly weight?: number
  /** The contract's id where it is left out: a buyer for each contract. */
  readonly buyer?: string
  /** Buyers of one group never get two copies. */
  readonly group?: string
  readonly price?: string
  readonly priceRules?: readonly StoryRule<{ readonly price: string }>[]
  readonly priceFrom?: 'contract' | 'reply'
  readonly floor?: string
  readonly floorRules?: readonly StoryRule<{ readonly floor: string }>[]
  readonly minBid?: string
  readonly maxBid?: string
  readonly adjust?: readonly StoryRule<{ readonly factor: number } | { readonly amount: string }>[]
  readonly filter?: unknown
  readonly checks?: readonly string[]
  readonly postMs?: number
  /** What becomes of a post that nobody answers. */
  readonly inDoubt?: 'hold_unbilled' | 'assume_sold' | 'timeout_is_no_sale'
  readonly serverError?: 'in_doubt' | 'rejected'
  readonly active?: boolean
  /** As in the configuration file. */
  readonly schedule?: object
  readonly pause?: object
  readonly whenClosed?: 'skip' | 'queue'
  readonly queueForMs?: number
  readonly caps?: StoryCaps
  /** Caps of what the story's source sells to it. */
  readonly sourceCaps?: StoryCaps
  /** More of its caps, as in the configuration file. */
  readonly capTerms?: object
  /** The contract is pinged where this is present. */
  readonly ping?: PingScript
  readonly post?: PostScript
}

/** How the stores behave. Times are milliseconds since the lead opened. */
export interface StoryStore {
  /** By buyer: what it has paid into its balance. */
  readonly paid?: Readonly<Record<string, string>>
  /** By contract: the window in which it was pinged as often as it may be. */
  readonly throttled?: Readonly<Record<string, 'second' | 'minute' | 'day'>>
  /** How long the store's answers to one contract's steps take. */
  readonly slow?: Readonly<Record<string, { readonly hold?: number; readonly intent?: number }>>
  /** How many turns of a round-robin tier earlier leads had, each with all its contracts. */
  readonly turns?: Readonly<Record<string, number>>
  /** How long the hot store takes to say whose turn it is. */
  readonly slowTurn?: number
  /** How long the ledger takes to make a RESULT durable. */
  readonly slowResult?: number
  /** The hot store loses its memory at the first moment, and has it again at the second (null: not while this lead lives). */
  readonly cold?: readonly [number, number | null]
  /** The hot store is rebuilt from the ledger under a new epoch. */
  readonly rebuiltAt?: number
  /** From the first moment to the second the engine cannot tell whether others take it for dead. */
  readonly unsure?: readonly [number, number]
  /** From that moment on an operator keeps the lead from the contract, for that reason. */
  readonly denied?: Readonly<Record<string, readonly [number, string]>>
  /** Another engine takes this one for dead. */
  readonly fencedAt?: number
}

/** What the source's ping came to, in a story about the lead that comes for its offer. */
export interface StoryOffer {
  readonly payout: string
  readonly shortfall?: 'eat_to_zero_margin' | 'reject' | 'reoffer'
  /** Price, the buyer's reference, and for how many milliseconds more the bid stands, by contract; best first. */
  readonly bids: Readonly<Record<string, readonly [price: string, reference?: string | null, lives?: number]>>
  readonly declined?: Readonly<Record<string, string>>
  /** A pinged field is another one by now. */
  readonly changed?: boolean
  /** Whom the consumer chose; everybody where it is left out. */
  readonly chosen?: readonly string[]
}

export interface Story {
  /** One sentence: what happens, and why it is right. */
  readonly why: string
  /** Wall time at which the lead opens. */
  readonly clock: string
  /** Drawn at open, one for each seat that takes part, in contract order; 0 where the list ends. */
  readonly dice: readonly number[]
  readonly lead: Readonly<Record<string, string>> & { readonly vertical: string }
  readonly plan: readonly {
    readonly tier: string
    readonly strategy: 'auction' | 'waterfall' | 'weighted' | 'round_robin'
    readonly copies: number
    readonly pingMs?: number
    readonly earlyClose?: boolean
  }[]
  readonly terms: {
    readonly floor?: string
    readonly floorRules?: readonly StoryRule<{ readonly floor: string }>[]
    readonly sourceFloor?: string
    readonly sourceFloorRules?: readonly StoryRule<{ readonly floor: string }>[]
    readonly minMargin?: string
    readonly allowLoss?: boolean
    readonly postMs?: number
    readonly totalMs?: number
    readonly answerWithin?: number
    readonly payout: StoryPayout
    readonly payoutRules?: readonly StoryRule<{ readonly payout: StoryPayout }>[]
    readonly sourcePayout?: StoryPayout
    readonly sourcePayoutRules?: readonly StoryRule<{ readonly payout: StoryPayout }>[]
    readonly checks?: readonly string[]
    /** The source takes no less for a lead. */
    readonly minPayout?: string
  }
  /** In the order of their names: it is the order of the seats. */
  readonly contracts: Readonly<Record<string, StoryContract>>
  /** More of a buyer than its caps, as in the configuration file; its zone is America/Chicago where none is given. */
  readonly buyers?: Readonly<Record<string, object>>
  /** Caps of others than contracts: `source`, `campaign`, `buyer acme`. */
  readonly caps?: Readonly<Record<string, StoryCaps>>
  /** By id, as in the configuration file, and what its service does with the lead. */
  readonly checks?: Readonly<Record<string, { readonly file: object; readonly does: CheckScript }>>
  /** The source only pings. */
  readonly asks?: true
  readonly offer?: StoryOffer
  readonly store?: StoryStore
  readonly expect: StoryEnd
}

export interface StoryEnd {
  readonly trace: readonly string[]
  /** By contract; seats that nobody decided about are left out where another engine took the lead over. */
  readonly outcomes: Readonly<Record<string, string>>
  /** Used places afterwards: `acme.day`, `acme.spend.day`, `source.hour`, `buyer acme.day`. */
  readonly caps: Readonly<Record<string, number | string>>
}

export interface NamedStory {
  readonly name: string
  readonly story: Story
}

/** Every story of a folder of `test/golden/`, by name; none where there is no such folder. */
export function readStories(folder: string): readonly NamedStory[] {
  const home = new URL(`../golden/${folder}/`, import.meta.url)
  if (!existsSync(home)) return []
  return readdirSync(home)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.json'.length),
      story: JSON.parse(readFileSync(new URL(file, home), 'utf8')) as Story,
    }))
}
