/** Comma-separated values, written as RFC 4180 has them. */

/** A spreadsheet would run a cell that begins with one of these as a formula: it gets a quote in front. */
const FORMULA = /^[=+\-@\t\r]/

export function writeCsv(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.map(cellOf).join(',')}\r\n`).join('')
}

/** Numbers stay as they are, also those below zero, and so do phones: nothing of them is run. */
function cellOf(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const safe = FORMULA.test(value) && !/^[+-]?\d+(\.\d+)?$/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
