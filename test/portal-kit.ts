/** The portal behind a real edge on a real ledger, with a key for each buyer and source, and sales to look at. */

import type { Operation } from '../engine/admin/operation.ts'
import { loadNewest } from '../engine/configuration/ledger.ts'
import { Publishing } from '../engine/configuration/publishing.ts'
import { Vault } from '../engine/configuration/vault.ts'
import { Versions } from '../engine/configuration/versions.ts'
import { createEdge, type Edge } from '../engine/edge.ts'
import { portalOperations } from '../engine/portal/operations.ts'
import { Portal } from '../engine/portal/portal.ts'
import { Returns } from '../engine/returns/returns.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { ReceivedRow, ResultRow } from '../engine/store/port.ts'
import { leadJson } from '../rules/lead.ts'
import { micros } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import { goodConfig, sha256 } from './admin-kit/configs.ts'
import { clock, final, intent, LedgerKit, received, result, sealer, type TestEngine } from './ledger-kit.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into what they expect
type Loose = any

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Loose
}

/** What two buyers and two sources may read and change. The key of each is its name; `mill-test` is a test key of mill. */
export function portalConfig(): Loose {
  const config = goodConfig()
  for (const buyer of ['acme', 'bolt']) config.buyers[buyer].keys = [{ sha256: sha256(buyer) }]
  config.sources.mill.keys.push({ sha256: sha256('mill-test'), test: true })
  config.buyers.acme.self_service = {
    pause: true,
    caps: { day: { min: 10, max: 100 }, hour: {}, spend: { day: { max: '500.00' } } },
  }
  config.contracts.acme.returns = { approval: 'automatic', share: 1, max_age_days: 7 }
  return config
}

/** A sealed lead that came with this sub-id. */
export function withSub(sub1: string): Partial<ReceivedRow> {
  const row = received()
  const said = { vertical: 'solar', receivedAt: row.receivedAt, values: new Map(), unknown: {}, leadRef: null }
  return { leadId: row.leadId, ...sealer.seal(row.leadId, leadJson({ ...said, subs: { sub1 } })) }
}

export class PortalKit {
  readonly kit: LedgerKit
  readonly engine: TestEngine
  readonly publishing: Publishing
  readonly operations: readonly Operation[]
  /** SHA-256 of the keys that were used. */
  readonly used: string[] = []
  snapshot: Snapshot
  readonly #vault: Vault
  readonly #portal: Portal
  #edge: Edge | null = null

  private constructor(
    kit: LedgerKit,
    engine: TestEngine,
    vault: Vault,
    publishing: Publishing,
    snapshot: Snapshot,
    patient: boolean,
  ) {
    this.kit = kit
    this.engine = engine
    this.#vault = vault
    this.publishing = publishing
    this.snapshot = snapshot
    const hot = new MemoryStore('1')
    if (patient) hot.rate = async (_, want) => want
    const parts = { clock, hot, snapshot: () => this.snapshot }
    this.#portal = new Portal({
      ...{ ...parts, vault, sealer, databaseUrl: kit.url, governs: true, mayServeExample: true },
      share: () => 1,
      keyUsed: (key) => this.used.push(key),
      log: () => {},
    })
    const returns = new Returns({ db: kit.db, sealer, versions: new Versions(kit.db) })
    this.operations = portalOperations({ ...parts, db: kit.db, publishing, returns })
  }

  /** `patient`: no key ever asks too fast. */
  static async open({ patient = false } = {}): Promise<PortalKit> {
    const kit = await LedgerKit.open()
    const vault = new Vault(sealer)
    const publishing = new Publishing({ db: kit.db, vault, governs: true, mayServeExample: true })
    await publishing.apply({ label: 'root', role: 'admin' }, portalConfig(), 0, null)
    const opened = new PortalKit(kit, await kit.engine(), vault, publishing, await newest(kit, vault), patient)
    opened.#edge = await createEdge({
      ...{ host: '127.0.0.1', port: 0, shared: false, clock },
      ...{ ready: () => true, overloaded: () => false, answered: () => {} },
      handler: (request) => opened.#portal.take(request),
      fault: (error) => {
        throw error
      },
    })
    return opened
  }

  /** Puts the newest version in force. */
  async refresh(): Promise<void> {
    this.snapshot = await newest(this.kit, this.#vault)
    this.#portal.keep(this.snapshot)
  }

  async close(): Promise<void> {
    this.#edge!.stopListening()
    this.#edge!.close()
    await this.#portal.close()
    await this.kit.close()
  }

  ask(method: string, path: string, key: string | null, body?: unknown, headers = {}): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    return fetch(`http://127.0.0.1:${this.#edge!.port}${path}`, {
      method,
      headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...type, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  }

  /** The answer, its body read as what it is. */
  async read(method: string, path: string, key: string | null, body?: unknown): Promise<Reply> {
    const reply = await this.ask(method, path, key, body)
    const text = await reply.text()
    const isJson = reply.headers.get('content-type')?.includes('json')
    return { status: reply.status, headers: reply.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** A lead that was sold as the hot path writes it; money in whole units. */
  async sell(buyer: string, lead: Partial<ReceivedRow> = {}, price = 20, payout = 14): Promise<string> {
    const money = { price: micros(price * 1e6), payout: micros(payout * 1e6) }
    const row = received({ source: 'mill', ...lead })
    const { leadId } = row
    await this.engine.ledger.received(row)
    await this.engine.ledger.intent(intent(leadId, { contract: buyer, ...money }), [])
    const sold: ResultRow = result({ contract: buyer, ...money })
    const told = { source: row.source, test: row.test }
    await this.engine.ledger.result(final(leadId, [sold], { payout: money.payout, sighting: null }, told))
    return leadId
  }

  /** A lead that nobody bought. */
  async refuse(lead: Partial<ReceivedRow> = {}): Promise<string> {
    const row = received({ source: 'mill', ...lead })
    await this.engine.ledger.received(row)
    const unsold = { status: 'unsold', reasons: ['no_buyer'], sighting: null } as const
    await this.engine.ledger.result(final(row.leadId, [], unsold, { source: row.source }))
    return row.leadId
  }
}

async function newest(kit: LedgerKit, vault: Vault): Promise<Snapshot> {
  const loaded = await loadNewest({ db: kit.db, vault, buyersOrigin: null })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  return loaded.snapshot
}
