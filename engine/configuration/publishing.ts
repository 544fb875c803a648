/** How the configuration changes where the ledger governs it: a draft is edited, checked as a whole, published as a version. */
import { type Kysely, sql } from 'kysely'
import { configurationInSteps } from '../../buyers/configuration.ts'
import { canonicalJson } from '../../rules/configuration/canonical.ts'
import { type Difference, differences } from '../../rules/configuration/difference.ts'
import type { Compiled, Fault, Role, Snapshot } from '../../rules/version.ts'
import { insertVersion, lockVersions, newestVersion, versionText } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { inTurns } from './stepwise.ts'
import type { Vault } from './vault.ts'

type Db = Kysely<LedgerTables>
/** A configuration as it is read and given: plain data, with stand-ins for its secrets. */
export type Config = Readonly<Record<string, unknown>>

/** Who acts, for the audit. */
export interface Actor {
  readonly label: string
  readonly role: Role
  /** Of a source's test key. */
  readonly test?: boolean
}

export interface Draft {
  readonly config: Config
  /** The version that it was taken from. */
  readonly base: number
  /** Changes with every edit; 0 where nothing was edited since the newest version. */
  readonly revision: number
}

/**
 * `STALE`: somebody else has published, or edited, since. `FILE`: a file governs this engine. `EXAMPLE`: the example's
 * keys are known to all, so it is served on loopback only. `SAME`: it says what the newest version says. `ROLE`: only an
 * admin may change who is an operator, and where buyers' hosts may lie.
 */
export type Refused =
  | { readonly ok: false; readonly code: 'STALE'; readonly newest: number }
  | { readonly ok: false; readonly code: 'FAULTY'; readonly faults: readonly Fault[] }
  | { readonly ok: false; readonly code: 'FILE' | 'EXAMPLE' | 'UNKNOWN' | 'ROLE' }
  | { readonly ok: false; readonly code: 'SAME'; readonly newest: number }

export interface Published {
  readonly ok: true
  readonly version: number
  readonly warnings: readonly Fault[]
  readonly changes: readonly Difference[]
}

export interface Checked {
  readonly faults: readonly Fault[]
  readonly warnings: readonly Fault[]
  /** The newest version, and what is different from it. */
  readonly base: number
  readonly changes: readonly Difference[]
  /** As it would be served; null where it has faults. */
  readonly snapshot: Snapshot | null
}

export interface PublishingSettings {
  readonly db: Db
  readonly vault: Vault
  /** False where a file governs: nothing can be published. */
  readonly governs: boolean
  /** True where the engine listens on loopback alone. */
  readonly mayServeExample: boolean
}

export interface Edited {
  readonly ok: true
  readonly draft: Draft
}

/** An edit gives the draft's next content, or says why not. */
export type Edit = (
  config: Config,
  draft: Draft,
) => { readonly config: Config } | { readonly faults: readonly Fault[] } | 'STALE'

export class Publishing {
  readonly #settings: PublishingSettings

  constructor(settings: PublishingSettings) {
    this.#settings = settings
  }

  get governs(): boolean {
    return this.#settings.governs
  }

  /** Null where there is no version of this number. */
  async version(number: number): Promise<Config | null> {
    const text = await versionText(this.#settings.db, number)
    return text === null ? null : JSON.parse(text)
  }

  /** What has been edited; the newest version where nothing was. */
  draft(): Promise<Draft> {
    return draftIn(this.#settings.db)
  }

  /** Every fault and warning of a whole configuration, and what it would change. */
  async check(config: unknown): Promise<Checked> {
    const { db, vault } = this.#settings
    const newest = await newestVersion(db)
    const changes = differences(JSON.parse(newest.canonical), JSON.parse(await vault.conceal(db, config)))
    const compiled = await this.#compile(db, config)
    const told = compiled.ok
      ? { faults: [], warnings: compiled.warnings, snapshot: compiled.snapshot }
      : { faults: compiled.faults, warnings: [], snapshot: null }
    return { ...told, base: newest.number, changes }
  }

  /** The draft as it would be served, its secrets included, and its content with stand-ins. */
  async compiledDraft(): Promise<
    (Compiled & { readonly ok: true; readonly config: Config }) | Extract<Compiled, { ok: false }>
  > {
    const { config } = await this.draft()
    const compiled = await this.#compile(this.#settings.db, config)
    return compiled.ok ? { ...compiled, config } : compiled
  }

  /** `subject`: what is edited, for the audit. */
  edit(actor: Actor, subject: string, edit: Edit): Promise<Edited | Refused> {
    return this.#locked(async (tx): Promise<Edited | Refused> => {
      const draft = await draftIn(tx)
      const edited = edit(draft.config, draft)
      if (edited === 'STALE') return { ok: false, code: 'STALE', newest: draft.revision }
      if ('faults' in edited) return { ok: false, code: 'FAULTY', faults: edited.faults }
      const canonical = await this.#settings.vault.conceal(tx, edited.config)
      const config = JSON.parse(canonical)
      const changes = differences(draft.config, config)
      if (changes.length === 0) return { ok: true, draft }
      if (!mayChange(actor, changes)) return { ok: false, code: 'ROLE' }
      const revision = draft.revision + 1
      const values = { base: draft.base, canonical, revision, changed_at: sql<Date>`now()`, changed_by: actor.label }
      await tx
        .insertInto('draft')
        .values(values)
        .onConflict((on) => on.column('singleton').doUpdateSet(values))
        .execute()
      await note(tx, actor, 'edit', subject, changes, null)
      return { ok: true, draft: { config, base: draft.base, revision } }
    })
  }

