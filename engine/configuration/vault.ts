/** Keeps the secrets of configurations sealed: texts that the ledger stores have stand-ins in their place. */
import type { Kysely } from 'kysely'
import { canonicalJson } from '../../rules/configuration/canonical.ts'
import { mapSecrets } from '../../rules/configuration/secrets.ts'
import type { Fault } from '../../rules/version.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'

export type Revealed =
  | { readonly ok: true; readonly config: unknown }
  | { readonly ok: false; readonly faults: readonly Fault[] }

type Db = Kysely<LedgerTables>

const STAND_IN = /^(?:sealed:[\w-]{43}|whsec_[A-Za-z0-9+/]{43})$/

/**
 * A stand-in is a keyed digest of its secret: equal secrets have equal stand-ins, so texts of equal configurations are
 * equal, a difference of two versions shows that a secret changed, and a configuration that was read with its stand-ins
 * may be given back as it is. A text with stand-ins compiles like the one with the secrets.
 */
export class Vault {
  readonly #sealer: Sealer

  constructor(sealer: Sealer) {
    this.#sealer = sealer
  }

  /** Canonical text with stand-ins; secrets that were not kept yet are kept first. */
  async conceal(db: Db, config: unknown): Promise<string> {
    const kept = await this.#secrets(db, standInsOf(config))
    const fresh = new Map<string, string>()
    const concealed = mapSecrets(config, (secret, _path, pattern) => {
      if (kept.has(secret)) return secret
      const name = this.#standIn(secret, pattern)
      fresh.set(name, secret)
      return name
    })
    if (fresh.size > 0) await this.#keep(db, fresh)
    return canonicalJson(concealed)
  }

  /** The configuration with its secrets; a fault for each stand-in that stands for none. */
  async reveal(db: Db, config: unknown): Promise<Revealed> {
    const kept = await this.#secrets(db, standInsOf(config))
    const faults: Fault[] = []
    const revealed = mapSecrets(config, (given, path) => {
      const secret = kept.get(given)
      if (secret === undefined && given.startsWith('sealed:')) faults.push({ path, message: UNKNOWN })
      return secret ?? given
    })
    return faults.length > 0 ? { ok: false, faults } : { ok: true, config: revealed }
  }

  /** Versions that were stored before secrets were sealed, and the draft, which is of their time. */
  async sealOldVersions(db: Db): Promise<void> {
    const old = await db.selectFrom('versions').select(['number', 'canonical']).where('sealed', '=', false).execute()
    for (const { number, canonical } of old) {
      const sealed = { canonical: await this.conceal(db, JSON.parse(canonical)), sealed: true }
      await db.updateTable('versions').set(sealed).where('number', '=', number).execute()
    }
    const draft = old.length > 0 ? await db.selectFrom('draft').select('canonical').executeTakeFirst() : undefined
    if (draft === undefined) return
    const canonical = await this.conceal(db, JSON.parse(draft.canonical))
    await db.updateTable('draft').set({ canonical }).where('canonical', '=', draft.canonical).execute()
  }

  #standIn(secret: string, pattern: string | null): string {
    const digest = this.#sealer.fingerprint(`secret:${secret}`)
    const plain = `sealed:${digest}`
    if (pattern === null || new RegExp(pattern).test(plain)) return plain
    return `whsec_${digest.replaceAll('-', '+').replaceAll('_', '/')}`
  }

  async #secrets(db: Db, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (names.length === 0) return new Map()
    const rows = await db.selectFrom('secrets').selectAll().where('name', 'in', names).execute()
    return new Map(
      rows.map(({ name, sealed, wrapped, key_version: keyVersion }) => {
        const from = { sealed: sealed.toString('base64'), wrappedKey: wrapped.toString('base64'), keyVersion }
        return [name, this.#sealer.open(name, from)]
      }),
    )
  }

  async #keep(db: Db, secrets: ReadonlyMap<string, string>): Promise<void> {
    const rows = Array.from(secrets, ([name, secret]) => {
      const { sealed, wrappedKey, keyVersion } = this.#sealer.seal(name, secret)
      const bytes = { sealed: Buffer.from(sealed, 'base64'), wrapped: Buffer.from(wrappedKey, 'base64') }
      return { name, ...bytes, key_version: keyVersion }
    })
    const inOrder = rows.sort((a, b) => (a.name < b.name ? -1 : 1))
    await db
      .insertInto('secrets')
      .values(inOrder)
      .onConflict((on) => on.doNothing())
      .execute()
  }
}

const UNKNOWN = 'stands for a secret that this ledger does not keep: give the secret itself.'

function standInsOf(config: unknown): readonly string[] {
  const found = new Set<string>()
  mapSecrets(config, (value) => {
    if (STAND_IN.test(value)) found.add(value)
    return value
  })
  return [...found]
}
