/** The commands on configurations: export, plan, apply, rollback, validate. */
import { readFile, writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import { compileConfiguration } from '../../buyers/configuration.ts'
import type { Fault } from '../../rules/version.ts'
import { parseConfiguration } from '../configuration/text.ts'
import type { Context } from './context.ts'
import { Complaint, counted, table } from './output.ts'

interface Change {
  readonly kind: 'added' | 'removed' | 'changed'
  readonly words: string
}
interface Published {
  readonly version: number
  readonly changes: readonly Change[]
  readonly warnings: readonly Fault[]
}
interface Sampled {
  readonly sampled: number
  readonly other_seats: number
  readonly other_terms: number
}
interface Checked {
  readonly base: number
  readonly faults: readonly Fault[]
  readonly warnings: readonly Fault[]
  readonly changes: readonly Change[]
  readonly touched_leads: number
  readonly sampled: Sampled | null
  readonly leads: number
}

/** The first line of an exported file: what apply compares with. */
const HEAD = /^# gavelpost version (\d+)/m

export async function exportConfiguration({ plane, output, options }: Context): Promise<void> {
  const { version, config } = await newest(plane(), options['version'])
  const text = options['json']
    ? `${JSON.stringify(config, null, 2)}\n`
    : `# gavelpost version ${version}\n${stringify(config)}`
  if (options['out'] === undefined) return void process.stdout.write(text)
  await writeFile(options['out'], text)
  output.note(`version ${version} is in ${options['out']}\n`)
}

async function newest(
  plane: ReturnType<Context['plane']>,
  asked: string | undefined,
): Promise<{ version: number; config: unknown }> {
  if (asked === undefined) return plane.call('GET', '/admin/v1/config')
  return { version: Number(asked), config: await plane.call('GET', `/admin/v1/versions/${encodeURIComponent(asked)}`) }
}

/** Exits with 1 where there are faults. */
export async function plan({ plane, output, args }: Context): Promise<void> {
  const { config } = await readFileOf(args[0])
  const checked = await plane().call<Checked>('POST', '/admin/v1/check', { config })
  output.show(checked, planLines(checked))
  if (checked.faults.length > 0) throw new Complaint('', 1)
}

function planLines({ base, faults, warnings, changes, touched_leads, leads, sampled }: Checked): string[] {
  if (faults.length > 0)
    return [`${counted(faults.length, 'fault')}; nothing could be published:`, ...faultLines(faults)]
  if (changes.length === 0) return [`It says what version ${base} says: there is nothing to publish.`]
  const touched = `It touches ${touched_leads} of the ${counted(leads, 'lead')} of the last 24 hours.`
  return [
    `${counted(changes.length, 'change')} to version ${base}:`,
    ...changeLines(changes),
    ...warningLines(warnings),
    touched,
    ...sampledLines(sampled),
  ]
}

function sampledLines(found: Sampled | null): string[] {
  if (found === null || found.sampled === 0) return []
  const { sampled, other_seats, other_terms } = found
  return [
    `Of ${counted(sampled, 'lead')} that were opened under both, ${other_seats} would meet other contracts, and ${other_terms} the same ones on other terms (caps and bids are not judged).`,
  ]
}

export async function apply({ plane, output, args, options }: Context): Promise<void> {
  const { config, version } = await readFileOf(args[0])
  const admin = plane()
  const base = options['base'] ?? version ?? (await newest(admin, undefined)).version
  const body = { config, base: Number(base), ...noteOf(options) }
  published(output, await admin.call<Published>('POST', '/admin/v1/apply', body))
}

export async function rollback({ plane, output, args, options }: Context): Promise<void> {
  const [version] = args
  if (version === undefined || !/^\d+$/.test(version))
    throw new Complaint('Say to which version: gavelpost rollback 7', 2)
  published(output, await plane().call<Published>('POST', `/admin/v1/rollback/${version}`, noteOf(options)))
}

/** Asks no engine. */
export async function validate({ output, args }: Context): Promise<void> {
  const { config } = await readFileOf(args[0])
  const compiled = compileConfiguration(config, 0)
  const found = compiled.ok ? { faults: [], warnings: compiled.warnings } : { faults: compiled.faults, warnings: [] }
  const { faults, warnings } = found
  const verdict = faults.length > 0 ? [`${counted(faults.length, 'fault')}:`, ...faultLines(faults)] : ['It is valid.']
  output.show(found, [...verdict, ...warningLines(warnings)])
  if (faults.length > 0) throw new Complaint('', 1)
}

function published(output: Context['output'], done: Published): void {
  output.show(done, [
    `Version ${done.version} is published:`,
    ...changeLines(done.changes),
    ...warningLines(done.warnings),
  ])
}

const noteOf = ({ note }: Context['options']) => (note === undefined ? {} : { note })
const SIGNS = { added: '+', removed: '-', changed: '~' } as const
const changeLines = (changes: readonly Change[]): string[] =>
  table(changes.map(({ kind, words }) => [` ${SIGNS[kind]}`, words]))
const faultLines = (faults: readonly Fault[]): string[] => faults.map(({ path, message }) => `  ${path}: ${message}`)
const warningLines = (warnings: readonly Fault[]): string[] =>
  warnings.length === 0 ? [] : [`${counted(warnings.length, 'warning')}:`, ...faultLines(warnings)]

async function readFileOf(path: string | undefined): Promise<{ readonly config: unknown; readonly version?: string }> {
  if (path === undefined) throw new Complaint('Say which file: gavelpost plan gavelpost.yaml', 2)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Complaint(`${path} cannot be read (${error.code}).`, 2)
  })
  const parsed = parseConfiguration(text)
  if (!parsed.ok) throw new Complaint([`${path} cannot be read:`, ...faultLines(parsed.faults)].join('\n'))
  const version = HEAD.exec(text)?.[1]
  return { config: parsed.config, ...(version === undefined ? {} : { version }) }
}
