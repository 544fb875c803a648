/** Several engine processes on one port: a primary that starts them, restarts them, asks them and ends them. It takes no lead itself. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Clock, Timer } from '../buyers/wire.ts'
import { type Ms, ms } from '../rules/units.ts'
import { probePort } from './listening.ts'
import type { Log } from './log.ts'

/** What a primary asks of each worker, to show on its admin plane what all of them are. */
export type Question = 'metrics' | 'status'

export interface PrimaryOptions {
  readonly workers: number
  /** Where the workers will listen together. */
  readonly host: string
  readonly port: number
  readonly clock: Clock
  readonly log: Log
  /** Added to the environment of each worker. */
  readonly variables?: Readonly<Record<string, string>>
  /** How long workers may take to end after SIGTERM before they are killed. */
  readonly graceMs: number
  /** The program that workers run; this one where absent. */
  readonly entry?: string
}

export interface Primary {
  /** Every answer that came in time, in no order. */
  ask(question: Question): Promise<unknown[]>
  /** SIGHUP to every worker. */
  reload(): void
  /** SIGTERM to every worker; resolves when all have ended. */
  stop(): Promise<void>
}

const WORKER = 'GAVELPOST_WORKER'
const SHORTEST_DELAY_MS = 100
const LONGEST_DELAY_MS = 10_000
/** A worker that lived so long did not end because of how it started. */
const LIVED_MS = 30_000
const ANSWER_MS = 2_000

/** True in a process that a primary started. */
export const isWorker = (): boolean => process.env[WORKER] !== undefined && process.send !== undefined

type ToPrimary = { readonly say: 'ready' } | { readonly say: 'answer'; readonly id: number; readonly answer: unknown }
interface ToWorker {
  readonly ask: Question
  readonly id: number
}

/**
 * Called by a worker when it takes leads: tells its primary, and answers what that asks. A worker whose primary is gone
 * gets the SIGTERM that nobody can send it any more, and so drains.
 */
export function joinPrimary(answers: Readonly<Record<Question, () => Promise<unknown>>>): void {
  const say = (words: ToPrimary) => process.connected && process.send!(words, undefined, {}, () => {})
  process.on('message', ({ ask, id }: ToWorker) => {
    answers[ask]().then(
      (answer) => say({ say: 'answer', id, answer }),
      () => say({ say: 'answer', id, answer: null }),
    )
  })
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  say({ say: 'ready' })
}

/** Resolves when every worker is ready. Rejects, with nothing left running, where the port is taken or a worker cannot start. */
export async function runPrimary(options: PrimaryOptions): Promise<Primary> {
  const taken = await probePort(options.host, options.port)
  if (taken) throw taken
  const slots = Array.from({ length: options.workers }, (_, i) => new Slot(options, i + 1))
  const stop = async () => {
    await Promise.all(slots.map((slot) => slot.stop()))
  }
  try {
    await Promise.all(slots.map((slot) => slot.firstReady))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ask: async (question) => {
      const answers = await Promise.all(slots.map((slot) => slot.ask(question)))
      return answers.filter((answer) => answer !== null)
    },
    reload: () => {
      for (const slot of slots) slot.reload()
    },
    stop,
  }
}

/** One place for a worker: whoever ends in it is followed by another, later and later where they end early. */
class Slot {
  readonly #options: PrimaryOptions
  readonly #worker: number
  readonly #first = Promise.withResolvers<void>()
  /** Rejects where the first worker ends before it was ready: the next one would fare no better. */
  readonly firstReady = this.#first.promise
  #child!: ChildProcess
  #startedAt!: Ms
  /** The worker of now takes leads; so has one before it. */
  #ready = false
  #wasReady = false
  #delay = SHORTEST_DELAY_MS
  #restart: Timer | null = null
  #stopping = false
  #questions = 0
  readonly #asked = new Map<number, (answer: unknown) => void>()

  constructor(options: PrimaryOptions, worker: number) {
    this.#options = options
    this.#worker = worker
    this.#start()
  }

  /** In a process group of its own: an interrupt from the terminal reaches the primary alone, which then asks workers to end. */
  #start(): void {
    const { entry, variables, clock, log } = this.#options
    const worker = this.#worker
    const child = fork(entry ?? process.argv[1]!, process.argv.slice(2), {
      env: { ...process.env, ...variables, [WORKER]: String(worker) },
      detached: true,
    })
    this.#child = child
    this.#startedAt = clock.mono()
    log('worker_started', { worker, child: child.pid ?? 0 })
    child.on('message', (words: ToPrimary) => this.#heard(words))
    child.once('exit', (code, signal) => this.#ended(code, signal))
    child.on('error', (error) => {
      log('unexpected', { fault: error })
      if (child.pid === undefined) this.#ended(null, null)
    })
  }

  #heard(words: ToPrimary): void {
    if (words.say === 'answer') return this.#asked.get(words.id)?.(words.answer)
    this.#ready = true
    this.#wasReady = true
    this.#options.log('worker_ready', { worker: this.#worker, child: this.#child.pid! })
    this.#first.resolve()
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    const worker = this.#worker
    this.#ready = false
    this.#options.log('worker_ended', { worker, child: this.#child.pid ?? 0, code, signal })
    for (const answer of this.#asked.values()) answer(null)
    if (this.#wasReady) this.#follow()
    else this.#first.reject(new Error(`worker ${worker} ended with ${signal ?? `code ${code}`} before it was ready.`))
  }

  #follow(): void {
    if (this.#stopping) return
    const { clock, log } = this.#options
    if (clock.mono() - this.#startedAt > LIVED_MS) this.#delay = SHORTEST_DELAY_MS
    log('worker_delayed', { worker: this.#worker, ms: this.#delay })
    this.#restart = clock.after(ms(this.#delay), () => this.#start())
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS)
  }

  /** Null where the worker is not there or does not answer in time. */
  ask(question: Question): Promise<unknown> {
    if (!this.#ready) return Promise.resolve(null)
    const id = ++this.#questions
    return new Promise((resolve) => {
      const answered = (answer: unknown) => {
        timer.cancel()
        this.#asked.delete(id)
        resolve(answer)
      }
      const timer = this.#options.clock.after(ms(ANSWER_MS), () => answered(null))
      this.#asked.set(id, answered)
      this.#child.send({ ask: question, id } satisfies ToWorker, (error) => error && answered(null))
    })
  }

  /** A worker that is not ready yet reads what is in force when it is. */
  reload(): void {
    if (this.#ready) this.#child.kill('SIGHUP')
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#restart?.cancel()
    const child = this.#child
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const kill = this.#options.clock.after(ms(this.#options.graceMs), () => child.kill('SIGKILL'))
    await ended
    kill.cancel()
  }
}
