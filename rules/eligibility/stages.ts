/** Stages of an index: each drops, for one lead, every row whose check of one kind on one value fails. */
import { type Comparable, isBeyond, type Leaf, type Read } from '../filter/check.ts'
import type { Lead } from '../lead.ts'
import { add, type Bits, drop, dropRow, dropUnless, has, remove, wordsFor } from './bits.ts'

/** Drops rows from `alive` and adds each to the bits of the field that it fell on; `fell` is in the index's order of fields. */
export interface Stage {
  readonly sift: (lead: Lead, source: string, alive: Bits, fell: readonly Bits[]) => void
}

/** One row's check in a stage. */
export interface Entry<C> {
  readonly row: number
  readonly check: C
}

type MemberLeaf = Extract<Leaf, { kind: 'in' | 'not' }>
type LimitLeaf = Extract<Leaf, { kind: 'min' | 'max' }>
type TestLeaf = Extract<Leaf, { kind: 'test' }>

/** `rows`: how many the index has. The entries' checks are of one kind and one read; none is of a row that another is of. */
export function leafStage(entries: readonly Entry<Leaf>[], rows: number, field: number): Stage {
  const { kind, read } = entries[0]!.check
  switch (kind) {
    case 'in':
      return inStage(read, new Postings(entries as Entry<MemberLeaf>[], rows), maskOf(entries, rows), field)
    case 'not':
      return notStage(read, new Postings(entries as Entry<MemberLeaf>[], rows), field)
    case 'min':
    case 'max':
      return limitStage(kind, read, entries as Entry<LimitLeaf>[], rows, field)
    case 'present':
    case 'blank':
      return presenceStage(kind, read, maskOf(entries, rows), field)
    case 'test':
      return testStage(read, entries as Entry<TestLeaf>[], rows, field)
    default:
      return kind satisfies never
  }
}

export function maskOf(entries: readonly Entry<unknown>[], rows: number): Bits {
  const mask = new Int32Array(wordsFor(rows))
  for (const { row } of entries) add(mask, row)
  return mask
}

/** Rows by the value that their lists name: a bitmap where so many name it that one is smaller, else a list. */
class Postings {
  readonly #ids = new Map<Comparable, number>()
  readonly #starts: Uint32Array
  readonly #rows: Uint32Array
  readonly #dense = new Map<number, Bits>()

  constructor(entries: readonly Entry<MemberLeaf>[], rows: number) {
    const counts: number[] = []
    for (const { check } of entries) {
      check.members.each((value) => {
        const id = this.#ids.get(value)
        if (id === undefined) this.#ids.set(value, counts.push(1) - 1)
        else counts[id]!++
      })
    }
    const words = wordsFor(rows)
    this.#starts = new Uint32Array(counts.length + 1)
    counts.forEach((size, id) => {
      if (size > words) this.#dense.set(id, new Int32Array(words))
      this.#starts[id + 1] = this.#starts[id]! + (size > words ? 0 : size)
    })
    this.#rows = new Uint32Array(this.#starts[counts.length]!)
    const next = this.#starts.slice()
    for (const { row, check } of entries) {
      check.members.each((value) => {
        const id = this.#ids.get(value)!
        const dense = this.#dense.get(id)
        if (dense) add(dense, row)
        else this.#rows[next[id]!++] = row
      })
    }
  }

  find(value: Comparable): Bits | Uint32Array | null {
    const id = this.#ids.get(value)
    if (id === undefined) return null
    return this.#dense.get(id) ?? this.#rows.subarray(this.#starts[id], this.#starts[id + 1])
  }
}

function inStage(read: Read, postings: Postings, mask: Bits, field: number): Stage {
  const failing = new Int32Array(mask.length)
  return {
    sift: (lead, source, alive, fell) => {
      const value = read(lead, source)
      const found = value === undefined ? null : postings.find(value)
      if (found === null) return drop(alive, mask, fell[field]!)
      if (found instanceof Int32Array) return dropUnless(alive, mask, found, fell[field]!)
      failing.set(mask)
      for (let at = 0; at < found.length; at++) remove(failing, found[at]!)
      drop(alive, failing, fell[field]!)
    },
  }
}

function notStage(read: Read, postings: Postings, field: number): Stage {
  return {
    sift: (lead, source, alive, fell) => {
      const value = read(lead, source)
      const found = value === undefined ? null : postings.find(value)
      if (found === null) return
      if (found instanceof Int32Array) drop(alive, found, fell[field]!)
      else for (let at = 0; at < found.length; at++) dropRow(alive, found[at]!, fell[field]!)
    },
  }
}

function presenceStage(kind: 'present' | 'blank', read: Read, mask: Bits, field: number): Stage {
  const failsWhenMissing = kind === 'present'
  return {
    sift: (lead, source, alive, fell) => {
      if ((read(lead, source) === undefined) === failsWhenMissing) drop(alive, mask, fell[field]!)
    },
  }
}

/** Between two checkpoints so many rows are walked one by one. */
const STEP = 128

/**
 * Rows in the order in which a growing (`min`) or shrinking (`max`) value comes to pass them: those that pass a value are
 * the first so many of that order, found by halving, and read off the checkpoint before.
 */
function limitStage(
  kind: 'min' | 'max',
  read: Read,
  entries: readonly Entry<LimitLeaf>[],
  rows: number,
  field: number,
): Stage {
  const first = (a: LimitLeaf, b: LimitLeaf) =>
    a.limit === b.limit ? Number(a.open) - Number(b.open) : a.limit < b.limit === (kind === 'min') ? -1 : 1
  const ordered = entries.toSorted((a, b) => first(a.check, b.check))
  const order = Uint32Array.from(ordered, ({ row }) => row)
  const limits = ordered.map(({ check }) => check.limit)
  const open = ordered.map(({ check }) => check.open)
  /** Rows that fail while the value has come past none, 128, 256 ... of them. */
  const checkpoints: Bits[] = []
  const failing = maskOf(entries, rows)
  const mask = failing.slice()
  order.forEach((row, at) => {
    if (at % STEP === 0) checkpoints.push(failing.slice())
    remove(failing, row)
  })
  return {
    sift: (lead, source, alive, fell) => {
      const value = read(lead, source)
      if (value === undefined) return drop(alive, mask, fell[field]!)
      let [passed, end] = [0, limits.length]
      while (passed < end) {
        const middle = (passed + end) >>> 1
        if (isBeyond(value, kind, limits[middle]!, open[middle]!)) end = middle
        else passed = middle + 1
      }
      if (passed === limits.length) return
      const checkpoint = Math.floor(passed / STEP)
      failing.set(checkpoints[checkpoint]!)
      for (let at = checkpoint * STEP; at < passed; at++) remove(failing, order[at]!)
      drop(alive, failing, fell[field]!)
    },
  }
}

/** A test that many rows share is made once; one whose rows have all fallen is not made. */
function testStage(read: Read, entries: readonly Entry<TestLeaf>[], rows: number, field: number): Stage {
  const groups = [...Map.groupBy(entries, ({ check }) => check.key).values()].map((group) => ({
    test: group[0]!.check.test,
    rows: Uint32Array.from(group, ({ row }) => row),
  }))
  const mask = maskOf(entries, rows)
  return {
    sift: (lead, source, alive, fell) => {
      const value = read(lead, source)
      if (value === undefined) return drop(alive, mask, fell[field]!)
      for (const group of groups) {
        if (!group.rows.some((row) => has(alive, row)) || group.test(value)) continue
        for (const row of group.rows) dropRow(alive, row, fell[field]!)
      }
    },
  }
}
