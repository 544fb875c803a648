/** Currencies: which there are, and how many digits their minor unit has. */

const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))
/** Asking costs a formatter: each currency is asked about once. */
const DIGITS = new Map<string, number>()

/** Fraction digits of an ISO 4217 currency (USD 2, JPY 0); null where there is no such currency. */
export function currencyDigits(code: string): number | null {
  if (!CURRENCIES.has(code)) return null
  const known = DIGITS.get(code)
  if (known !== undefined) return known
  const format = new Intl.NumberFormat('en', { style: 'currency', currency: code })
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2
  DIGITS.set(code, digits)
  return digits
}
