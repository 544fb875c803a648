/** What remains of caps, balances and throttles, as operators see it. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { capOperations } from '../engine/admin/caps-page.ts'
import { capLines, type Owner } from '../engine/cap-lines.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { HotStore } from '../engine/store/port.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import { capsOf, placesOf } from '../rules/calendar.ts'
import { micros, type WallMs, wallMs } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'

const NOON = wallMs(Date.parse('2026-03-02T12:00:00-06:00'))
const delivery = {
  ping_url: 'https://acme.example/ping',
  ping_fields: ['state'],
  post_url: 'https://acme.example/post',
}
const SNAPSHOT = compiled({
  sources: { mill: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [], caps: { day: 100 } } },
  campaigns: {
    solar: { vertical: 'solar', zone: 'UTC', payout: { share: 0.7 }, plan: [{ tier: 'open', strategy: 'auction' }] },
  },
  buyers: { acme: { zone: 'America/Chicago', balance: { credit: '50.00' }, throttle: { minute: 30 } } },
  contracts: {
    roofs: {
      ...{ buyer: 'acme', campaign: 'solar', status: 'active', delivery },
      caps: { day: 10, pace: true, concurrency: 3, spend: { month: '900.00' }, rolling: [{ minutes: 30, count: 4 }] },
      source_caps: { mill: { total: 7 } },
    },
  },
})

function compiled(config: object): Snapshot {
  const made = compileVersion(config, 5)
  if (!made.ok) throw new Error(JSON.stringify(made.faults))
  return made.snapshot
}

/** Two sales, the first 29 minutes ago, and a post that is under way. */
async function sold(hot: HotStore): Promise<void> {
  const campaign = SNAPSHOT.campaigns.get('solar')!
  const rules = capsOf(SNAPSHOT.sources.get('mill')!, campaign, campaign.contracts[0]!)
  const hold = async (token: string, at: WallMs, commits: boolean) => {
    const groups = placesOf(rules, 'acme', micros(18_500_000), 5, at)
    expect(await hot.hold(token, groups, at)).toEqual({ code: 'HELD' })
    await hot.posting(token, groups, at)
    if (commits) await hot.commit(token, groups, at)
  }
  const key = 'buyer:acme:balance:spend:USD'
  await hot.paidIn('b:acme', key, 1, 100_000_000)
  await hold('a', wallMs(NOON - 29 * 60_000), true)
  await hold('b', NOON, true)
  await hold('c', NOON, false)
  await hot.allow(`buyer:acme:minute:${NOON / 60_000}`, 12, 30, 60_000, NOON)
}

const NOTHING = { committed: [], tokens: [], scopes: [], locks: [], sightings: (async function* () {})() }
const TABLE = `scope            owner       window       kind    used   limit  remaining  paced_at  ends_at
source           mill        day          count      3     100         97         -  2026-03-03T00:00:00.000Z
buyer            acme        balance      spend  55.50  150.00      94.50         -  -
contract         roofs       day          count      3      10          7         5  2026-03-03T06:00:00.000Z
contract         roofs       concurrency  count      1       3          2         -  -
contract         roofs       month        spend  55.50  900.00     844.50         -  2026-04-01T05:00:00.000Z
contract         roofs       30m          count      3       4          1         -  -
source_contract  mill/roofs  total        count      3       7          4         -  -
buyer            acme        minute       pings     12      30         18         -  2026-03-02T18:01:00.000Z
`

describe('the caps page', () => {
  let redis: RedisStore
  beforeAll(async () => {
    redis = await openRedisStore({ url: inject('redisUrl'), prefix: `gp-lines-${process.pid}:` })
  })
  afterAll(() => redis?.close())

  test.each([
    ['in this process', () => new MemoryStore('lines')],
    ['on Redis', () => redis],
  ])('tells what remains, %s', async (_, store) => {
    const hot: HotStore = store()
    await hot.restore({ ...NOTHING, epoch: 1, tags: ['s:mill', 'c:solar', 'b:acme'] })
    hot.setEpoch(1)
    await hot.warm()
    await sold(hot)
    const asked: Owner[] = []
    const [operation] = capOperations((owner) => {
      asked.push(owner)
      return capLines(SNAPSHOT, hot, NOON, owner, 100)
    })
    const call = { actor: { label: 'test', role: 'viewer' }, params: {}, ifMatch: null, ifNoneMatch: false, body: null }
    const run = (query: Record<string, string>, asText: boolean) =>
      operation!.run({ ...call, query, asText } as unknown as Parameters<NonNullable<typeof operation>['run']>[0])
    const table = await run({}, true)
    expect(table.body).toBe(TABLE)
    const { body } = await run({ contract: 'roofs' }, false)
    const { caps } = JSON.parse(body) as { caps: { owner: string }[] }
    expect(caps.map(({ owner }) => owner)).toEqual(['roofs', 'roofs', 'roofs', 'roofs', 'mill/roofs'])
    expect(caps[2]).toEqual({
      ...{ scope: 'contract', owner: 'roofs', window: 'month', kind: 'spend', used: '55.50', limit: '900.00' },
      ...{ remaining: '844.50', paced_at: null, ends_at: '2026-04-01T05:00:00.000Z' },
    })
    expect(JSON.parse((await run({ buyer: 'nobody' }, false)).body)).toEqual({ caps: [] })
  })
})
