/** The numbered configurations that the ledger keeps, compiled as the engine compiled them. */

import { compileConfiguration } from '../../buyers/configuration.ts'
import type { AuctionTerms } from '../../rules/auction.ts'
import { capsOf, windowWord } from '../../rules/calendar.ts'
import { auctionTerms } from '../../rules/terms.ts'
import type { CapRule, Contract, Snapshot } from '../../rules/version.ts'

export interface StoredVersion {
  readonly number: number
  readonly canonical: string
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
}

export class Versions {
  readonly #stored: ReadonlyMap<number, StoredVersion>
  readonly #compiled = new Map<number, Snapshot | string>()
  readonly #terms = new Map<string, AuctionTerms | string>()
  readonly #limits = new Map<string, number | null>()

  constructor(stored: readonly StoredVersion[]) {
    this.#stored = new Map(stored.map((one) => [one.number, one]))
  }

  /** In ascending order. */
  numbers(): readonly number[] {
    return [...this.#stored.keys()].sort((a, b) => a - b)
  }

  createdAt(number: number): number {
    return this.#stored.get(number)?.createdAt ?? Number.NEGATIVE_INFINITY
  }

  /** The snapshot, or why there is none. */
  snapshot(number: number): Snapshot | string {
    let known = this.#compiled.get(number)
    if (known === undefined) {
      known = this.#compile(number)
      this.#compiled.set(number, known)
    }
    return known
  }

  /** What the auction's machine was given, or why that cannot be known. */
  terms(number: number, campaign: string, source: string): AuctionTerms | string {
    const key = `${number} ${campaign} ${source}`
    let known = this.#terms.get(key)
    if (known === undefined) {
      known = this.#termsOf(number, campaign, source)
      this.#terms.set(key, known)
    }
    return known
  }

  contract(number: number, campaign: string, contract: string): Contract | null {
    const snapshot = this.snapshot(number)
    if (typeof snapshot === 'string') return null
    return snapshot.campaigns.get(campaign)?.contracts.find(({ id }) => id === contract) ?? null
  }

  /** Every cap that a sale of this campaign to this contract touches, in the order in which a hold takes them. */
  rules(number: number, campaign: string, source: string, contract: string): readonly CapRule[] | null {
    const snapshot = this.snapshot(number)
    if (typeof snapshot === 'string') return null
    const [from, of] = [snapshot.sources.get(source), snapshot.campaigns.get(campaign)]
    const seat = of?.contracts.find(({ id }) => id === contract)
    if (!from || !of || !seat) return null
    return capsOf(from, of, seat)
  }

  /** Limit that a version sets for a place's key (`contract:acme:day:count:2026-03-02`); null where it sets none. */
  limit(number: number, placeKey: string): number | null {
    const [scope, owner, window, kind] = placeKey.split(':')
    const key = `${number} ${scope}:${owner}:${window}:${kind}`
    let known = this.#limits.get(key)
    if (known === undefined) {
      known = this.rule(number, placeKey)?.limit ?? null
      this.#limits.set(key, known)
    }
    return known
  }

  rule(number: number, placeKey: string): CapRule | null {
    const snapshot = this.snapshot(number)
    if (typeof snapshot === 'string') return null
    const [scope, owner = '', window, kind] = placeKey.split(':')
    const owners = {
      source: () => snapshot.sources.get(owner)?.caps,
      campaign: () => snapshot.campaigns.get(owner)?.caps,
      buyer: () => snapshot.buyers.get(owner)?.caps,
      contract: () => contractNamed(snapshot, owner)?.caps,
      source_contract: () => {
        const [source = '', contract = ''] = owner.split('/')
        return contractNamed(snapshot, contract)?.sourceCaps.get(source)
      },
    }
    const caps = owners[scope as keyof typeof owners]?.() ?? []
    return caps.find((rule) => windowWord(rule) === window && rule.kind === kind) ?? null
  }

  #compile(number: number): Snapshot | string {
    const stored = this.#stored.get(number)
    if (!stored) return `the ledger has no version ${number}`
    const compiled = compileConfiguration(JSON.parse(stored.canonical), number)
    if (compiled.ok) return compiled.snapshot
    return `version ${number} is no configuration of this engine: ${compiled.faults[0]?.path} ${compiled.faults[0]?.message}`
  }

  #termsOf(number: number, campaign: string, source: string): AuctionTerms | string {
    const snapshot = this.snapshot(number)
    if (typeof snapshot === 'string') return snapshot
    const [of, from] = [snapshot.campaigns.get(campaign), snapshot.sources.get(source)]
    if (!of) return `version ${number} has no campaign ${campaign}`
    return from ? auctionTerms(of, from) : `version ${number} has no source ${source}`
  }
}

function contractNamed(snapshot: Snapshot, id: string): Contract | null {
  for (const campaign of snapshot.campaigns.values()) {
    const found = campaign.contracts.find((contract) => contract.id === id)
    if (found) return found
  }
  return null
}
