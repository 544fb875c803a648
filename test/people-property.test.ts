/** Duplicates whatever is configured: rules, in-process store and Redis agree, and twins are decided one after the other. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { expect, inject, test } from 'vitest'
import type { Clock } from '../buyers/wire.ts'
import { takeLead } from '../engine/intake.ts'
import { Rebuild } from '../engine/rebuild.ts'
import type { FinalRow } from '../engine/store/port.ts'
import { openRedisStore } from '../engine/store/redis.ts'
import { seatEnds } from '../rules/step.ts'
import { auctionTerms } from '../rules/terms.ts'
import { replay } from '../rules/trace.ts'
import type { Snapshot } from '../rules/version.ts'
import { LedgerKit } from './ledger-kit.ts'
import {
  compilePeople,
  JumpingClock,
  type PeopleLead,
  type PeopleStory,
  peoplePorts,
  playPeople,
  requestOf,
} from './world/people.ts'
import { playPeopleOnRules } from './world/people-rules.ts'
import { paperStores } from './world/people-stores.ts'

const fields = fc.subarray(['phone', 'email', 'last_name+zip'])
/** No sum of the times that pass is the length of a window. */
const windowOf = fc.constantFrom<object>({ hours: 1 }, { days: 1 }, { days: 30 }, { days: 90 }, { forever: true }, {})
const PASSING = ['37 minutes', '7 hours', '41 days', '200 days']

const campaign = fc
  .tuple(fields, windowOf, fc.constantFrom('received', 'pinged', 'sold'), fc.constantFrom('reject', 'sell_to_others'))
  .map(([compared, window, counts, action]) => ({
    duplicates: { ...window, fields: compared, counts, action: counts === 'received' ? 'reject' : action },
  }))

const buyer = (amount: string) =>
  fc
    .record({
      group: fc.constantFrom(undefined, 'sun'),
      compared: fc.option(fields, { nil: undefined }),
      window: windowOf,
      counts: fc.constantFrom('pinged', 'sold'),
      post: fc.constantFrom('accept' as const, 'accept' as const, 'reject' as const, 'silent' as const),
      pinged: fc.boolean(),
    })
    .map(({ group, compared, window, counts, post, pinged }) => ({
      ...{ post, duplicates: { ...window, counts, ...(compared ? { fields: compared } : {}) } },
      ...(group ? { group } : {}),
      ...(pinged ? { ping: amount } : { price: amount }),
    }))

const market = fc.record({
  campaigns: fc.oneof(fc.record({ roof: campaign }), fc.record({ roof: campaign, yard: campaign })),
  buyers: fc.record({ acme: buyer('20.00'), bolt: buyer('15.00'), crane: buyer('10.00') }),
})

const leadIn = (names: readonly string[]): fc.Arbitrary<PeopleLead> =>
  fc
    .record({
      phone: fc.constantFrom('1', '2'),
      email: fc.constantFrom('1', '2', '3'),
      last_name: fc.constantFrom('Lee', 'Ray', 'Poe'),
      of: fc.constantFrom(...names),
    })
    .map(({ of, ...lead }) => ({ lead, campaign: of, expect: [] }))

const storyWith = (steps: (lead: fc.Arbitrary<PeopleLead>) => fc.Arbitrary<PeopleStory['steps']>) =>
  market.chain(({ campaigns, buyers }) =>
    steps(leadIn(Object.keys(campaigns))).map((some): PeopleStory => ({ why: '', campaigns, buyers, steps: some })),
  )

const oneAfterTheOther = storyWith((lead) =>
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: lead },
      { weight: 2, arbitrary: fc.constantFrom(...PASSING).map((after) => ({ after })) },
      { weight: 1, arbitrary: fc.constant({ hot: 'lost' } as const) },
    ),
    { minLength: 3, maxLength: 9 },
  ),
)

test('150 random histories of leads end by the rules alone as they do through intake', async () => {
  const said = new Set<string>()
  await fc.assert(
    fc.asyncProperty(oneAfterTheOther, async (story) => {
      const byRules = playPeopleOnRules(story)
      expect(await playPeople(story, paperStores())).toEqual(byRules)
      for (const words of byRules.flat()) said.add(words.split(' ').at(-1)!)
    }),
    { numRuns: 150 },
  )
  for (const word of ['duplicate', 'buyer_duplicate', 'sold', 'unsold', 'pending']) expect([...said]).toContain(word)
})

