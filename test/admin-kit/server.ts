/** The admin plane as the program puts it together, on a real ledger, with a key for each role. */
import { adminData } from '../../engine/admin/data.ts'
import type { Operation } from '../../engine/admin/operation.ts'
import { operationsOf } from '../../engine/admin/operations.ts'
import { type Admin, createAdmin } from '../../engine/admin/server.ts'
import { KeyUses } from '../../engine/configuration/key-uses.ts'
import { Publishing } from '../../engine/configuration/publishing.ts'
import { Vault } from '../../engine/configuration/vault.ts'
import { Versions } from '../../engine/configuration/versions.ts'
import { resolveDoubt } from '../../engine/doubts/resolve.ts'
import { MemoryStore } from '../../engine/store/memory.ts'
import type { Role } from '../../rules/version.ts'
import { clock, LedgerKit, sealer } from '../ledger-kit.ts'
import { goodConfig, sha256 } from './configs.ts'

export const ROLES = ['viewer', 'operator', 'admin'] as const satisfies readonly Role[]

export interface Asked {
  readonly method: string
  readonly path: string
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as it is, all else as JSON. */
  readonly body?: unknown
}

export class AdminKit {
  readonly kit: LedgerKit
  readonly publishing: Publishing
  readonly uses: KeyUses
  readonly operations: readonly Operation[]
  readonly #admin: Admin

  private constructor(
    kit: LedgerKit,
    publishing: Publishing,
    operations: readonly Operation[],
    uses: KeyUses,
    admin: Admin,
  ) {
    this.kit = kit
    this.publishing = publishing
    this.operations = operations
    this.uses = uses
    this.#admin = admin
  }

  /** Version 1 is `goodConfig`. The key of a role is its name. */
  static async open({ governs = true } = {}): Promise<AdminKit> {
    const kit = await LedgerKit.open()
    const { db } = kit
    const settings = { db, vault: new Vault(sealer), mayServeExample: true }
    const first = { label: 'root', role: 'admin' } as const
    await new Publishing({ ...settings, governs: true }).apply(first, goodConfig(), 0, null)
    const publishing = new Publishing({ ...settings, governs })
    const hot = new MemoryStore('1')
    const resolving = { db, versions: new Versions(db), hot, clock, engine: 0, hotLater: () => {} }
    const data = adminData({
      resolve: (leadId, which, verdict, by) => resolveDoubt(resolving, leadId, which, verdict, by),
      ...{ db, hot, sealer, ready: () => true, version: () => 1, queues: () => ({}), buyers: () => [] },
      metrics: async () => '# none\n',
    })
    const operations = operationsOf({ data, publishing, db, sealer, clock })
    const uses = new KeyUses(db, clock)
    const keys = new Map(ROLES.map((role) => [sha256(role), { label: role, role }]))
    const shared = { host: '127.0.0.1', port: 0, log: () => {} }
    const admin = await createAdmin({ ...shared, keys: () => keys, operations, used: (key) => uses.used(key) })
    return new AdminKit(kit, publishing, operations, uses, admin)
  }

  async close(): Promise<void> {
    await this.#admin.close()
    await this.uses.stop()
    await this.kit.close()
  }

  ask({ method, path, key = 'admin', headers = {}, body }: Asked): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    return fetch(`${this.origin}${path}`, {
      method,
      headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...type, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#admin.port}`
  }

  /** The answer's body where the status is the expected one. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what they expect
  async get(path: string, key = 'admin'): Promise<any> {
    const reply = await this.ask({ method: 'GET', path, key })
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${await reply.text()}`)
    return reply.json()
  }

  /** What If-Match takes of what is at the path. */
  async etag(path: string): Promise<string> {
    const reply = await this.ask({ method: 'GET', path })
    await reply.arrayBuffer()
    return reply.headers.get('etag') ?? '"none"'
  }
}
