/** Starts a real Redis for tests and benches: from the PATH, else from the distribution's packages, unpacked and not installed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'

export interface RedisServerOptions {
  /** Write an append-only file, synced every second, so that `kill9` and `start` bring the data back. */
  readonly aof?: boolean
  /** Default: a free one. */
  readonly port?: number
}

/** A Redis of one's own, to stop, kill and pause at will. */
export interface RedisServer {
  readonly url: string
  readonly pid: number
  /** Ends it and removes its data. */
  stop(): Promise<void>
  /** SIGKILL: the process is gone when this resolves; the port and the data folder stay for `start`. */
  kill9(): Promise<void>
  /** Runs it again on the same port and data folder after `kill9`. */
  start(): Promise<void>
  /** SIGSTOP: it keeps its connections and answers nothing. */
  pause(): void
  resume(): void
}

const CACHE = join(import.meta.dirname, '..', '.cache', 'redis')
/** What a Debian has anyway, or what only an installed service needs. */
const NOT_NEEDED = new Set(['libc6', 'adduser', 'lsb-base', 'init-system-helpers', 'sysvinit-utils'])
const START_LIMIT_MS = 10_000

interface Binary {
  readonly path: string
  readonly env: NodeJS.ProcessEnv
}

/** Where tests without a wish of their own find Redis: REDIS_URL, else a server that is started for them. */
export async function sharedRedis(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const given = process.env['REDIS_URL']
  return given ? { url: given, stop: async () => undefined } : startRedis()
}

/** Always a server of one's own, also where REDIS_URL is set. Throws with what to do where no Redis can be had. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const binary = findOnPath() ?? unpacked()
  const port = options.port ?? (await freePort())
  const dir = mkdtempSync(join(tmpdir(), 'gavelpost-redis-'))
  let child = await launch(binary, port, dir, options.aof ?? false)
  return {
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child.pid!
    },
    async stop() {
      await end(child)
      rmSync(dir, { recursive: true, force: true })
    },
    kill9: () => end(child),
    async start() {
      child = await launch(binary, port, dir, options.aof ?? false)
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }
}

async function launch(binary: Binary, port: number, dir: string, aof: boolean): Promise<ChildProcess> {
  const settings = {
    port,
    bind: '127.0.0.1',
    dir,
    save: '',
    appendonly: aof ? 'yes' : 'no',
    'maxmemory-policy': 'noeviction',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(binary.path, args, { env: binary.env, stdio: ['ignore', 'pipe', 'pipe'] })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      said = (said + data).slice(-2_000)
    })
  }
  child.once('error', (error) => {
    said += error.message
  })
  if (await answers(child, port)) return child
  child.kill('SIGKILL')
  throw new Error(`${binary.path} did not come up on port ${port}; it said:\n${said}`)
}

async function answers(child: ChildProcess, port: number): Promise<boolean> {
  const client = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: null,
  })
  client.on('error', () => undefined)
  const until = performance.now() + START_LIMIT_MS
  try {
    while (performance.now() < until && child.pid !== undefined && child.exitCode === null) {
      const up = await client.connect().then(
        () => true,
        () => false,
      )
      if (up) return true
      await pause(20)
    }
    return false
  } finally {
    client.disconnect()
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function findOnPath(): Binary | null {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(dir, 'redis-server')
    if (dir && existsSync(path)) return { path, env: process.env }
  }
  return null
}

function unpacked(): Binary {
  if (!existsSync(CACHE)) {
    try {
      unpack()
    } catch (error) {
      throw new Error(
        `A real Redis is needed here, and none could be had (${error instanceof Error ? error.message : error}). Do one of: set ` +
          'REDIS_URL (for tests) or BENCH_REDIS_URL (for benches) to a Redis that may be emptied; install redis-server so that it is on the PATH; or run on a ' +
          'Debian or Ubuntu whose apt-get reaches its mirrors, where its packages are unpacked into .cache/redis.',
      )
    }
  }
  return { path: join(CACHE, 'usr', 'bin', 'redis-server'), env: { ...process.env, LD_LIBRARY_PATH: libraries(CACHE) } }
}

/** Into a folder of its own first, so that a cache is whole or not there. */
function unpack(): void {
  mkdirSync(join(CACHE, '..'), { recursive: true })
  const work = mkdtempSync(`${CACHE}-`)
  try {
    const apt = aptThatKnowsRedis(work)
    const packages = ['redis-server', 'redis-tools']
    for (const line of apt(['apt-cache', 'depends', '--important', ...packages]).split('\n')) {
      const name = /^ *\|?Depends: ([^<\s]+)$/.exec(line)?.[1]
      if (name && !NOT_NEEDED.has(name) && !packages.includes(name)) packages.push(name)
    }
    apt(['apt-get', 'download', ...packages])
    const root = join(work, 'root')
    for (const file of readdirSync(work)) {
      if (file.endsWith('.deb')) execFileSync('dpkg', ['-x', join(work, file), root], { stdio: 'pipe' })
    }
    const server = join(root, 'usr', 'bin', 'redis-server')
    const env = { ...process.env, LD_LIBRARY_PATH: libraries(root) }
    execFileSync(server, ['--version'], { env, stdio: 'pipe' })
    moveIntoPlace(root)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Another run may have been quicker: then its cache is as good. */
function moveIntoPlace(root: string): void {
  try {
    renameSync(root, CACHE)
  } catch (error) {
    if (!existsSync(CACHE)) throw error
  }
}

/** The system's package lists, or where they are empty our own, fetched into the work folder: the system stays as it is. */
function aptThatKnowsRedis(work: string): (command: readonly string[]) => string {
  const own: string[] = []
  const apt = ([tool, ...args]: readonly string[]): string =>
    execFileSync(tool!, [...own, ...args], { cwd: work, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (!apt(['apt-cache', 'policy', 'redis-server']).includes('Candidate:')) {
    for (const dir of ['lists/partial', 'archives/partial']) mkdirSync(join(work, 'apt', dir), { recursive: true })
    own.push('-o', `Dir::State::lists=${work}/apt/lists`, '-o', `Dir::Cache=${work}/apt`)
    apt(['apt-get', 'update'])
  }
  return apt
}

function libraries(root: string): string {
  const lib = join(root, 'usr', 'lib')
  const folders = readdirSync(lib).filter((name) => name.includes('-linux-gnu'))
  return folders.map((name) => join(lib, name)).join(delimiter)
}
