/** The data folder: made, kept for one engine at a time, and checked to be within reach of the account that Postgres runs under. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const LOCK_FILE = 'engine.lock'

/** The user and group that a process runs under. */
export interface Account {
  readonly uid: number
  readonly gid: number
  /** May pass through folders that are closed to it. */
  readonly passes?: boolean
}

/** Creates the folder so that others may pass through it but not list it; the secrets inside have modes of their own. */
export function makeDataDir(dataDir: string): void {
  if (mkdirSync(dataDir, { recursive: true }) !== undefined) chmodSync(dataDir, 0o711)
}

/** First folder on the way to `path` (itself included) that the account may not enter, or null. */
export function blockedAt(path: string, account: Account): string | null {
  const above = dirname(path)
  const blocked = above === path ? null : blockedAt(above, account)
  return blocked ?? (mayEnter(path, account) ? null : path)
}

function mayEnter(path: string, account: Account): boolean {
  const { mode, uid, gid } = statSync(path)
  if (uid === account.uid) return (mode & 0o100) !== 0
  return (mode & (gid === account.gid ? 0o010 : 0o001)) !== 0
}

/**
 * Takes the folder for this process and returns what gives it back.
 * Throws where a living process has it. A dead one's claim is taken over; two that try at once cannot both succeed.
 */
export function lockDataDir(dataDir: string): () => void {
  const file = join(dataDir, LOCK_FILE)
  const mine = `${process.pid} ${startedAt(process.pid) ?? ''} ${randomBytes(6).toString('hex')}\n`
  for (let attempt = 0; attempt < 10; attempt++) {
    if (claim(file, mine)) return () => giveBack(file, mine)
    const holder = lockHolder(dataDir)
    if (holder !== null) throw new Error(inUse(dataDir, holder))
    setAsideDead(dataDir, file)
  }
  throw new Error(`The lock ${file} keeps changing hands. Start one engine on this DATA_DIR at a time.`)
}

/** Process id of the living engine that has the folder, or null. */
export function lockHolder(dataDir: string): number | null {
  const text = readOrNull(join(dataDir, LOCK_FILE))
  if (text === null) return null
  const [pid, started] = text.split(' ')
  return isSameProcess(Number(pid), started ?? '') ? Number(pid) : null
}

/** True where the process lives. One of another account lives too; a dead one that nobody has reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const stat = process.platform === 'linux' ? readOrNull(`/proc/${pid}/stat`) : null
  return stat === null || stat[stat.lastIndexOf(')') + 2] !== 'Z'
}

export function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

/** The lock appears with its content in one step, so that nobody ever reads half of it. */
function claim(file: string, content: string): boolean {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, content, { mode: 0o600 })
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Moves a dead process's lock away. If a living one took the lock in between, it gets its lock back. */
function setAsideDead(dataDir: string, file: string): void {
  const aside = join(dataDir, `${LOCK_FILE}.dead.${randomBytes(6).toString('hex')}`)
  try {
    renameSync(file, aside)
  } catch {
    return
  }
  const [pid, started] = (readOrNull(aside) ?? '').split(' ')
  if (isSameProcess(Number(pid), started ?? '')) {
    try {
      linkSync(aside, file)
    } catch {
      // Somebody holds the lock already: the next look at it decides.
    }
  }
  rmSync(aside, { force: true })
}

function giveBack(file: string, mine: string): void {
  if (readOrNull(file) === mine) rmSync(file, { force: true })
}

/** A process id alone is not an identity: after a restart of a container, another process soon bears it. */
function isSameProcess(pid: number, started: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return false
  return started === '' || startedAt(pid) === started
}

function startedAt(pid: number): string | null {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8)
      return `${boot}:${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
    }
    if (process.platform === 'win32') return null
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
    return text.trim().replaceAll(' ', '_')
  } catch {
    return null
  }
}

const inUse = (dataDir: string, pid: number) =>
  `The data folder ${dataDir} is in use by the engine with process id ${pid}. ` +
  'Stop that engine first, or give this one a folder of its own with DATA_DIR.'
