/** A compiled condition: checks in their order, each of which names its field where it fails. */
import type { Lead } from '../lead.ts'
import type { Members } from './members.ts'

export type Comparable = string | number | boolean
/** What a check compares; undefined where the lead has none. `source`: id of the lead's source. */
export type Read = (lead: Lead, source: string) => Comparable | undefined

/** Name of the field that the lead fell on, or null where it passes. */
type FallsOn = (lead: Lead, source: string) => string | null

export interface Condition {
  readonly fallsOn: FallsOn
  /** A lead passes where it passes every one; it falls on the first that it does not. */
  readonly checks: readonly Check[]
}

/** One question about one thing. Where the lead does not have it, `not` and `blank` pass and all others fall. */
export type Leaf = {
  readonly field: string
  readonly read: Read
  /** Equal for two reads that give equal values for every lead. */
  readonly readKey: string
  readonly fallsOn: FallsOn
} & (
  | { readonly kind: 'in' | 'not'; readonly members: Members }
  /** `open`: the limit itself falls. */
  | { readonly kind: 'min' | 'max'; readonly limit: number | string; readonly open: boolean }
  | { readonly kind: 'present' | 'blank' }
  /** `key`: equal for equal tests. */
  | { readonly kind: 'test'; readonly key: string; readonly test: (value: Comparable) => boolean }
)

/** `any`: passes where a branch does, else falls where its first branch fell. `none`: falls on the first field of a branch that passes. */
export interface Group {
  readonly kind: 'any' | 'none'
  readonly branches: readonly Condition[]
  readonly fallsOn: FallsOn
}

export type Check = Leaf | Group

export const PASSES: Condition = { fallsOn: () => null, checks: [] }

export function conditionOf(checks: readonly Check[]): Condition {
  const [only] = checks
  if (only !== undefined && checks.length === 1) return { fallsOn: only.fallsOn, checks }
  return {
    checks,
    fallsOn: (lead, source) => {
      for (const check of checks) {
        const fell = check.fallsOn(lead, source)
        if (fell !== null) return fell
      }
      return null
    },
  }
}

/** Both must hold; the first is asked first. */
export function both(first: Condition | null, second: Condition | null): Condition | null {
  return first === null || second === null ? (first ?? second) : conditionOf([...first.checks, ...second.checks])
}

export function groupOf(kind: Group['kind'], branches: readonly Condition[]): Group {
  return { kind, branches, fallsOn: kind === 'any' ? fallsOnAll(branches) : fallsOnOne(branches) }
}

const fallsOnAll =
  (branches: readonly Condition[]): FallsOn =>
  (lead, source) => {
    let first: string | null = null
    for (const branch of branches) {
      const fell = branch.fallsOn(lead, source)
      if (fell === null) return null
      first ??= fell
    }
    return first
  }

const fallsOnOne =
  (branches: readonly Condition[]): FallsOn =>
  (lead, source) => {
    for (const branch of branches) if (branch.fallsOn(lead, source) === null) return firstField(branch)
    return null
  }

/** The field that a condition asks about first. Throws on one that asks nothing: no branch may be so. */
export function firstField({ checks }: Condition): string {
  const check = checks[0]!
  return 'branches' in check ? firstField(check.branches[0]!) : check.field
}

type Asked = Pick<Leaf, 'field' | 'read' | 'readKey'>

/** The value is among the members (`in`), or is not (`not`). */
export function memberLeaf(asked: Asked, kind: 'in' | 'not', members: Members): Leaf {
  const { field, read } = asked
  const { only } = members
  if (kind === 'not') {
    const fallsOn: FallsOn = (lead, source) => {
      const value = read(lead, source)
      return value !== undefined && members.has(value) ? field : null
    }
    return { ...asked, kind, members, fallsOn }
  }
  const fallsOn: FallsOn =
    only !== null
      ? (lead, source) => (read(lead, source) === only ? null : field)
      : (lead, source) => {
          const value = read(lead, source)
          return value !== undefined && members.has(value) ? null : field
        }
  return { ...asked, kind, members, fallsOn }
}

/** Numbers by size; dates and times, which are texts of one form, by their letters. */
export function isBeyond(value: Comparable, kind: 'min' | 'max', limit: number | string, open: boolean): boolean {
  if (kind === 'min') return open ? value <= limit : value < limit
  return open ? value >= limit : value > limit
}

export function limitLeaf(asked: Asked, kind: 'min' | 'max', limit: number | string, open: boolean): Leaf {
  const { field, read } = asked
  const fallsOn: FallsOn = (lead, source) => {
    const value = read(lead, source)
    return value === undefined || isBeyond(value, kind, limit, open) ? field : null
  }
  return { ...asked, kind, limit, open, fallsOn }
}

export function presenceLeaf(asked: Asked, kind: 'present' | 'blank'): Leaf {
  const { field, read } = asked
  const wanted = kind === 'present'
  return { ...asked, kind, fallsOn: (lead, source) => ((read(lead, source) !== undefined) === wanted ? null : field) }
}

export function testLeaf(asked: Asked, key: string, test: (value: Comparable) => boolean): Leaf {
  const { field, read } = asked
  const fallsOn: FallsOn = (lead, source) => {
    const value = read(lead, source)
    return value !== undefined && test(value) ? null : field
  }
  return { ...asked, kind: 'test', key, test, fallsOn }
}
