/** One transaction's worth of ledger rows, encoded as the JSON texts that the ledger's own function takes. */
import { reasonName } from '../../rules/reason.ts'
import type { FinalRow, IntentRow, Ledger, ReceivedRow, ResultRow } from './port.ts'

export type InvalidRow = Parameters<Ledger['invalid']>[0]

/** What one call of the ledger wants written, all of it or nothing. Each part is one or more JSON objects, joined by commas. */
export interface Rows {
  readonly leadId: string
  readonly received?: string
  readonly binding?: string
  readonly results?: string
  readonly final?: string
  readonly intent?: string
  readonly invalid?: string
}

export function receivedRows(row: ReceivedRow): Rows {
  const { leadId, idempotency, claimEpoch } = row
  const received = JSON.stringify(row)
  if (idempotency === null) return { leadId, received }
  return { leadId, received, binding: JSON.stringify({ ...idempotency, leadId, claimEpoch }) }
}

export function intentRows(row: IntentRow, results: readonly ResultRow[]): Rows {
  const { leadId, term } = row
  const intent = JSON.stringify(row)
  return results.length === 0 ? { leadId, intent } : { leadId, intent, results: resultsText(leadId, term, results) }
}

export function finalRows(row: FinalRow): Rows {
  const { leadId, term, final } = row
  const results = row.results.length > 0 ? resultsText(leadId, term, row.results) : undefined
  if (final === null) return results === undefined ? { leadId } : { leadId, results }
  const { trace, ...rest } = final
  // The trace is JSON already: it travels as it is, and is not escaped into a string.
  const text = `${JSON.stringify({ leadId, term, ...rest }).slice(0, -1)},"trace":${trace === '' ? 'null' : trace}}`
  return results === undefined ? { leadId, final: text } : { leadId, results, final: text }
}

export const invalidRows = (row: InvalidRow): Rows => ({ leadId: row.id, invalid: JSON.stringify(row) })

const resultsText = (leadId: string, term: number, results: readonly ResultRow[]): string =>
  results.map((one) => resultText(leadId, term, one)).join(',')

/** One RESULT as the ledger's function reads it. */
export function resultText(leadId: string, term: number, one: Omit<ResultRow, 'seat' | 'copy' | 'buyer'>): string {
  const { contract, attempt, state, reason, price, payout, buyerReference, redirectUrl, priceCut } = one
  const name = reasonName(reason)
  return JSON.stringify({
    leadId,
    term,
    contract,
    attempt,
    state,
    reason,
    reasonName: name,
    price,
    payout,
    buyerReference,
    redirectUrl,
    priceCut,
  })
}

/** Parameters of `write_batch` for these rows, in order. */
export function batchValues(engine: number, batch: readonly Rows[]): (string | number | null)[] {
  let low = batch[0]!.leadId
  let high = low
  for (const { leadId } of batch) {
    if (leadId < low) low = leadId
    if (leadId > high) high = leadId
  }
  return [
    engine,
    low,
    high,
    joined(batch, 'binding'),
    joined(batch, 'received'),
    joined(batch, 'results'),
    joined(batch, 'final'),
    joined(batch, 'intent'),
    joined(batch, 'invalid'),
  ]
}

function joined(batch: readonly Rows[], part: Exclude<keyof Rows, 'leadId'>): string | null {
  let text = ''
  for (const rows of batch) {
    const one = rows[part]
    if (one !== undefined) text += text === '' ? one : `,${one}`
  }
  return text === '' ? null : `[${text}]`
}
