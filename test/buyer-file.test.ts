/** A buyer's own list against the ledger: what matches, what only one side has, and the doubts that it settles. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Versions } from '../engine/configuration/versions.ts'
import { takeBuyerFile } from '../engine/doubts/buyer-file.ts'
import { resolveDoubt } from '../engine/doubts/resolve.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import { compareFile, type FileRow, type LedgerRow } from '../rules/buyer-file.ts'
import { micros } from '../rules/units.ts'
import { clock, final, intended, LedgerKit, result, type TestEngine } from './ledger-kit.ts'

const ours = (leadId: string, state: LedgerRow['state'], more: Partial<LedgerRow> = {}): LedgerRow => ({
  ...{ leadId, contract: 'acme', state, price: micros(20_000_000), buyerReference: `R-${leadId}` },
  ...more,
})
const theirs = (leadId: string | null, more: Partial<FileRow> = {}): FileRow => ({
  ...{ leadId, buyerReference: null, price: null },
  ...more,
})

describe('the comparison', () => {
  it('sorts every line and every post into one place', () => {
    const posts = [
      ...[ours('a', 'accepted'), ours('b', 'accepted'), ours('c', 'in_doubt'), ours('d', 'rejected')],
      ...[ours('e', 'accepted'), ours('f', 'in_doubt'), ours('g', 'rejected')],
    ]
    const file = [
      theirs('a', { price: micros(20_000_000) }),
      theirs('b', { price: micros(18_000_000) }),
      theirs(null, { buyerReference: 'R-c' }),
      ...[theirs('d'), theirs('a'), theirs('unknown'), theirs(null)],
    ]
    const { matched, priceDiffers, settled, denied, oursOnly, theirsOnly } = compareFile(posts, file)
    const leads = (pairs: typeof matched) => pairs.map((pair) => pair.ours.leadId)
    expect([matched, priceDiffers, settled, denied].map(leads)).toEqual([['a'], ['b'], ['c'], ['d']])
    expect(oursOnly.map(({ leadId }) => leadId)).toEqual(['e', 'f'])
    expect(theirsOnly).toEqual([file[4], file[5], file[6]])
  })

  it('takes of several posts of one lead the one that was sold, and no reference that two posts share', () => {
    const twice = [ours('a', 'rejected', { contract: 'acme-1' }), ours('a', 'accepted', { contract: 'acme-2' })]
    expect(compareFile(twice, [theirs('a')]).matched[0]!.ours.contract).toBe('acme-2')
    const shared = [ours('a', 'accepted', { buyerReference: 'X' }), ours('b', 'accepted', { buyerReference: 'X' })]
    expect(compareFile(shared, [theirs(null, { buyerReference: 'X' })]).theirsOnly).toHaveLength(1)
  })
})

describe('in the ledger', () => {
  let kit: LedgerKit
  let engine: TestEngine
  beforeAll(async () => {
    kit = await LedgerKit.open()
    engine = await kit.engine()
  })
  afterAll(() => kit?.close())

  async function posted(state: 'accepted' | 'in_doubt' | 'rejected'): Promise<string> {
    const leadId = await intended(engine)
    const status = ({ accepted: 'sold', in_doubt: 'pending', rejected: 'unsold' } as const)[state]
    await engine.ledger.result(final(leadId, [result({ state })], { status }))
    return leadId
  }

  it('settles doubts, opens disputes, and says the same again without a change', async () => {
    const [sold, listed, missing, denied] = [
      await posted('accepted'),
      await posted('in_doubt'),
      await posted('in_doubt'),
      await posted('rejected'),
    ]
    const file = {
      ...{
        buyer: 'acme',
        from: new Date(Date.now() - 3_600_000),
        to: new Date(Date.now() + 3_600_000),
        complete: true,
      },
      rows: [theirs(sold), theirs(listed, { price: micros(19_000_000) }), theirs(denied)],
    }
    const resolving = {
      db: kit.db,
      versions: new Versions(kit.db),
      hot: new MemoryStore('1'),
      clock,
      engine: engine.id,
      hotLater: () => {},
    }
    const ports = { db: kit.db, resolve: resolveDoubt.bind(null, resolving) }
    expect(await takeBuyerFile(ports, file, 'acme')).toMatchObject({ resolved: 2, disputed: 1 })
    expect([await kit.states(listed), await kit.states(missing), await kit.states(denied)]).toEqual([
      { acme: 'accepted' },
      { acme: 'rejected' },
      { acme: 'rejected' },
    ])
    const prices = await kit.ask('select price from sales where lead_id = $1', [listed])
    expect(prices).toEqual([{ price: 19_000_000 }])
    const audit = () =>
      kit.ask(`select lead_id, verdict, applied from resolutions where by = 'file of acme' order by id`)
    const once = await audit()
    expect(once.map(({ applied }) => applied)).toEqual([true, false, true])
    expect(await takeBuyerFile(ports, file, 'acme')).toMatchObject({ resolved: 0 })
    expect(await audit()).toEqual(once)
  })
})
