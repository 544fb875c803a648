/** The operation that shows what remains of every cap, balance and throttle. */
import Type from 'typebox'
import { formatMoney, micros } from '../../rules/units.ts'
import type { CapLine, Owner } from '../cap-lines.ts'
import { json, type Operation, page } from './operation.ts'
import { id, money, nullable, object, text, words } from './shapes.ts'

/** More would make a page that nobody reads: ask for one owner's. */
export const SHOWN_CAPS = 2_000

const opt = Type.Optional
const amount = (description: string) => Type.Union([Type.Integer(), money('Of a spend.')], { description })
export const Line = object({
  scope: words('source', 'campaign', 'buyer', 'contract', 'source_contract'),
  owner: text('Whose it is; of a source and a contract source/contract.'),
  window: text('day, 30m, concurrency, balance, second, ...'),
  kind: words('count', 'spend', 'pings'),
  used: amount('What is sold and held.'),
  limit: amount('What may be used; of a balance what was paid in, and the credit.'),
  remaining: amount('What is left.'),
  paced_at: nullable(amount('Of a paced cap: how much may be used by now.')),
  ends_at: nullable(text('ISO 8601; null where the window never ends, or rolls on.')),
})

export type CapPage = ReturnType<typeof lineOf>

export function capOperations(capLines: (owner: Owner) => Promise<readonly CapLine[]>): readonly Operation[] {
  const owner = { source: opt(id('Of this source.')), campaign: opt(id('Of this campaign.')) }
  const whose = { ...owner, buyer: opt(id('Of this buyer.')), contract: opt(id('Of this contract.')) }
  return [
    {
      ...{ method: 'GET', id: 'caps', path: '/admin/v1/caps', tag: 'engine', role: 'viewer' },
      summary: 'What is used and what remains of every cap, balance and throttle. With format=text it is a table.',
      query: Type.Object({ format: opt(words('json', 'text')), ...whose }),
      answers: {
        200: { description: 'At most 2,000 lines.', schema: object({ caps: Type.Array(Line) }), orText: 'text/plain' },
      },
      run: async ({ query, asText }) => {
        const { source, campaign, buyer, contract } = query
        const lines = (await capLines({ source, campaign, buyer, contract } as Owner)).map(lineOf)
        return asText ? page(tableOf(lines), 'text/plain; charset=utf-8') : json({ caps: lines })
      },
    },
  ]
}

export function lineOf(line: CapLine) {
  const { scope, owner, window, kind } = line
  const shown = (value: number): number | string => (kind === 'spend' ? formatMoney(micros(value)) : value)
  return {
    ...{ scope, owner, window, kind },
    used: shown(line.used),
    limit: shown(line.limit),
    remaining: shown(line.remaining),
    paced_at: line.pacedAt === null ? null : shown(line.pacedAt),
    ends_at: line.endsAt === null ? null : new Date(line.endsAt).toISOString(),
  }
}

const COLUMNS = ['scope', 'owner', 'window', 'kind', 'used', 'limit', 'remaining', 'paced_at', 'ends_at'] as const
const RIGHT: ReadonlySet<string> = new Set(['used', 'limit', 'remaining', 'paced_at'])

/** Aligned columns: words to the left, numbers to the right. */
function tableOf(lines: readonly CapPage[]): string {
  const rows = [[...COLUMNS], ...lines.map((line) => COLUMNS.map((column) => String(line[column] ?? '-')))]
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  const cell = (text: string, at: number) =>
    RIGHT.has(COLUMNS[at]!) ? text.padStart(widths[at]!) : text.padEnd(widths[at]!)
  return rows.map((row) => `${row.map(cell).join('  ').trimEnd()}\n`).join('')
}
