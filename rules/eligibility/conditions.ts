/** An index over many conditions: which of them a lead meets, and on which field each of the others falls. */
import { type Check, type Condition, firstField, type Group, type Leaf } from '../filter/check.ts'
import type { Lead } from '../lead.ts'
import { add, allOf, type Bits, drop, dropRow, has, rowsOf, wordsFor } from './bits.ts'
import { type Entry, leafStage, maskOf, type Stage } from './stages.ts'

/**
 * One row for each condition; null passes everything. The checks of all rows stand in one sequence of stages in which
 * each row finds its own in their order, so that the stage that drops a row is the first of its checks that fails. A
 * lead costs a look-up and a pass over the rows' bits for each stage, however many rows there are of each check.
 */
export class ConditionIndex {
  /** Every field that a row can fall on. */
  readonly fields: readonly string[]
  /** By field: the rows that fell on it when a lead was last sifted. */
  readonly fell: readonly Bits[]
  readonly #stages: readonly Stage[]

  constructor(conditions: readonly (Condition | null)[]) {
    const fields = new Map<string, number>()
    const numberOf = (field: string): number => {
      const known = fields.get(field)
      if (known !== undefined) return known
      fields.set(field, fields.size)
      return fields.size - 1
    }
    const rows = conditions.length
    this.#stages = sequenceOf(conditions).map((entries) => stageOf(entries, rows, numberOf))
    this.fields = [...fields.keys()]
    this.fell = this.fields.map(() => new Int32Array(wordsFor(rows)))
  }

  /** Takes the rows that the lead does not meet out of `alive`. */
  sift(lead: Lead, source: string, alive: Bits): void {
    for (const bits of this.fell) bits.fill(0)
    for (const stage of this.#stages) stage.sift(lead, source, alive, this.fell)
  }
}

/** Equal for checks that one stage can hold. */
function stageKey(check: Check): string {
  return 'branches' in check ? check.kind : `${check.field}\n${check.kind}\n${check.readKey}`
}

/**
 * A sequence in which every condition finds its checks in their order: first every kind of check once, by name (as the
 * keys of a map are), then what an order of somebody's own needs again.
 */
function sequenceOf(conditions: readonly (Condition | null)[]): Entry<Check>[][] {
  const stages: { readonly key: string; readonly entries: Entry<Check>[] }[] = []
  const places = new Map<string, number[]>()
  const append = (key: string): number => {
    const at = stages.push({ key, entries: [] }) - 1
    const known = places.get(key)
    if (known) known.push(at)
    else places.set(key, [at])
    return at
  }
  const keys = new Set(conditions.flatMap((condition) => condition?.checks.map(stageKey) ?? []))
  for (const key of [...keys].sort()) append(key)
  conditions.forEach((condition, row) => {
    let after = -1
    for (const check of condition?.checks ?? []) {
      const key = stageKey(check)
      const at = places.get(key)!.find((place) => place > after) ?? append(key)
      stages[at]!.entries.push({ row, check })
      after = at
    }
  })
  return stages.map(({ entries }) => entries).filter((entries) => entries.length > 0)
}

function stageOf(entries: readonly Entry<Check>[], rows: number, numberOf: (field: string) => number): Stage {
  const [{ check }] = entries as [Entry<Check>]
  if (!('branches' in check)) return leafStage(entries as Entry<Leaf>[], rows, numberOf(check.field))
  return check.kind === 'any'
    ? anyStage(entries as Entry<Group>[], rows, numberOf)
    : noneStage(entries as Entry<Group>[], rows, numberOf)
}

/**
 * Branches as rows of an index of their own: the first one of each row under the row's own number, so that bits line up;
 * the others behind, the second ones of all rows before the third ones.
 */
class Branches {
  readonly index: ConditionIndex
  /** Rows of the branches: those that passed the lead that was sifted last. */
  readonly passed: Bits
  /** From this row of the branches on: whose branch it is. */
  readonly owners: readonly number[]
  readonly conditions: readonly (Condition | null)[]
  readonly firstOther: number
  readonly #all: Bits

  constructor(entries: readonly Entry<Group>[], rows: number) {
    this.firstOther = wordsFor(rows) << 5
    const conditions: (Condition | null)[] = new Array(this.firstOther).fill(null)
    const owners: number[] = []
    for (const { row, check } of entries) conditions[row] = check.branches[0]!
    const longest = Math.max(...entries.map(({ check }) => check.branches.length))
    for (let nth = 1; nth < longest; nth++) {
      for (const { row, check } of entries) {
        const branch = check.branches[nth]
        if (branch === undefined) continue
        conditions.push(branch)
        owners.push(row)
      }
    }
    this.conditions = conditions
    this.owners = owners
    this.index = new ConditionIndex(conditions)
    this.#all = allOf(conditions.length)
    this.passed = new Int32Array(this.#all.length)
  }

  sift(lead: Lead, source: string): void {
    this.passed.set(this.#all)
    this.index.sift(lead, source, this.passed)
  }

  /** Rows of the branches behind the first ones that passed, ascending. */
  othersPassed(): readonly number[] {
    return rowsOf(this.passed, this.firstOther >>> 5)
  }
}

/** A row falls where none of its branches passes, on the field that its first branch fell on. */
function anyStage(entries: readonly Entry<Group>[], rows: number, numberOf: (field: string) => number): Stage {
  const branches = new Branches(entries, rows)
  const fields = branches.index.fields.map(numberOf)
  const mask = maskOf(entries, rows)
  const saved = new Int32Array(mask.length)
  const failing = new Int32Array(mask.length)
  return {
    sift: (lead, source, alive, fell) => {
      branches.sift(lead, source)
      saved.set(branches.passed.subarray(0, saved.length))
      for (const row of branches.othersPassed()) add(saved, branches.owners[row - branches.firstOther]!)
      fields.forEach((field, at) => {
        const fellFirst = branches.index.fell[at]!
        for (let word = 0; word < mask.length; word++) failing[word] = mask[word]! & ~saved[word]! & fellFirst[word]!
        drop(alive, failing, fell[field]!)
      })
    },
  }
}

/** A row falls where one of its branches passes, on the first field of the first such branch. */
function noneStage(entries: readonly Entry<Group>[], rows: number, numberOf: (field: string) => number): Stage {
  const branches = new Branches(entries, rows)
  const fieldOf = branches.conditions.map((branch) => (branch === null ? -1 : numberOf(firstField(branch))))
  const byField = [...Map.groupBy(entries, ({ row }) => fieldOf[row]!)].map(
    ([field, group]) => [field, maskOf(group, rows)] as const,
  )
  const failing = new Int32Array(wordsFor(rows))
  return {
    sift: (lead, source, alive, fell) => {
      branches.sift(lead, source)
      for (const [field, mask] of byField) {
        for (let word = 0; word < failing.length; word++) failing[word] = mask[word]! & branches.passed[word]!
        drop(alive, failing, fell[field]!)
      }
      for (const row of branches.othersPassed()) {
        const owner = branches.owners[row - branches.firstOther]!
        if (has(alive, owner)) dropRow(alive, owner, fell[fieldOf[row]!]!)
      }
    },
  }
}
