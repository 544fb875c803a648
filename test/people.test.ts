/** Duplicates as stories: on the rules alone, through intake in this process, and on Redis and Postgres. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Clock } from '../buyers/wire.ts'
import { importList } from '../engine/lists/import.ts'
import { Lists } from '../engine/lists/lists.ts'
import { Rebuild } from '../engine/rebuild.ts'
import { createSealer } from '../engine/seal.ts'
import { openRedisStore, type RedisStore } from '../engine/store/redis.ts'
import type { ListSpec } from '../rules/suppression.ts'
import type { Snapshot } from '../rules/version.ts'
import { LedgerKit } from './ledger-kit.ts'
import { JumpingClock, linesOf, type PeopleStory, playPeople, readPeople } from './world/people.ts'
import { playPeopleOnRules } from './world/people-rules.ts'
import { paperStores } from './world/people-stores.ts'

const stories = readPeople()

const wanted = ({ steps }: PeopleStory): (readonly string[])[] =>
  steps
    .flatMap((step) => ('together' in step ? step.together : 'expect' in step ? [step] : []))
    .map(({ expect: one }) => one)

describe('by the rules alone', () => {
  test.each(stories)('$name', ({ story }) => {
    expect(playPeopleOnRules(story)).toEqual(wanted(story))
  })
})

describe('through intake, on stores in this process', () => {
  test.each(stories)('$name', async ({ story }) => {
    expect(await playPeople(story, paperStores())).toEqual(wanted(story))
  })
})

describe('through intake, on Redis and Postgres', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gavelpost-lists-'))
  const prefix = `t${randomBytes(4).toString('hex')}:`
  let kit: LedgerKit
  let hot: RedisStore
  let redis: Redis

  beforeAll(async () => {
    kit = await LedgerKit.open()
    hot = await openRedisStore({ url: inject('redisUrl'), prefix })
    redis = new Redis(inject('redisUrl'))
  })

  afterAll(async () => {
    await forget()
    await redis.quit()
    await hot.close()
    await kit.close()
    rmSync(folder, { recursive: true })
  })

  async function forget(): Promise<void> {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
      if (keys.length > 0) await redis.unlink(...keys)
    }
  }

  test.each(stories)('$name', async ({ story }) => {
    await kit.ask('truncate leads, lead_keys, intents, sightings')
    const { ledger } = await kit.engine()
    const lose = async (snapshot: Snapshot, clock: Clock) => {
      await forget()
      await new Rebuild({ pool: kit.pool, hot, clock, snapshots: () => [snapshot], log: () => {} }).makeWarm()
    }
    expect(await playPeople(story, { hot, ledger, lose, lists: await listsOf(story) })).toEqual(wanted(story))
    for (const { key, value } of await everything()) expect(`${key} ${value}`).not.toMatch(/555|person|example/)
  })

  /** Lists as production has them: some from the ledger, some from files. */
  async function listsOf(story: PeopleStory): Promise<Lists> {
    const clock = new JumpingClock()
    const masters = new Map([[1, Buffer.alloc(32, 9)]])
    const seal = createSealer(masters)
    const lists = new Lists({ db: kit.db, clock, seal, masters, log: () => {} })
    const specs = new Map<string, ListSpec>()
    for (const [at, [name, list]] of Object.entries(story.lists ?? {}).entries()) {
      const path = join(folder, `${name}.csv`)
      writeFileSync(path, ['entry,added', ...linesOf(list).map((line) => `"${line}",2026-03-02`)].join('\r\n'))
      const spec = { of: list.of, hash: list.hash ?? null }
      if (at % 2 === 0) await importList(kit.db, seal, { name, path, ...spec }, () => {})
      specs.set(name, { ...spec, file: at % 2 === 0 ? null : path })
    }
    await lists.load({ lists: specs })
    return lists
  }

  /** Nothing that is hot says who anybody is. */
  async function everything(): Promise<{ key: string; value: string }[]> {
    const found: { key: string; value: string }[] = []
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
      for (const key of keys as string[]) {
        const type = await redis.type(key)
        const value = type === 'hash' ? await redis.hgetall(key) : type === 'string' ? await redis.get(key) : null
        found.push({ key, value: JSON.stringify(value) })
      }
    }
    return found
  }
})

test('a story says in one sentence why it is told', () => {
  for (const { name, story } of stories) expect(story.why, name).toMatch(/^[A-Z].{20,}\.$/)
})