test('25 of them end so on Redis and Postgres too', async () => {
  const prefix = `t${randomBytes(4).toString('hex')}:`
  const [kit, redis] = [await LedgerKit.open(), new Redis(inject('redisUrl'))]
  const hot = await openRedisStore({ url: inject('redisUrl'), prefix })
  const { ledger } = await kit.engine()
  const forget = async () => {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
      if (keys.length > 0) await redis.unlink(...keys)
    }
  }
  const lose = async (snapshot: Snapshot, clock: Clock) => {
    await forget()
    await new Rebuild({ pool: kit.pool, hot, clock, snapshots: () => [snapshot], log: () => {} }).makeWarm()
  }
  try {
    await fc.assert(
      fc.asyncProperty(oneAfterTheOther, async (story) => {
        await kit.ask('truncate leads, lead_keys, intents, sightings')
        expect(await playPeople(story, { hot, ledger, lose })).toEqual(playPeopleOnRules(story))
      }),
      { numRuns: 25 },
    )
  } finally {
    await forget()
    await redis.quit()
    await hot.close()
    await kit.close()
  }
}, 60_000)

const atOnce = storyWith((lead) => fc.array(lead, { minLength: 2, maxLength: 5 }).map((together) => [{ together }]))

/** One lead's end, in the order in which the leads were decided. */
interface Ended {
  readonly row: FinalRow
  readonly prints: readonly string[]
  readonly level: number
  readonly had: ReadonlySet<string>
  readonly asked: ReadonlySet<string>
}

test('150 random crowds of twins are decided one after the other, and nobody gets a person against the rules', async () => {
  await fc.assert(
    fc.asyncProperty(atOnce, fc.array(fc.nat(4), { minLength: 12, maxLength: 12 }), async (story, waits) => {
      const snapshot = compilePeople(story)
      const stores = paperStores()
      await stores.lose(snapshot, new JumpingClock())
      const ends = new Map<string, FinalRow>()
      const printsOf = (leadId: string) => stores.ledger.paper.leads.get(leadId)!.received.fingerprints
      const underWay = new Set<string>()
      const met: string[] = []
      let turn = 0
      const ports = peoplePorts(story, snapshot, new JumpingClock(), stores, ends, (leadId, answer) => {
        for (const other of underWay) {
          if (ends.has(other)) underWay.delete(other)
          else if (other !== leadId && printsOf(other).some((one) => printsOf(leadId).includes(one)))
            met.push(`${leadId} while ${other}`)
        }
        underWay.add(leadId)
        setTimeout(answer, waits[turn++ % waits.length])
      })
      const [{ together }] = story.steps as [{ together: PeopleLead[] }]
      await Promise.all(together.map((lead) => takeLead(ports, requestOf(lead))))
      expect(met).toEqual([])
      expect(ends.size).toBe(together.length)
      expectLawful(
        snapshot,
        [...ends.values()].map((row) => endedOf(snapshot, row, printsOf(row.leadId))),
      )
    }),
    { numRuns: 150 },
  )
}, 60_000)

function endedOf({ campaigns, sources }: Snapshot, row: FinalRow, prints: readonly string[]): Ended {
  const { trace } = row.final!
  if (trace === '') return { row, prints, level: 0, had: new Set(), asked: new Set() }
  const { state } = replay(auctionTerms(campaigns.get(row.campaign)!, sources.get(row.source)!), JSON.parse(trace))
  const seats = seatEnds(state)
  const had = new Set(seats.filter((seat) => seat.had).map((seat) => seat.buyer))
  const asked = new Set(seats.filter((seat) => seat.asked).map((seat) => seat.buyer))
  return { row, prints, level: had.size > 0 ? 3 : asked.size > 0 ? 2 : 1, had, asked }
}

/** Each lead against those that were decided before it: all of one moment, so that every window is open. */
function expectLawful({ campaigns, buyers }: Snapshot, ended: readonly Ended[]): void {
  ended.forEach((one, at) => {
    if (one.level === 0) return
    const { duplicates } = campaigns.get(one.row.campaign)!
    for (const earlier of ended.slice(0, at)) {
      // These leads have every field, so a fingerprint's place is that of its key.
      const shares = (keys: ReadonlySet<number>) => [...keys].some((key) => one.prints[key] === earlier.prints[key])
      const same = earlier.row.campaign === one.row.campaign && shares(duplicates.campaignAt)
      if (same && !duplicates.rule.toOthers) expect(earlier.level).toBeLessThan(duplicates.rule.level)
      for (const rule of duplicates.buyers.filter(({ buyer }) => one.asked.has(buyer))) {
        const level = same && duplicates.rule.toOthers ? duplicates.rule.level : null
        for (const [counts, applies] of [[rule.level, shares(rule.at)] as const, [level, level !== null] as const]) {
          if (!applies) continue
          const having = counts === 3 ? earlier.had : earlier.asked
          const groups = [...having].map((id) => buyers.get(id)!.group)
          expect(groups).not.toContain(rule.group)
        }
      }
    }
  })
}
