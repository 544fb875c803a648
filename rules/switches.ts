/** What operators have switched off for now: pauses and blocks, which act at once, whatever version decides the lead. */
import type { Lead } from './lead.ts'
import { type Reason, reason } from './reason.ts'
import type { WallMs } from './units.ts'
import type { Contract } from './version.ts'

/** A pause stops one contract, buyer or source. A block keeps leads of a source or with a sub-id from whoever it names; from all where it names nobody. */
export interface Switch {
  readonly kind: 'pause' | 'block'
  readonly contract: string | null
  readonly buyer: string | null
  readonly campaign: string | null
  readonly source: string | null
  /** `sub1`..`sub5` or `click_id`, and what must stand in it. */
  readonly sub: string | null
  readonly value: string | null
  /** It ends by itself then; null: when it is lifted. */
  readonly until: WallMs | null
}

type Target = 'contract' | 'buyer' | 'source'
const TARGETS: readonly Target[] = ['contract', 'buyer', 'source']

/** What is switched off, made ready to be asked seat by seat. */
export class Switches {
  readonly #pauses = new Map<string, Switch[]>()
  /** By the narrowest of whom it names: `contract acme`, `buyer acme`, or `` for all. */
  readonly #blocks = new Map<string, Switch[]>()
  /** True where nothing is: what is asked most. */
  readonly none: boolean

  constructor(on: readonly Switch[] = []) {
    this.none = on.length === 0
    for (const one of on) {
      if (one.kind === 'block') addTo(this.#blocks, keyOfBlock(one), one)
      else for (const target of TARGETS) if (one[target] !== null) addTo(this.#pauses, `${target} ${one[target]}`, one)
    }
  }

  sourcePaused(source: string, at: WallMs): boolean {
    return this.#paused('source', source, at)
  }

  /** Why this seat may not have this lead now; null where nothing stands against it. */
  deny(contract: Contract, campaign: string, source: string, lead: Lead, at: WallMs): Reason | null {
    if (this.none) return null
    const buyer = contract.buyer.id
    if (this.#paused('contract', contract.id, at) || this.#paused('buyer', buyer, at)) return 'paused'
    for (const key of [`contract ${contract.id}`, `buyer ${buyer}`, '']) {
      const block = this.#blocks.get(key)?.find((one) => isOn(one, at) && blocks(one, campaign, source, lead))
      if (block) return reason('blocked', block.sub ?? 'source')
    }
    return null
  }

  #paused(target: Target, id: string, at: WallMs): boolean {
    return !this.none && (this.#pauses.get(`${target} ${id}`)?.some((one) => isOn(one, at)) ?? false)
  }
}

function addTo(map: Map<string, Switch[]>, key: string, one: Switch): void {
  const list = map.get(key) ?? []
  list.push(one)
  map.set(key, list)
}

const keyOfBlock = ({ contract, buyer }: Switch): string =>
  contract !== null ? `contract ${contract}` : buyer !== null ? `buyer ${buyer}` : ''

const isOn = ({ until }: Switch, at: WallMs): boolean => until === null || until > at

function blocks(block: Switch, campaign: string, source: string, lead: Lead): boolean {
  if (block.campaign !== null && block.campaign !== campaign) return false
  if (block.source !== null && block.source !== source) return false
  return block.sub === null || lead.subs[block.sub] === block.value
}
