/** Real processes for chaos, started, signalled, and gone when the test is over, whatever happens. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const READY_WITHIN_MS = 90_000
const LINES_KEPT = 40

const living = new Set<ChildProcess>()
process.once('exit', killAll)

/** SIGKILL to every process that was started here and still lives. */
export function killAll(): void {
  for (const child of living) child.kill('SIGKILL')
}

/** One process of this repository. */
export class Program {
  readonly #child: ChildProcess
  readonly #said: string[] = []
  readonly #ready: Promise<RegExpExecArray>
  readonly #gone: Promise<number | null>

  /** `readyLine`: what it prints when it is ready. */
  constructor(path: string, args: readonly string[], env: Readonly<Record<string, string>>, readyLine: RegExp) {
    const file = fileURLToPath(new URL(`../../${path}`, import.meta.url))
    this.#child = spawn(process.execPath, [file, ...args], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TZ: 'UTC', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    living.add(this.#child)
    this.#gone = new Promise((gone) => {
      this.#child.once('close', (code) => {
        living.delete(this.#child)
        gone(code)
      })
    })
    this.#ready = new Promise((resolve, reject) => {
      const limit = setTimeout(() => this.#child.kill('SIGKILL'), READY_WITHIN_MS)
      for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
        createInterface({ input: stream }).on('line', (line) => {
          this.#said.push(line.slice(0, 500))
          if (this.#said.length > LINES_KEPT) this.#said.shift()
          const found = readyLine.exec(line)
          if (!found) return
          clearTimeout(limit)
          resolve(found)
        })
      }
      void this.#gone.then((code) => {
        clearTimeout(limit)
        reject(new Error(`${path} ended (${code}) before it was ready; it said:\n${this.said()}`))
      })
    })
    // Whoever waits for it hears of it.
    this.#ready.catch(() => {})
  }

  ready(): Promise<RegExpExecArray> {
    return this.#ready
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Its last lines. */
  said(): string {
    return this.#said.join('\n')
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Resolves with its exit code once it is gone; null where a signal ended it. */
  gone(): Promise<number | null> {
    return this.#gone
  }

  async kill9(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
  }
}

/** Resolves with all that a program printed, and its exit code. */
export async function run(
  path: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly out: string; readonly error: string }> {
  const file = fileURLToPath(new URL(`../../${path}`, import.meta.url))
  const child = spawn(process.execPath, [file, ...args], { env: { PATH: process.env['PATH'], TZ: 'UTC', ...env } })
  living.add(child)
  let [out, error] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    error += chunk
  })
  const [code] = (await once(child, 'close')) as [number | null]
  living.delete(child)
  return { code, out, error }
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((up) => probe.listen(0, '127.0.0.1', up))
  const { port } = probe.address() as AddressInfo
  await new Promise((down) => probe.close(down))
  return port
}
