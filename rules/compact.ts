/** Ascending whole numbers as short text: the gap to each from the one before, in digits of 64. */

/** A digit under 32 ends a number; one of 32 and more carries its five bits and says that more follow. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUES = new Uint8Array(128).fill(255)
const CODES = new Uint8Array(64)
for (let value = 0; value < 64; value++) {
  CODES[value] = DIGITS.charCodeAt(value)
  VALUES[DIGITS.charCodeAt(value)] = value
}
/** Seven digits hold any gap between whole numbers of 32 bits. */
const MAX_DIGITS = 7
const LATIN = new TextDecoder('latin1')

/** Writes the places of a bitmap's ones (place 0 is the lowest bit of word 0). `buffer` is filled anew where it is too small. */
export class CompactWriter {
  #bytes = new Uint8Array(1024)

  ofBits(words: Int32Array): string {
    let [length, before] = [0, -1]
    for (let at = 0; at < words.length; at++) {
      let word = words[at]!
      if (word === 0) continue
      if (length + 32 * MAX_DIGITS > this.#bytes.length) this.#grow()
      const bytes = this.#bytes
      const first = at << 5
      while (word !== 0) {
        const low = word & -word
        const place = first + 31 - Math.clz32(low)
        let gap = place - before - 1
        for (; gap >= 32; gap >>>= 5) bytes[length++] = CODES[32 + (gap & 31)]!
        bytes[length++] = CODES[gap]!
        before = place
        word ^= low
      }
    }
    return LATIN.decode(this.#bytes.subarray(0, length))
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2)
    bytes.set(this.#bytes)
    this.#bytes = bytes
  }
}

/** Whole numbers from 0 on, in any order, as they are: no gaps. */
export function writeNumbers(numbers: Iterable<number>): string {
  let text = ''
  for (const number of numbers) {
    let rest = number
    for (; rest >= 32; rest >>>= 5) text += DIGITS[32 + (rest & 31)]
    text += DIGITS[rest]
  }
  return text
}

/** Reads what `writeNumbers` wrote. Throws on any other text: it is our own. */
export function readNumbers(text: string): number[] {
  const numbers: number[] = []
  let [number, shift] = [0, 0]
  for (let at = 0; at < text.length; at++) {
    const value = VALUES[text.charCodeAt(at)] ?? 255
    if (value === 255) throw new Error(`"${text[at]}" at ${at} is no digit of compact numbers`)
    number += (value & 31) * 2 ** shift
    shift += 5
    if (value >= 32) continue
    numbers.push(number)
    number = 0
    shift = 0
  }
  return numbers
}

/** The ascending numbers behind their gaps. */
export function readAscending(text: string): number[] {
  let before = -1
  return readNumbers(text).map((gap) => {
    before += gap + 1
    return before
  })
}
