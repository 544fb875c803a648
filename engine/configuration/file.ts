/** The configuration file as a sequence of numbered versions: loaded at the start, reloaded on a change, the last good one kept. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type FSWatcher, watch } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { configurationInSteps } from '../../buyers/configuration.ts'
import type { Fault, Snapshot } from '../../rules/version.ts'
import { inTurns } from './stepwise.ts'
import { type Parsed, parseConfiguration } from './text.ts'

export interface ConfigurationFile {
  readonly path: string
  /** What stands for `${name}` in the text: the example's `buyers` is the origin of its scripted buyers. */
  readonly placeholders: Readonly<Record<string, string>>
  /**
   * Numbers a canonical text: the latest version's number where the text is that version's, else a number above all
   * earlier ones. A text that returns after another one is a new version. Rejects while the ledger is out of reach.
   */
  readonly number: (canonical: string) => Promise<number>
}

export type Loaded =
  | { readonly ok: true; readonly snapshot: Snapshot; readonly warnings: readonly Fault[] }
  | { readonly ok: false; readonly faults: readonly Fault[] }

/** What became of one reading of the file. After `faulty` and `deferred` the version before stays in force. */
export type Reload =
  | { readonly kind: 'changed'; readonly snapshot: Snapshot; readonly warnings: readonly Fault[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'faulty'; readonly faults: readonly Fault[] }
  /** It is good, but could not be numbered or put in force now; it is tried again. */
  | { readonly kind: 'deferred'; readonly error: Error }

export interface WatchOptions extends ConfigurationFile {
  readonly current: Snapshot
  /** Puts a version in force. The next reading waits for it. */
  readonly changed: (snapshot: Snapshot) => void | Promise<void>
  readonly report: (reload: Reload) => void
}

export interface ConfigurationWatch {
  /** Reads the file now; resolves when this reading is done. */
  reload(): Promise<void>
  close(): void
}

/** A file that is this large is read in a thread of its own: YAML takes more than a second for each megabyte. */
const THREAD_FROM_CHARACTERS = 100_000
const MAX_CHARACTERS = 64_000_000
/** Editors write a file in several steps. */
const SETTLE_MS = 100
const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 30_000

/** Reads, checks and numbers the file. Rejects only where the number cannot be had. */
export async function loadConfiguration(file: ConfigurationFile): Promise<Loaded> {
  const text = await readText(file)
  return typeof text === 'string' ? loadText(file, text, null) : { ok: false, faults: [text] }
}

/** Every fault on its own line, with what to do now. */
export function faultsInWords(path: string, faults: readonly Fault[], then: string): string {
  const head = `The configuration ${path} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`
  return [head, ...faults.map((fault) => `  ${fault.path}: ${fault.message}`), then].join('\n')
}

/** Reads the file again when it changes and on SIGHUP, one reading at a time. */
export function watchConfiguration(options: WatchOptions): ConfigurationWatch {
  let { current } = options
  let lastRead: string | null = null
  let retryMs = RETRY_FIRST_MS
  let timer: NodeJS.Timeout | undefined
  let turn: Promise<void> = Promise.resolve()
  let closed = false

  const read = async (asked: boolean): Promise<void> => {
    if (closed) return
    const text = await readText(options)
    const seen = hashOf(text)
    if (seen === lastRead && !asked) return
    // Half a file can be a good file that lacks its second half: a change is believed once it holds still.
    await pause(asked ? 0 : SETTLE_MS)
    if (!asked && hashOf(await readText(options)) !== seen) return readSoon(SETTLE_MS, false)
    lastRead = seen
    const reload = await reloadFrom(options, text, current)
    if (closed) return
    if (reload.kind === 'changed') current = reload.snapshot
    retryMs = reload.kind === 'deferred' ? Math.min(retryMs * 2, RETRY_MAX_MS) : RETRY_FIRST_MS
    if (asked || reload.kind !== 'unchanged') options.report(reload)
    if (reload.kind === 'deferred') readSoon(retryMs / 2, true)
  }
  const next = (asked: boolean): Promise<void> => {
    turn = turn.then(() => read(asked))
    return turn
  }
  const readSoon = (delay: number, asked: boolean): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void next(asked), delay).unref()
  }
  const hangUp = (): void => void next(true)
  process.on('SIGHUP', hangUp)
  const watchers = watchFolders(options.path, () => readSoon(SETTLE_MS, false))
  // What changed before the watch stood.
  void watchers.then(() => next(false))
  return {
    reload: () => next(true),
    close() {
      closed = true
      clearTimeout(timer)
      process.off('SIGHUP', hangUp)
      void watchers.then((open) => {
        for (const watcher of open) watcher.close()
      })
    },
  }
}

