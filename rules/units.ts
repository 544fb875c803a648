/** Branded numbers of the field: money in micros, durations in milliseconds, shares in parts per million. */

/** An integer number of millionths of a currency unit. 18.50 USD is 18_500_000. Never a fraction. */
export type Micros = number & { readonly unit: 'micros' }
/** Milliseconds of the monotonic clock: a duration, or a moment since some origin of the same process. */
export type Ms = number & { readonly unit: 'ms' }
/** Milliseconds since the Unix epoch. Only for calendars, records and people; never to measure a duration. */
export type WallMs = number & { readonly unit: 'wall-ms' }
/** An integer number of parts per million: a share of 70 % is 700_000. */
export type Ppm = number & { readonly unit: 'ppm' }

export const MICROS_PER_UNIT = 1_000_000
export const PPM_PER_WHOLE = 1_000_000

export const micros = (n: number): Micros => n as Micros
export const ms = (n: number): Ms => n as Ms
export const wallMs = (n: number): WallMs => n as WallMs
export const ppm = (n: number): Ppm => n as Ppm

const MONEY_TEXT = /^(\d{1,9})(?:\.(\d{1,6}))?$/

/** Reads a decimal string of up to nine integer and six fraction digits ("18.50"); null where it is anything else. */
export function parseMoney(text: string): Micros | null {
  const parts = MONEY_TEXT.exec(text)
  if (!parts) return null
  return micros(Number(parts[1]) * MICROS_PER_UNIT + Number((parts[2] ?? '').padEnd(6, '0')))
}

/** Writes micros as the wire's decimal string: at least two fraction digits, no trailing zeros beyond them. */
export function formatMoney(amount: Micros): string {
  const sign = amount < 0 ? '-' : ''
  const whole = Math.floor(Math.abs(amount) / MICROS_PER_UNIT)
  const fraction = String(Math.abs(amount) % MICROS_PER_UNIT).padStart(6, '0')
  return `${sign}${whole}.${fraction.slice(0, 2)}${fraction.slice(2).replace(/0+$/, '')}`
}

/** A share of an amount, rounded down to a whole micro. Exact for every amount up to 9e12 units: the product never leaves 2^53. */
export function shareOf(amount: Micros, share: Ppm): Micros {
  const units = Math.floor(amount / PPM_PER_WHOLE)
  return micros(units * share + Math.floor(((amount % PPM_PER_WHOLE) * share) / PPM_PER_WHOLE))
}

/** Rounds down to the currency's minor unit (2 digits: cents), as a payout must. */
export function roundDownToMinor(amount: Micros, minorDigits: number): Micros {
  const step = 10 ** (6 - minorDigits)
  return micros(Math.floor(amount / step) * step)
}