  /** Forgets every edit that was not published. */
  async discard(actor: Actor): Promise<Refused | { readonly ok: true }> {
    return this.#locked(async (tx) => {
      const { revision } = await draftIn(tx)
      await tx.deleteFrom('draft').execute()
      if (revision > 0) await note(tx, actor, 'discard', 'draft', [], null)
      return { ok: true }
    })
  }

  /** Publishes the draft. Refused where somebody has published since it was begun. */
  publish(actor: Actor, words: string | null): Promise<Published | Refused> {
    return this.#locked(async (tx) => {
      const { config, base } = await draftIn(tx)
      return this.#put(tx, actor, { config, base, action: 'publish', words })
    })
  }

  /** Publishes a whole configuration, where `base` is still the newest version. */
  apply(actor: Actor, config: unknown, base: number, words: string | null): Promise<Published | Refused> {
    return this.#locked((tx) => this.#put(tx, actor, { config, base, action: 'apply', words }))
  }

  /** Changes one thing in the newest version and publishes that on the spot; a draft gets the change too. Null: there is no such thing. */
  urgent(
    actor: Actor,
    action: string,
    words: string | null,
    change: (config: Config) => Config | null,
  ): Promise<Published | Refused> {
    return this.#locked(async (tx) => {
      const newest = await newestVersion(tx)
      const draft = await draftIn(tx)
      const config = change(JSON.parse(newest.canonical))
      if (config === null) return { ok: false, code: 'UNKNOWN' }
      const put = await this.#put(tx, actor, { config, base: newest.number, action, words })
      const changed = put.ok && draft.revision > 0 && draft.base === newest.number ? change(draft.config) : null
      if (put.ok && changed) {
        const values = { base: put.version, canonical: canonicalJson(changed), revision: draft.revision + 1 }
        await tx.updateTable('draft').set(values).execute()
      }
      return put
    })
  }

  /** Publishes what an earlier version said, as a new one. */
  rollback(actor: Actor, number: number, words: string | null): Promise<Published | Refused> {
    return this.#locked(async (tx) => {
      const text = await versionText(tx, number)
      if (text === null) return { ok: false, code: 'UNKNOWN' }
      const base = (await newestVersion(tx)).number
      return this.#put(tx, actor, { config: JSON.parse(text), base, action: `rollback to ${number}`, words })
    })
  }

  async #put(
    tx: Db,
    actor: Actor,
    { config, base, action, words }: { config: unknown; base: number; action: string; words: string | null },
  ): Promise<Published | Refused> {
    const newest = await newestVersion(tx)
    if (newest.number !== base) return { ok: false, code: 'STALE', newest: newest.number }
    const compiled = await this.#compile(tx, config)
    if (!compiled.ok) return { ok: false, code: 'FAULTY', faults: compiled.faults }
    if (compiled.snapshot.example && !this.#settings.mayServeExample) return { ok: false, code: 'EXAMPLE' }
    const canonical = await this.#settings.vault.conceal(tx, config)
    if (canonical === newest.canonical) return { ok: false, code: 'SAME', newest: newest.number }
    const changes = differences(JSON.parse(newest.canonical), JSON.parse(canonical))
    // Whoever edited the draft was asked then.
    if (action !== 'publish' && !mayChange(actor, changes)) return { ok: false, code: 'ROLE' }
    const version = await insertVersion(tx, { canonical, by: actor.label, note: words })
    await note(tx, actor, action, `version ${version}`, changes, version)
    // A draft with edits of its own stays as it is, and cannot be published over this version.
    await tx
      .deleteFrom('draft')
      .where((eb) => eb.or([eb('canonical', '=', canonical), eb('canonical', '=', newest.canonical)]))
      .execute()
    return { ok: true, version, warnings: compiled.warnings, changes }
  }

  async #compile(db: Db, config: unknown) {
    const revealed = await this.#settings.vault.reveal(db, JSON.parse(canonicalJson(config)))
    return revealed.ok ? await inTurns(configurationInSteps(revealed.config, 0)) : revealed
  }

  #locked<T>(work: (tx: Db) => Promise<T | Refused>): Promise<T | Refused> {
    const { db, governs } = this.#settings
    if (!governs) return Promise.resolve({ ok: false, code: 'FILE' })
    return db.transaction().execute(async (tx) => {
      await lockVersions(tx)
      return work(tx)
    })
  }
}

const mayChange = ({ role }: Actor, changes: readonly Difference[]): boolean =>
  role === 'admin' || !changes.some(({ path }) => /^(?:admin|network)\b/.test(path))

async function draftIn(db: Db): Promise<Draft> {
  const newest = await newestVersion(db)
  const row = await db.selectFrom('draft').selectAll().executeTakeFirst()
  if (!row) return { config: JSON.parse(newest.canonical), base: newest.number, revision: 0 }
  return { config: JSON.parse(row.canonical), base: row.base, revision: row.revision }
}

/** Adds to the audit who changed what. */
async function note(
  tx: Db,
  actor: Actor,
  action: string,
  subject: string,
  changes: readonly Difference[],
  version: number | null,
): Promise<void> {
  const words = JSON.stringify(changes.map((one) => one.words))
  await tx
    .insertInto('audit')
    .values({ actor: actor.label, role: actor.role, action, subject, changes: words, version })
    .execute()
}
