/** The environment: every setting of the engine in one table, read once, with every fault at once. */
import { suggest } from '../rules/configuration/nearest.ts'
import { type MasterKeys, readMasterKeys } from './seal.ts'

type Reading<T> = { readonly value: T } | { readonly fault: string }

export interface Setting<T> {
  readonly name: string
  /** What it takes, in words. */
  readonly type: string
  /** As shown to people. */
  readonly default: string
  readonly help: string
  /** Never shown, not even in a fault. */
  readonly secret: boolean
  /** Value where the variable is absent or blank. */
  readonly absent: T
  readonly read: (text: string) => Reading<T>
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const SETTINGS = {
  port: whole('PORT', 8080, 0, 65_535, 'Data plane: where sources post leads. 0 takes a free port.'),
  adminPort: whole(
    'ADMIN_PORT',
    9090,
    0,
    65_535,
    'Admin plane: leads with their traces, metrics. 0 takes a free port.',
  ),
  host: address('HOST', null, '127.0.0.1 with the example, else 0.0.0.0', 'Address that the data plane listens on.'),
  adminHost: address('ADMIN_HOST', '127.0.0.1', '127.0.0.1', 'Address that the admin plane listens on.'),
  config: text(
    'CONFIG',
    null,
    'the ledger',
    'a file',
    "Configuration file, YAML or JSON. Without it the ledger's newest version governs: at first the example.",
  ),
  dataDir: text('DATA_DIR', '.gavelpost', '.gavelpost', 'a folder', 'Where the embedded Postgres and its keys live.'),
  databaseUrl: link('DATABASE_URL', ['postgres:', 'postgresql:'], 'an embedded Postgres', 'The ledger.'),
  redisUrl: link('REDIS_URL', ['redis:', 'rediss:'], 'in this process', 'The hot store: caps, claims, rates.'),
  workers: whole('WORKERS', 1, 1, 64, 'Processes that share the port. More than one needs DATABASE_URL and REDIS_URL.'),
  masterKeys: masterKeys(),
  retentionDays: whole('RETENTION_DAYS', 400, 40, 36_500, 'Days after which the ledger drops its leads.'),
  pingDays: whole(
    'PING_DAYS',
    30,
    0,
    400,
    'Days for which the bytes of pings and their replies are kept; 0: they are not. Those of posts stay as long as their leads.',
  ),
  logLevel: word('LOG_LEVEL', LOG_LEVELS, 'info', 'The least severe line that is logged.'),
  maxInFlight: whole('MAX_IN_FLIGHT', 4_096, 1, 100_000, 'Leads under way in one process; beyond it, 503.'),
  unreadyMs: whole('UNREADY_MS', 0, 0, 120_000, 'On SIGTERM: how long to answer as unready before the port closes.'),
  drainMs: whole('DRAIN_MS', 90_000, 0, 600_000, 'On SIGTERM: how long leads under way may take to finish.'),
} satisfies Record<string, Setting<unknown>>

export type Env = { readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K]['absent'] }

export interface EnvFault {
  readonly name: string
  readonly message: string
}
/** `hints`: variables that look like ours and are not. */
export type EnvReading =
  | { readonly ok: true; readonly env: Env; readonly hints: readonly string[] }
  | { readonly ok: false; readonly faults: readonly EnvFault[]; readonly hints: readonly string[] }

/** Reads every setting. A blank variable counts as absent, as compose files leave them. */
export function readEnv(variables: Readonly<Record<string, string | undefined>>): EnvReading {
  const faults: EnvFault[] = []
  const entries = Object.entries(SETTINGS).map(([key, setting]: [string, Setting<unknown>]) => {
    const written = variables[setting.name]?.trim() ?? ''
    const reading = written === '' ? { value: setting.absent } : setting.read(written)
    if ('value' in reading) return [key, reading.value]
    faults.push({ name: setting.name, message: `${setting.secret ? '' : `is "${written}": `}${reading.fault}` })
    return [key, setting.absent]
  })
  const env = Object.fromEntries(entries) as Env
  const names = Object.values(SETTINGS).map((setting) => setting.name)
  const hints = Object.keys(variables)
    .filter((name) => name.startsWith('GAVEL_') && !names.includes(name))
    .map((name) => `${name} is no setting of this engine and is ignored.${suggest(name, names)}`)
  checkTogether(env, faults)
  return faults.length > 0 ? { ok: false, faults, hints } : { ok: true, env, hints }
}

