/** Whole numbers and bitmaps as short text, in digits of 64. */

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUES = new Uint8Array(128).fill(255)
const CODES = new Uint8Array(64)
for (let value = 0; value < 64; value++) {
  CODES[value] = DIGITS.charCodeAt(value)
  VALUES[DIGITS.charCodeAt(value)] = value
}
const ASCII = new TextDecoder()
let buffer = new Uint8Array(4096)

const digitsFor = (places: number): number => Math.ceil(places / 6)

/** Bitmaps of so many places, one behind the other, six places a digit. Place 0 is the lowest bit of word 0. */
export function writeBitmaps(bitmaps: readonly Int32Array[], places: number): string {
  const digits = digitsFor(places)
  const room = bitmaps.length * digits + DIGITS_OF_THREE
  if (buffer.length < room) buffer = new Uint8Array(room)
  bitmaps.forEach((words, at) => {
    writeWords(words, buffer, at * digits)
  })
  return ASCII.decode(buffer.subarray(0, bitmaps.length * digits))
}

/** Three words are sixteen digits. Those of words that there are not are zeros, and written over by what comes next. */
const DIGITS_OF_THREE = 16

function writeWords(words: Int32Array, into: Uint8Array, start: number): void {
  let to = start
  for (let at = 0; at < words.length; at += 3) {
    const [a, b, c] = [words[at]!, words[at + 1]! | 0, words[at + 2]! | 0]
    for (let shift = 0; shift < 30; shift += 6) into[to++] = CODES[(a >>> shift) & 63]!
    into[to++] = CODES[(a >>> 30) | ((b & 15) << 2)]!
    for (let shift = 4; shift < 28; shift += 6) into[to++] = CODES[(b >>> shift) & 63]!
    into[to++] = CODES[(b >>> 28) | ((c & 3) << 4)]!
    for (let shift = 2; shift < 32; shift += 6) into[to++] = CODES[(c >>> shift) & 63]!
  }
}

/** Reads what `writeBitmaps` wrote: for each place the number whose lowest bit is the first bitmap's. */
export function readBitmaps(text: string, places: number): Uint16Array {
  const digits = digitsFor(places)
  const numbers = new Uint16Array(places)
  for (let bitmap = 0; bitmap * digits < text.length; bitmap++) {
    for (let place = 0; place < places; place++) {
      const digit = VALUES[text.charCodeAt(bitmap * digits + Math.floor(place / 6))]!
      numbers[place]! |= ((digit >>> (place % 6)) & 1) << bitmap
    }
  }
  return numbers
}

/** Whole numbers from 0 on: a digit under 32 ends one; one of 32 and more carries five bits and says that more follow. */
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

/** Ascending numbers of which the gap to each from the one before was written. */
export function readAscending(text: string): number[] {
  let before = -1
  return readNumbers(text).map((gap) => {
    before += gap + 1
    return before
  })
}
