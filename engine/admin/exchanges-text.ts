/** A lead's exchanges as text: each as it went over the wire, under a line that says whose it was. */
import type { Bytes, ExchangePage, ExchangesPage } from '../exchanges/proof.ts'
import { clean } from './waterfall.ts'

/** Plain text in UTF-8, for a terminal: control characters that a buyer may have sent are shown as `?`. */
export function exchangesText({ lead_id, erased, exchanges }: ExchangesPage): string {
  const head = `Lead ${lead_id}${erased ? ': its person was erased, and nothing of this can be read any more' : ''}`
  if (!erased && exchanges.length === 0) return `${head}: nothing that was said to buyers is kept\n`
  return `${[head, ...exchanges.map(one)].join('\n\n')}\n`
}

function one({ kind, contract, buyer, at, took_ms, end, sent, heard }: ExchangePage): string {
  const title = `${kind} ${kind === 'callback' ? 'from' : 'to'} ${contract} of ${buyer}, ${at}, ${took_ms} ms, ${end === 'whole' ? 'whole reply' : end}`
  return [title, ...lines('>', sent), ...lines('<', heard)].join('\n')
}

function lines(arrow: string, { bytes, cut, text, base64 }: Bytes): string[] {
  if (bytes === 0) return [`${arrow} (nothing)`]
  const shown = text === null ? ['(no UTF-8, in base64)', base64!] : text.split('\n')
  const rest = cut ? [`${arrow} (cut: ${bytes} bytes went over the wire)`] : []
  return [...shown.map((line) => `${arrow} ${clean(line.replace(/\r$/, ''))}`.trimEnd()), ...rest]
}