/** What each setting asks of the others. */
function checkTogether(env: Env, faults: EnvFault[]): void {
  const fault = (name: string, message: string) => {
    if (!faults.some((one) => one.name === name)) faults.push({ name, message })
  }
  const broken = (name: string) => faults.some((one) => one.name === name)
  const missing = [env.databaseUrl === null && 'DATABASE_URL', env.redisUrl === null && 'REDIS_URL'].filter(
    (name) => name !== false && !broken(name),
  )
  if (env.workers > 1 && missing.length > 0) {
    const message = `is ${env.workers}, but several processes can only keep one count of every cap in a ledger and a hot store that they share: set ${missing.join(' and ')}, or set WORKERS to 1.`
    fault('WORKERS', message)
  }
  if (env.workers > 1 && env.port === 0) fault('PORT', 'is 0: several processes cannot share a port that is not named.')
  if (env.redisUrl !== null && env.databaseUrl === null) {
    fault(
      'DATABASE_URL',
      'is missing: REDIS_URL caches a ledger, so the ledger must be one that outlives this process.',
    )
  }
  if (env.databaseUrl !== null && env.masterKeys === null) {
    const message =
      'is missing: every engine on one DATABASE_URL seals leads under one key. Make it once and keep it: openssl rand -base64 32'
    fault('GAVEL_MASTER_KEY', message)
  }
  if (env.port !== 0 && env.port === env.adminPort) fault('ADMIN_PORT', 'is the same as PORT: give it another.')
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/**
 * Addresses to listen on. The example's keys are known to everybody, so it is served on loopback alone: another
 * address is a fault.
 */
export function listenOn(
  env: Env,
  example: boolean,
): { readonly host: string; readonly adminHost: string } | { readonly faults: readonly EnvFault[] } {
  const host = env.host ?? (example ? '127.0.0.1' : '0.0.0.0')
  const open = [
    { name: 'HOST', value: host },
    { name: 'ADMIN_HOST', value: env.adminHost },
  ].filter(({ value }) => example && !LOOPBACK.test(value))
  if (open.length === 0) return { host, adminHost: env.adminHost }
  const message =
    'is open to others, but everybody knows the keys of the example: set CONFIG to your own configuration, without "example: true".'
  return { faults: open.map(({ name }) => ({ name, message })) }
}

/** The settings as a Markdown table. */
export function describeEnv(): string {
  const rows = Object.values(SETTINGS).map(
    (setting: Setting<unknown>) => `| \`${setting.name}\` | ${setting.type} | ${setting.default} | ${setting.help} |`,
  )
  return ['| setting | takes | default | what it is |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function whole(name: string, absent: number, least: number, most: number, help: string): Setting<number> {
  const type = `${least} to ${most}`
  const read = (written: string): Reading<number> => {
    const value = /^\d{1,9}$/.test(written) ? Number(written) : Number.NaN
    return value >= least && value <= most ? { value } : { fault: `give a whole number from ${least} to ${most}.` }
  }
  return { name, type, default: String(absent), help, secret: false, absent, read }
}

function text<A extends string | null>(name: string, absent: A, shown: string, type: string, help: string) {
  const read = (written: string): Reading<string | A> => ({ value: written })
  return { name, type, default: shown, help, secret: false, absent: absent as string | A, read }
}

function address<A extends string | null>(name: string, absent: A, shown: string, help: string) {
  const read = (written: string): Reading<string | A> =>
    /^[0-9A-Za-z.:-]+$/.test(written)
      ? { value: written }
      : { fault: 'give an address without a port, such as 127.0.0.1 or 0.0.0.0.' }
  return { name, type: 'an address', default: shown, help, secret: false, absent: absent as string | A, read }
}

/** A connection string; it may hold a password. */
function link(name: string, schemes: readonly string[], shown: string, help: string): Setting<string | null> {
  const example = `${schemes[0]}//user:password@host/`
  const read = (written: string): Reading<string | null> =>
    URL.canParse(written) && schemes.includes(new URL(written).protocol)
      ? { value: written }
      : { fault: `is no ${schemes[0]}// address: write it as ${example}` }
  return { name, type: `\`${schemes[0]}//\` address`, default: shown, help, secret: true, absent: null, read }
}

function word<W extends string>(name: string, words: readonly W[], absent: W, help: string): Setting<W> {
  const read = (written: string): Reading<W> => {
    const value = words.find((one) => one === written.toLowerCase())
    return value
      ? { value }
      : { fault: `give one of ${words.join(', ')}.${suggest(written, words).replace(/ Known.*/, '')}` }
  }
  return { name, type: words.join(', '), default: absent, help, secret: false, absent, read }
}

/** `<base64>` is version 1; `1:<base64>,2:<base64>` seals under the highest version and still opens the others. */
function masterKeys(): Setting<MasterKeys | null> {
  const read = (written: string): Reading<MasterKeys | null> => {
    try {
      return { value: readMasterKeys(written) }
    } catch (error) {
      return { fault: (error as Error).message.replace(/^GAVEL_MASTER_KEY: /, '') }
    }
  }
  return {
    name: 'GAVEL_MASTER_KEY',
    type: '32 bytes in base64, or `1:<old>,2:<new>`',
    default: 'made in DATA_DIR with the embedded Postgres',
    help: 'Wraps the keys that leads are sealed under.',
    secret: true,
    absent: null,
    read,
  }
}