async function reloadFrom(options: WatchOptions, text: string | Fault, current: Snapshot): Promise<Reload> {
  if (typeof text !== 'string') return { kind: 'faulty', faults: [text] }
  try {
    const loaded = await loadText(options, text, current)
    if (!loaded.ok) return { kind: 'faulty', faults: loaded.faults }
    if (loaded.snapshot === current) return { kind: 'unchanged' }
    await options.changed(loaded.snapshot)
    return { kind: 'changed', snapshot: loaded.snapshot, warnings: loaded.warnings }
  } catch (error) {
    return { kind: 'deferred', error: error as Error }
  }
}

/** Answers `current` itself where the text says the same. */
async function loadText(file: ConfigurationFile, text: string, current: Snapshot | null): Promise<Loaded> {
  const parsed = await parse(fillIn(text, file.placeholders))
  if (!parsed.ok) return parsed
  const compiled = await inTurns(configurationInSteps(parsed.config, 0))
  if (!compiled.ok) return compiled
  const { canonical } = compiled.snapshot
  if (canonical === current?.canonical) return { ok: true, snapshot: current, warnings: [] }
  const version = await file.number(canonical)
  return { ok: true, snapshot: { ...compiled.snapshot, version }, warnings: compiled.warnings }
}

async function parse(text: string): Promise<Parsed> {
  if (text.length < THREAD_FROM_CHARACTERS) return parseConfiguration(text)
  const worker = new Worker(new URL('./text-worker.ts', import.meta.url), { workerData: text })
  try {
    const [parsed] = (await once(worker, 'message')) as [Parsed]
    return parsed
  } finally {
    void worker.terminate()
  }
}

/** Text of the file, or why there is none. */
async function readText(file: ConfigurationFile): Promise<string | Fault> {
  try {
    const text = await readFile(file.path, 'utf8')
    if (text.length <= MAX_CHARACTERS) return text
    return { path: file.path, message: `is larger than ${MAX_CHARACTERS} characters.` }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { path: file.path, message: 'is not there: set CONFIG to the configuration file.' }
    return { path: file.path, message: `cannot be read: ${message}` }
  }
}

function fillIn(text: string, placeholders: Readonly<Record<string, string>>): string {
  let filled = text
  for (const [name, value] of Object.entries(placeholders)) filled = filled.replaceAll(`\${${name}}`, value)
  return filled
}

/**
 * Watches folders, since an editor that writes another file and renames it leaves a watch on the old file blind; the
 * second folder is the one a link leads to. Mounted configurations change through names that begin with two dots.
 */
async function watchFolders(path: string, changed: () => void): Promise<readonly FSWatcher[]> {
  const file = resolve(path)
  const target = await realpath(file).catch(() => file)
  const names = new Set([basename(file), basename(target)])
  const watchers: FSWatcher[] = []
  for (const folder of new Set([dirname(file), dirname(target)])) {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name) || name.startsWith('..')) changed()
      })
      watchers.push(watcher.on('error', () => watcher.close()))
    } catch {
      // Without a watch there still is SIGHUP.
    }
  }
  return watchers
}

const hashOf = (text: string | Fault): string =>
  typeof text === 'string' ? createHash('sha256').update(text).digest('hex') : text.message
