/** Installs a restoration in Redis while scripts of other processes go on: they find each tag shut until it is whole. */
import { randomUUID } from 'node:crypto'
import { type TagImage, tagImages } from '../../rules/caps.ts'
import { type HeldLock, type KeptSighting, LOCK_MS, printTag, scopeTag } from '../../rules/claims.ts'
import type { RedisLink } from './link.ts'
import type { Restoration } from './port.ts'
import { type KeyNames, sightedArgs } from './redis.ts'

/** Pairs in one install, and commands that wait for one another. */
const PART = 500
const AT_ONCE = 100
/** Leads whose sightings one script takes. */
const LEADS = 100

/**
 * Shuts every tag that exists or shall exist, fills those of the restoration, and opens them. Each restoration has a name of
 * its own in the tags it shut: of two that run at the same time the later one wins, and the earlier one throws.
 * Claims that Redis still has stay: a lock or a sale that came after the ledger was read must not be lost.
 */
export async function restoreRedis(link: RedisLink, keys: KeyNames, restoration: Restoration): Promise<void> {
  const connection = link.connection()
  const runId = await link.runId()
  const name = `${restoration.epoch}.${randomUUID()}`
  const images = tagImages(restoration)
  const claimTags = restoration.scopes.map(scopeTag)
  await shutAll(link, keys, name, new Set([...images.keys(), ...claimTags]))
  await inParts([...images], ([tag, image]) => installTag(link, keys, name, tag, image))
  for await (const page of restoration.sightings) await installSightings(link, keys, page)
  await installLocks(link, keys, restoration.locks)
  await inParts([...images.keys()], (tag) =>
    expectMine(link.script('open', [keys.of(tag)[0], name, String(restoration.epoch)])),
  )
  await inParts(claimTags, (tag) => openClaims(link, keys.claims(tag), name, restoration.epoch))
  await link.restored(restoration.epoch, runId, connection)
}

/** The list of tags is written before their keys and shortened after they are gone: no key is ever left without its tag. */
async function shutAll(link: RedisLink, keys: KeyNames, name: string, wanted: ReadonlySet<string>): Promise<void> {
  const known = await link.call((client) => client.smembers(keys.tags))
  const gone = known.filter((tag) => !wanted.has(tag))
  for (const part of chunks([...wanted], PART)) await link.call((client) => client.sadd(keys.tags, ...part))
  await inParts([...known, ...wanted], async (tag) => {
    if (tag.startsWith('f:')) await link.call((client) => client.set(keys.claims(tag), name))
    else await link.script('shut', [...keys.of(tag), name])
  })
  await inParts(gone, (tag) =>
    link.call((client) => client.del(tag.startsWith('f:') ? keys.claims(tag) : keys.of(tag)[0])),
  )
  for (const part of chunks(gone, PART)) await link.call((client) => client.srem(keys.tags, ...part))
}

async function installTag(link: RedisLink, keys: KeyNames, name: string, tag: string, image: TagImage): Promise<void> {
  const [caps, tokens, due] = keys.of(tag)
  const send = async (key: string, command: 'HSET' | 'ZADD', pairs: readonly [string, string][]): Promise<void> => {
    for (const part of chunks(pairs, PART)) {
      await expectMine(link.script('install', [caps, key, name, command, ...part.flat()]))
    }
  }
  await send(
    caps,
    'HSET',
    Array.from(image.used, ([key, used]) => [key, String(used)]),
  )
  await send(
    caps,
    'HSET',
    Array.from(image.limits, ([key, { version, limit }]) => [`#${key}`, `${version} ${limit}`]),
  )
  await send(
    caps,
    'HSET',
    Array.from(image.paid, ([key, { seq, total }]) => [`$${key}`, `${seq} ${total}`]),
  )
  await send(
    due,
    'ZADD',
    Array.from(image.forgetAt, ([key, at]) => [String(at), `k${key}`]),
  )
  await send(
    tokens,
    'HSET',
    Array.from(image.tokens, ([token, places]) => [
      token,
      places.reduce((entry, { key, amount, transient }) => `${entry} ${key} ${amount} ${transient ? 1 : 0}`, 'p'),
    ]),
  )
}

async function installSightings(link: RedisLink, keys: KeyNames, page: readonly KeptSighting[]): Promise<void> {
  const byTag = Map.groupBy(
    page.filter(({ fingerprints }) => fingerprints.length > 0),
    ({ fingerprints }) => printTag(fingerprints[0]!),
  )
  const parts = [...byTag.values()].flatMap((sightings) => chunks(sightings, LEADS))
  await inParts(parts, (part) =>
    link.script(
      'sighted',
      sightedArgs(
        keys,
        part.map((sighting) => ({ ...sighting, sighting })),
      ),
    ),
  )
}

/** A lock that stands was claimed after the ledger was read, or is the lead's own. */
async function installLocks(link: RedisLink, keys: KeyNames, locks: readonly HeldLock[]): Promise<void> {
  const each = locks.flatMap(({ leadId, fingerprints, since }) =>
    fingerprints.map((fingerprint) => ({ leadId, fingerprint, since })),
  )
  await inParts(each, ({ leadId, fingerprint, since }) => {
    const value = `${since + LOCK_MS} ${leadId} ${since}`
    return link.call((client) => client.set(keys.lock(fingerprint), value, 'PX', LOCK_MS, 'NX'))
  })
}

/** What was shut under this restoration's name is still so: a store that was emptied meanwhile stays cold. */
async function openClaims(link: RedisLink, key: string, name: string, epoch: number): Promise<void> {
  await expectMine(link.script('reopen', [key, name, String(epoch)]))
}

async function expectMine(reply: Promise<unknown>): Promise<void> {
  if ((await reply) !== 1) throw new Error('another restoration of the same Redis has overtaken this one')
}

async function inParts<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  for (const part of chunks(items, AT_ONCE)) await Promise.all(part.map(run))
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = []
  for (let i = 0; i < items.length; i += size) parts.push(items.slice(i, i + size))
  return parts
}
