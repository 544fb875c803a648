/** Reads a suppression list's file, however long, into the numbers that stand for its entries. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type Steps, stepEvery } from '../../rules/configuration/steps.ts'
import { entryOf, type ListHash, type ListSpec } from '../../rules/suppression.ts'
import type { Sealer } from '../seal.ts'

export interface ReadList {
  /** One for each entry, equal ones once. */
  readonly numbers: Float64Array
  /** Lines that are none, in all; and the first of them by number. */
  readonly faults: number
  readonly faultyLines: readonly number[]
}

/** Beyond it a list would take 400 MB in every process. */
const MOST_ENTRIES = 50_000_000
const SHOWN_FAULTS = 20
const PROGRESS_LINES = 100_000
const PIECE = 262_144
const LONGEST_LINE = 65_536

/** The number that stands for an entry. `hash`: how the list's entries are hashed; null where they are plain. */
export function listNumber(seal: Sealer, hash: ListHash | null, text: string): number {
  const entry = hash === null ? text : createHash(hash).update(text).digest('hex')
  return numberOf(seal, entry)
}

const numberOf = (seal: Sealer, entry: string): number =>
  Buffer.from(seal.fingerprint(`list:${entry}`).slice(0, 8), 'base64url').readUIntBE(0, 6)

function numberOfLine(line: string, spec: Pick<ListSpec, 'of' | 'hash'>, seal: Sealer): number | 'empty' | 'faulty' {
  const cell = line.split(',', 1)[0]!.replaceAll('"', '').trim()
  if (cell === '') return 'empty'
  const entry = entryOf(spec, cell)
  return entry === null ? 'faulty' : numberOf(seal, entry)
}

/** The same of lines that are there already. */
export function* readLines(
  lines: readonly string[],
  spec: Pick<ListSpec, 'of' | 'hash'>,
  seal: Sealer,
): Steps<ReadList> {
  const numbers: number[] = []
  const faulty: number[] = []
  for (const [at, line] of lines.entries()) {
    if (stepEvery(at + 1)) yield
    const number = numberOfLine(line, spec, seal)
    if (number === 'faulty') faulty.push(at + 1)
    else if (number !== 'empty') numbers.push(number)
  }
  const read = distinct(Float64Array.from(numbers))
  return { numbers: read, faults: faulty.length, faultyLines: faulty.slice(0, SHOWN_FAULTS) }
}

/**
 * One entry a line: what stands before the first comma, with or without quotes. Empty lines are nothing. Rejects where
 * the file cannot be read, or has more than fifty million entries.
 */
export async function readList(
  path: string,
  spec: Pick<ListSpec, 'of' | 'hash'>,
  seal: Sealer,
  progress: (lines: number) => void = () => {},
): Promise<ReadList> {
  let numbers = new Float64Array(1 << 16)
  let [size, line, faults] = [0, 0, 0]
  const faultyLines: number[] = []
  for await (const texts of linesOf(path)) {
    for (const text of texts) {
      if (++line % PROGRESS_LINES === 0) progress(line)
      const number = numberOfLine(text, spec, seal)
      if (number === 'empty') continue
      if (number === 'faulty') {
        if (++faults <= SHOWN_FAULTS) faultyLines.push(line)
        continue
      }
      if (size === numbers.length) numbers = grown(numbers, path)
      numbers[size++] = number
    }
  }
  return { numbers: distinct(numbers.slice(0, size)), faults, faultyLines }
}

/** The lines of a file, as many at once as a piece of it has: one by one they would cost as much as what is done with them. */
async function* linesOf(path: string): AsyncGenerator<readonly string[]> {
  let rest = ''
  for await (const piece of createReadStream(path, { encoding: 'utf8', highWaterMark: PIECE })) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()!
    if (rest.length > LONGEST_LINE) throw new Error(`${path} has a line of more than ${LONGEST_LINE} characters`)
    yield lines
  }
  yield [rest]
}

function grown(numbers: Float64Array, path: string): Float64Array<ArrayBuffer> {
  if (numbers.length >= MOST_ENTRIES)
    throw new Error(`${path} has more than ${MOST_ENTRIES} entries: split it into two lists`)
  const larger = new Float64Array(Math.min(2 * numbers.length, MOST_ENTRIES))
  larger.set(numbers)
  return larger
}

export function distinct(numbers: Float64Array): Float64Array {
  numbers.sort()
  let size = 0
  for (let at = 0; at < numbers.length; at++)
    if (at === 0 || numbers[at] !== numbers[at - 1]) numbers[size++] = numbers[at]!
  return numbers.slice(0, size)
}
