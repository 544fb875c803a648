/** The command that posts the leads of a CSV file to a campaign, with a progress bar. */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { writeCsv } from '../../rules/csv.ts'
import { readCsv } from '../csv.ts'
import type { Context } from './context.ts'
import { Complaint, counted, table } from './output.ts'
import { reach } from './plane.ts'

/** What became of one row. */
interface Outcome {
  readonly row: number
  readonly status: string
  readonly lead_id: string
  /** Why it was refused, field by field. */
  readonly words: string
}

const AT_ONCE = 8
const TRIES = 5
const PATIENCE_MS = 90_000
const WIDTH = 30

/** The first line names the fields. A file that is given twice sells nothing twice: each row carries a key of its own. */
export async function importLeads({ args, options, output }: Context): Promise<void> {
  const [file] = args
  const { campaign, key, to = 'http://127.0.0.1:8080' } = options
  if (file === undefined || campaign === undefined)
    throw new Complaint('Say which file and where: gavelpost import leads.csv --campaign solar', 2)
  if (key === undefined) throw new Complaint('There is no key: give the key of a source by --key or SOURCE_KEY.', 2)
  const [header = [], ...rows] = readCsv(
    await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new Complaint(`${file} cannot be read (${error.code}).`, 2)
    }),
  )
  const url = `${to}/v1/campaigns/${encodeURIComponent(campaign)}/leads${options['test'] ? '?test=1' : ''}`
  const outcomes: Outcome[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < rows.length; at = next++) {
      const lead = Object.fromEntries(
        header.map((name, i) => [name, rows[at]![i] ?? '']).filter(([, value]) => value !== ''),
      )
      outcomes.push({ row: at + 2, ...(await post(url, key, lead)) })
      output.note(bar(outcomes.length, rows.length))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  outcomes.sort((a, b) => a.row - b.row)
  output.note('\n')
  if (options['out'] !== undefined) await writeFile(options['out'], outcomesCsv(outcomes))
  const counts = Object.entries(Object.groupBy(outcomes, ({ status }) => status)).map(
    ([status, of]) => [status, of!.length] as const,
  )
  const refused = outcomes.filter(({ status }) => status === 'refused')
  const told = refused.slice(0, 10).map(({ row, words }) => `  line ${row}: ${words}`)
  const lines = table(counts.map(([status, n]) => [String(n), status]))
  output.show(Object.fromEntries(counts), [`${counted(rows.length, 'lead')} of ${file}:`, ...lines, ...told])
  if (refused.length > 0) throw new Complaint('')
}

const outcomesCsv = (outcomes: readonly Outcome[]): string =>
  writeCsv([
    ['row', 'status', 'lead_id', 'words'],
    ...outcomes.map(({ row, status, lead_id, words }) => [row, status, lead_id, words]),
  ])

function bar(done: number, all: number): string {
  if (!process.stderr.isTTY) return ''
  const filled = Math.round((WIDTH * done) / all)
  return `\r[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${done}/${all}`
}

interface Reply {
  readonly status: string
  readonly lead_id: string | null
  readonly detail?: string
  readonly issues?: readonly { readonly field: string; readonly code: string }[]
}

async function post(url: string, key: string, lead: object): Promise<Omit<Outcome, 'row'>> {
  const body = JSON.stringify(lead)
  const idempotency = createHash('sha256').update(body).digest('hex')
  for (let tried = 1; ; tried++) {
    const reply = await reach(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': idempotency },
      body,
      headersTimeout: PATIENCE_MS,
      bodyTimeout: PATIENCE_MS,
    })
    const text = await reply.body.text()
    const again = (reply.statusCode === 429 || reply.statusCode === 503) && tried < TRIES
    if (!again) return outcomeOf(reply.statusCode, text)
    await new Promise((waited) => setTimeout(waited, 1_000 * Number(reply.headers['retry-after'] ?? 1)))
  }
}

function outcomeOf(code: number, text: string): Omit<Outcome, 'row'> {
  const reply = JSON.parse(text) as Reply
  if (code === 401 || code === 403 || code === 404) throw new Complaint(reply.detail ?? `The engine answered ${code}.`)
  if (code < 300) return { status: reply.status, lead_id: reply.lead_id ?? '', words: '' }
  const issues = reply.issues?.map(({ field, code: why }) => `${field} ${why}`).join(', ')
  return { status: 'refused', lead_id: '', words: issues ?? reply.detail ?? `answered ${code}` }
}
