/** Currencies: which there are, and how many digits their minor unit has. */

const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))

/** Fraction digits of an ISO 4217 currency (USD 2, JPY 0); null where there is no such currency. */
export function currencyDigits(code: string): number | null {
  if (!CURRENCIES.has(code)) return null
  return new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions().maximumFractionDigits ?? 2
}
