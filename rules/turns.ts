/** The pure model of round robin: whose turn it is, smoothly by weight. It is the in-process store and the oracle of the Lua. */

import type { Campaign } from './version.ts'

/** What the turns of a tier are kept under. */
export const turnsKey = ({ id, tiers }: Campaign, tier: number): string => `${id}:${tiers[tier]!.name}`

/** A seat that may have the next turn of its tier. Of one group only one is given a turn with one lead. */
export interface TurnCandidate {
  readonly contract: string
  readonly weight: number
  readonly group: string
}

interface Group {
  weight: number
  /** Places of the list. */
  readonly members: number[]
}

/**
 * Credits of contracts, by tier.
 *
 * With a lead that has so many turns each candidate gains its weight for each of them; those with the most credit have
 * them (of equal ones the first in the list, of a group one), and each pays what all gain with one turn. So credits of a
 * tier add up to zero, and turns come round as evenly as the weights allow: 3 and 1 are `a a b a`. A group whose weight
 * asks for more than one turn with every lead has one, and its members share those. A contract that nobody knows begins
 * at zero. What is kept is one number for each contract that ever was in a tier.
 */
export class Turns {
  readonly #tiers = new Map<string, Map<string, number>>()

  /** Places of the candidates that have the next `copies` turns; fewer where there are not as many groups. */
  take(tier: string, candidates: readonly TurnCandidate[], copies: number): number[] {
    const credits = this.#tiers.get(tier) ?? new Map<string, number>()
    this.#tiers.set(tier, credits)
    const gain = (at: number, by: number): number => {
      const { contract } = candidates[at]!
      const credit = (credits.get(contract) ?? 0) + by
      credits.set(contract, credit)
      return credit
    }
    const groups = groupsOf(candidates)
    const turns: number[] = []
    let left = Math.min(copies, groups.size)
    let all = 0
    for (const { weight } of groups.values()) all += weight
    for (let sure = sureOne(groups, left, all); sure !== null; sure = sureOne(groups, left, all)) {
      const { weight, members } = groups.get(sure)!
      for (const at of members) gain(at, candidates[at]!.weight)
      const first = mostOf(members, gain)
      gain(first, -weight)
      turns.push(first)
      groups.delete(sure)
      left--
      all -= weight
    }
    for (const { members } of groups.values()) for (const at of members) gain(at, candidates[at]!.weight * left)
    for (; left > 0; left--) {
      const first = mostOf([...groups.values()].flatMap(({ members }) => members).sort(byNumber), gain)
      gain(first, -all)
      turns.push(first)
      groups.delete(candidates[first]!.group)
    }
    return turns
  }
}

const byNumber = (a: number, b: number): number => a - b

function groupsOf(candidates: readonly TurnCandidate[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  candidates.forEach(({ weight, group }, at) => {
    const known = groups.get(group) ?? { weight: 0, members: [] }
    groups.set(group, known)
    known.weight += weight
    known.members.push(at)
  })
  return groups
}

/** The first group whose weight asks for more than one of the turns. */
function sureOne(groups: ReadonlyMap<string, Group>, turns: number, all: number): string | null {
  for (const [name, { weight }] of groups) if (weight * turns > all) return name
  return null
}

function mostOf(places: readonly number[], gain: (at: number, by: number) => number): number {
  let [first, most] = [places[0]!, Number.NEGATIVE_INFINITY]
  for (const at of places) {
    const credit = gain(at, 0)
    if (credit <= most) continue
    first = at
    most = credit
  }
  return first
}
