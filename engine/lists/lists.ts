/** The suppression lists in force, in this process's memory: read beside the hot path, looked up on it. */
import { stat } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import type { Kysely } from 'kysely'
import type { Clock, Timer } from '../../buyers/wire.ts'
import { type Barred, NOBODY } from '../../rules/duplicates.ts'
import type { Lead } from '../../rules/lead.ts'
import { type Reason, reason } from '../../rules/reason.ts'
import { type ListSpec, listedTexts, NumberSet } from '../../rules/suppression.ts'
import { ms } from '../../rules/units.ts'
import type { Campaign, Snapshot } from '../../rules/version.ts'
import type { MasterKeys, Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { listNumber, type ReadList } from './reader.ts'
import { numbersOf } from './store.ts'
import type { ListTask } from './worker.ts'

export interface ListsSettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly seal: Sealer
  readonly masters: MasterKeys
  readonly log: (message: string) => void
}

/** How often a list is looked at for a change. */
const LOOK_MS = 10_000

interface Loaded {
  readonly spec: ListSpec
  /** What tells one state of it from the next: the file's time and size, or the ledger's generation. */
  readonly stamp: string
  readonly set: NumberSet
}

/** A list that a campaign or its buyers name; `buyers`: those whom it keeps from buying. */
interface Asked {
  readonly name: string
  readonly why: Reason
  readonly buyers: readonly string[]
}

export class Lists {
  readonly #settings: ListsSettings
  readonly #asked = new WeakMap<Campaign, readonly Asked[]>()
  #loaded: ReadonlyMap<string, Loaded> = new Map()
  #specs: ReadonlyMap<string, ListSpec> = new Map()
  #timer: Timer | null = null
  #stopped = false

  constructor(settings: ListsSettings) {
    this.#settings = settings
  }

  /** Reads every list of a version. Rejects, in words that say what to do, where one cannot be had: then nothing changes. */
  async load({ lists }: Pick<Snapshot, 'lists'>): Promise<void> {
    const loaded = new Map<string, Loaded>()
    for (const [name, spec] of lists) {
      try {
        loaded.set(name, await this.#read(name, spec))
      } catch (error) {
        throw new Error(`suppression list "${name}" cannot be read: ${(error as Error).message}`, { cause: error })
      }
    }
    // Leads of the version before may still be under way.
    const before = this.#specs === lists ? [] : this.#loaded
    this.#specs = lists
    this.#loaded = new Map([...before, ...loaded])
  }

  /** Looks for changes for as long as the engine runs: a list that cannot be read any more stays as it was. */
  start(): void {
    if (this.#stopped) return
    this.#timer = this.#settings.clock.after(ms(LOOK_MS), () => {
      this.load({ lists: this.#specs })
        .catch((error: Error) => this.#settings.log(`${error.message}. It stays as it was read before.`))
        .finally(() => this.start())
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Buyers that must not have this lead, and by which list. */
  barred(campaign: Campaign, lead: Lead): Barred {
    const asked = this.#askedBy(campaign)
    if (asked.length === 0) return NOBODY
    const barred = new Map<string, Reason>()
    for (const { name, why, buyers } of asked) {
      if (!this.names(name, campaign, lead)) continue
      for (const buyer of buyers) if (!barred.has(buyer)) barred.set(buyer, why)
    }
    return barred
  }

  /** True where the list names the lead. */
  names(name: string, { vertical }: Pick<Campaign, 'vertical'>, lead: Lead): boolean {
    const list = this.#loaded.get(name)
    // What was not read might name anybody.
    if (!list) return true
    if (list.set.size === 0) return false
    const { of, hash } = list.spec
    return listedTexts(of, lead, vertical).some((text) => list.set.has(listNumber(this.#settings.seal, hash, text)))
  }

  /** The campaign's own lists first: they keep everybody out. */
  #askedBy(campaign: Campaign): readonly Asked[] {
    const known = this.#asked.get(campaign)
    if (known) return known
    const buyers = [...new Set(campaign.contracts.map(({ buyer }) => buyer))]
    const asked = new Map<string, string[]>(campaign.suppress.map((name) => [name, buyers.map(({ id }) => id)]))
    for (const { id, suppress } of buyers) {
      for (const name of suppress) asked.set(name, [...(asked.get(name) ?? []), id])
    }
    const list = Array.from(asked, ([name, ids]) => ({ name, why: reason('suppressed', name), buyers: ids }))
    this.#asked.set(campaign, list)
    return list
  }

  async #read(name: string, spec: ListSpec): Promise<Loaded> {
    const before = this.#loaded.get(name)
    const stamp = await this.#stampOf(name, spec)
    if (before?.stamp === stamp) return before
    const set =
      spec.file === null
        ? new NumberSet(await numbersOf(this.#settings.db, name))
        : await this.#fromFile(name, spec.file, spec)
    this.#settings.log(`suppression list "${name}" has ${set.size} entries`)
    return { spec, stamp, set }
  }

  async #stampOf(name: string, { of, hash, file }: ListSpec): Promise<string> {
    if (file !== null) {
      const { mtimeMs, size } = await stat(file)
      return `${file} ${of} ${hash} ${mtimeMs} ${size}`
    }
    const row = await this.#settings.db
      .selectFrom('lists')
      .select(['kind', 'generation'])
      .where('name', '=', name)
      .executeTakeFirst()
    if (!row) throw new Error(`the ledger has none of that name: npm run list -- import ${name} FILE --of ${of}`)
    if (row.kind !== of) throw new Error(`it was imported as a list of ${row.kind}, and the configuration says ${of}`)
    return `${of} ${hash} ${row.generation}`
  }

  async #fromFile(name: string, path: string, spec: ListSpec): Promise<NumberSet> {
    const workerData: ListTask = { path, spec, masters: this.#settings.masters }
    const { numbers, faults, faultyLines } = await new Promise<ReadList>((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    if (faults > 0) this.#settings.log(faultsInWords(name, spec, faults, faultyLines))
    return new NumberSet(numbers)
  }
}

/** Which lines were refused, and never what stands in them. */
export function faultsInWords(
  name: string,
  { of, hash }: Pick<ListSpec, 'of' | 'hash'>,
  faults: number,
  lines: readonly number[],
): string {
  const what = hash === null ? of : `${hash} in hex`
  const more = faults > lines.length ? ' and more' : ''
  return `suppression list "${name}": ${faults} lines are no ${what} and were left out: ${lines.join(', ')}${more}`
}
