/** Measures what duplicates and suppression lists keep in memory, and how long a list takes to read. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Redis } from 'ioredis'
import { v7 as uuidv7 } from 'uuid'
import { readList } from '../engine/lists/reader.ts'
import { createSealer } from '../engine/seal.ts'
import { openRedisStore } from '../engine/store/redis.ts'
import { Claims } from '../rules/claims.ts'
import { PRINT_CHARS } from '../rules/duplicates.ts'
import { LEVELS, type Sighting } from '../rules/sightings.ts'
import { type ListSpec, NumberSet } from '../rules/suppression.ts'
import { wallMs } from '../rules/units.ts'
import { startRedis } from './redis.ts'
import { microsPer } from './timing.ts'

const WINDOW_MS = 90 * 86_400_000
const MILLION = 1_000_000
const AT_ONCE = 500
const BUYERS = ['helio', 'ridgeline', 'brightpath', 'suncrest-exchange', 'lumen']

/** By name as the report shows them; megabytes are of 10^6 bytes, for a million fingerprints or entries. */
export async function duplicates(prints: number): Promise<Readonly<Record<string, number>>> {
  return {
    prints_measured: prints,
    prints_redis_mb: await redisMegabytes(prints),
    prints_in_process_mb: inProcessMegabytes(prints),
    ...(await lists(prints)),
  }
}

/** A lead that was sold once and has two fingerprints. */
function soldLead(at: number): { readonly fingerprints: readonly string[]; readonly sighting: Sighting } {
  const leadId = uuidv7()
  const printOf = (what: string) =>
    `solar:${createHash('sha256').update(`${what}${at}`).digest('base64url').slice(0, PRINT_CHARS)}`
  const sold = [BUYERS[at % BUYERS.length]!]
  return {
    fingerprints: [printOf('phone'), printOf('email')],
    sighting: {
      ...{ leadId, campaign: 'solar', level: LEVELS.sold, sold, asked: [] },
      ...{ at: wallMs(Date.now()), keepMs: WINDOW_MS },
    },
  }
}

async function redisMegabytes(prints: number): Promise<number> {
  const server = await startRedis()
  const store = await openRedisStore({ url: server.url })
  const client = new Redis(server.url)
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))![1])
  try {
    const before = await used()
    for (let lead = 0; lead < prints / 2; lead += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, (_, at) => soldLead(lead + at))
      await Promise.all(
        some.map(({ fingerprints, sighting }) => store.unclaim(sighting.leadId, fingerprints, sighting)),
      )
    }
    return perMillion((await used()) - before, prints)
  } finally {
    client.disconnect()
    await store.close()
    await server.stop()
  }
}

function inProcessMegabytes(prints: number): number {
  const claims = new Claims()
  const before = heapUsed()
  for (let lead = 0; lead < prints / 2; lead++) {
    const { fingerprints, sighting } = soldLead(lead)
    claims.unclaim(sighting.leadId, fingerprints, sighting)
  }
  const after = heapUsed()
  // Still in use: what was measured must not have been collected.
  if (claims.seen === 0) throw new Error('the claims have forgotten everything')
  return perMillion(after - before, prints)
}

/** A plain list of phone numbers and one of hashed ones: read whole, and looked up. */
async function lists(entries: number): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'gavelpost-bench-'))
  const seal = createSealer(new Map([[1, Buffer.alloc(32, 1)]]))
  const phoneOf = (at: number) => String(2_122_000_000 + at * 7)
  const timed = async (name: string, spec: Pick<ListSpec, 'of' | 'hash'>, entryOf: (at: number) => string) => {
    const path = join(folder, name)
    writeFileSync(path, Array.from({ length: entries }, (_, at) => entryOf(at)).join('\n'))
    const began = performance.now()
    const { numbers } = await readList(path, spec, seal)
    return { numbers, seconds: ((performance.now() - began) / 1_000 / entries) * MILLION }
  }
  try {
    const plain = await timed('plain', { of: 'phone', hash: null }, phoneOf)
    const hashed = await timed('hashed', { of: 'phone', hash: 'sha256' }, (at) =>
      createHash('sha256').update(phoneOf(at)).digest('hex'),
    )
    const set = new NumberSet(plain.numbers)
    let at = 0
    return {
      list_plain_s: rounded(plain.seconds),
      list_hashed_s: rounded(hashed.seconds),
      list_mb: perMillion(plain.numbers.byteLength, plain.numbers.length),
      list_lookup_us: microsPer(50, () => {
        at += 7919
        set.has(at)
      }),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

const perMillion = (bytes: number, count: number): number => rounded(bytes / count)
const rounded = (value: number): number => Number(value.toPrecision(3))
