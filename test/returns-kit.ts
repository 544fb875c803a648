/** Leads with several copies that were sold or are in doubt, on a real ledger, and what becomes of them. */
import { expect } from 'vitest'
import { Versions } from '../engine/configuration/versions.ts'
import { type ResolveAnswer, resolveDoubt } from '../engine/doubts/resolve.ts'
import { Returns } from '../engine/returns/returns.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import { insertVersion } from '../engine/store/queries.ts'
import { micros } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import {
  clock,
  final,
  intent,
  LedgerKit,
  received,
  result,
  sealer,
  storedTrace,
  type TestEngine,
} from './ledger-kit.ts'

/** Money in units, which the kit turns into micros. */
export interface Copy {
  readonly contract: string
  readonly price?: number
  readonly payout?: number
  readonly state?: 'accepted' | 'in_doubt'
}

export const contract = (buyer: string, returns: object | null, campaign = 'solar') => ({
  ...{ buyer, campaign, status: 'active', price: '20.00', delivery: { post_url: `https://${buyer}.example/` } },
  ...(returns ? { returns } : {}),
})
export const campaign = (payout: object) => ({
  ...{ vertical: 'solar', zone: 'UTC', payout, plan: [{ tier: 'open', strategy: 'auction', copies: 3 }] },
})

export class ReturnsKit {
  readonly kit: LedgerKit
  readonly engine: TestEngine
  readonly snapshot: Snapshot
  readonly versions: Versions
  readonly returns: Returns
  readonly #hot = new MemoryStore('returns')

  private constructor(kit: LedgerKit, engine: TestEngine, snapshot: Snapshot) {
    this.kit = kit
    this.engine = engine
    this.snapshot = snapshot
    this.versions = new Versions(kit.db)
    this.returns = new Returns({ db: kit.db, sealer, versions: this.versions })
  }

  /** Version 1 is `config`, of one source `demo`. */
  static async open(config: object): Promise<ReturnsKit> {
    const kit = await LedgerKit.open()
    await insertVersion(kit.db, { canonical: JSON.stringify(config), by: 'root', note: null })
    const compiled = compileVersion(config, 1)
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
    return new ReturnsKit(kit, await kit.engine(), compiled.snapshot)
  }

  close(): Promise<void> {
    return this.kit.close()
  }

  /** A lead of the first copy's campaign. */
  async lead(
    copies: readonly Copy[],
    given: { readonly owed?: number; readonly opening?: object } = {},
  ): Promise<string> {
    const { ledger } = this.engine
    const of = [...this.snapshot.campaigns.values()].find(({ contracts }) =>
      contracts.some(({ id }) => id === copies[0]!.contract),
    )!
    const row = received({ campaign: of.id, owed: micros(given.owed ?? 0) })
    await ledger.received(row)
    const ends = copies.map(({ contract: id, price = 20, payout = 14, state = 'accepted' }, copy) => {
      const buyer = of.contracts.find((one) => one.id === id)!.buyer.id
      const money = { price: micros(Math.round(price * 1e6)), payout: micros(Math.round(payout * 1e6)) }
      return result({ contract: id, buyer, copy, ...money, state })
    })
    for (const { contract: id, buyer, copy, price, payout } of ends)
      expect(await ledger.intent(intent(row.leadId, { contract: id, buyer, copy, price, payout }), [])).toBe('INTENDED')
    const accepted = ends.filter(({ state }) => state === 'accepted')
    const payout = micros(accepted.reduce((sum, one) => sum + one.payout, 0))
    const trace = storedTrace(given.opening ?? {})
    const status = { status: accepted.length > 0 ? 'sold' : 'pending', payout, copies: accepted.length, trace } as const
    await ledger.result(final(row.leadId, ends, status, { campaign: of.id }))
    return row.leadId
  }

  /** Settles a doubt. */
  settle(leadId: string, contractId: string, sells: boolean): Promise<ResolveAnswer> {
    const { versions, engine, kit } = this
    const settings = { db: kit.db, versions, hot: this.#hot, clock, engine: engine.id, hotLater: () => {} }
    const verdict = sells
      ? ({ kind: 'sold', price: null, buyerReference: null, redirectUrl: null } as const)
      : ({ kind: 'no_sale', reason: 'unresolved' } as const)
    return resolveDoubt(settings, leadId, { contract: contractId }, verdict, 'test')
  }
}
