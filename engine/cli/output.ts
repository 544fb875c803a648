/** What the command line prints: aligned lines for people, JSON where it is asked for, and errors that say what to do. */

/** Ends a command with words for people; `code` 1: refused, 2: called in a wrong way. */
export class Complaint extends Error {
  readonly code: number

  constructor(message: string, code = 1) {
    super(message)
    this.code = code
  }
}

export interface Output {
  /** Lines for people, or the value where --json was given. */
  show(value: unknown, lines: readonly string[]): void
  /** What passes by, such as progress: never part of the result. */
  note(text: string): void
}

export function createOutput(json: boolean): Output {
  return {
    show: (value, lines) => {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(''))
    },
    note: (text) => void process.stderr.write(text),
  }
}

/** Columns two spaces apart, numbers to the right; a column that is blank everywhere is left out. */
export const table = (rows: readonly (readonly string[])[]): string[] => aligned(rows, rows)

/** A table with names above its columns, which do not matter to where numbers stand. */
export const headed = (names: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  aligned([names, ...rows], rows)

/** `judged`: rows that say which columns are numbers. */
function aligned(rows: readonly (readonly string[])[], judged: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(printable))
  const columns = (cells[0] ?? []).map((_, at) => at).filter((at) => cells.some((row) => row[at] !== ''))
  const widths = columns.map((at) => Math.max(...cells.map((row) => row[at]!.length)))
  const isNumber = columns.map((at) => judged.every((row) => /^-?[\d.]*$/.test(row[at]!)))
  return cells.map((row) =>
    columns
      .map((at, i) => (isNumber[i] ? row[at]!.padStart(widths[i]!) : row[at]!.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
}

/** Nothing that others sent may move the cursor or begin a line. */
const printable = (text: string): string => text.replace(/\p{Cc}|\p{Cf}|\u2028|\u2029/gu, '?')

/** `3 leads`, `1 lead`. */
export const counted = (n: number, one: string): string => `${n} ${n === 1 ? one : `${one}s`}`
