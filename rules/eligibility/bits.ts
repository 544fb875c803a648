/** Sets of rows as bitmaps: row 0 is the lowest bit of word 0. */

export type Bits = Int32Array

export const wordsFor = (rows: number): number => (rows + 31) >>> 5

export const has = (bits: Bits, row: number): boolean => ((bits[row >>> 5]! >>> (row & 31)) & 1) === 1

export function add(bits: Bits, row: number): void {
  bits[row >>> 5]! |= 1 << (row & 31)
}

export function remove(bits: Bits, row: number): void {
  bits[row >>> 5]! &= ~(1 << (row & 31))
}

/** How many rows there are, as far as `enough`. */
export function count(bits: Bits, enough: number): number {
  let ones = 0
  for (let at = 0; at < bits.length && ones < enough; at++) {
    let word = bits[at]!
    if (word === 0) continue
    word -= (word >>> 1) & 0x55555555
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333)
    ones += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
  }
  return Math.min(ones, enough)
}

/** Rows 0 to `rows` - 1. */
export function allOf(rows: number, words = wordsFor(rows)): Bits {
  const bits = new Int32Array(words)
  bits.fill(-1, 0, rows >>> 5)
  if ((rows & 31) !== 0) bits[rows >>> 5] = (1 << (rows & 31)) - 1
  return bits
}

/** Rows in ascending order, from word `from` on. */
export function rowsOf(bits: Bits, from = 0): number[] {
  const rows: number[] = []
  for (let at = from; at < bits.length; at++) {
    let word = bits[at]!
    while (word !== 0) {
      const low = word & -word
      rows.push((at << 5) + 31 - Math.clz32(low))
      word ^= low
    }
  }
  return rows
}

/** `fell` gains the rows of `failing` that are alive, and `alive` loses them. */
export function drop(alive: Bits, failing: Bits, fell: Bits): void {
  for (let at = 0; at < alive.length; at++) {
    const gone = alive[at]! & failing[at]!
    fell[at]! |= gone
    alive[at]! ^= gone
  }
}

/** The same for the rows of `asked` that are not in `passing`. */
export function dropUnless(alive: Bits, asked: Bits, passing: Bits, fell: Bits): void {
  for (let at = 0; at < alive.length; at++) {
    const gone = alive[at]! & asked[at]! & ~passing[at]!
    fell[at]! |= gone
    alive[at]! ^= gone
  }
}

/** The same for one row. */
export function dropRow(alive: Bits, row: number, fell: Bits): void {
  const at = row >>> 5
  const gone = alive[at]! & (1 << (row & 31))
  fell[at]! |= gone
  alive[at]! ^= gone
}
