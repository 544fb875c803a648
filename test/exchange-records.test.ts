/** Records of exchanges: what is read is what was written, whatever was said; what waits is bounded, and what is lost is counted. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { HEARD_MOST, SENT_MOST, Tape } from '../buyers/tape.ts'
import { Exchanges, type KeeperSettings } from '../engine/exchanges/keeper.ts'
import { keyOf, leadExchanges } from '../engine/exchanges/proof.ts'
import { readRecord, writeRecord } from '../engine/exchanges/record.ts'
import { newId } from '../engine/random.ts'
import { dropOldPings } from '../engine/retention.ts'
import { PLAIN } from '../rules/delivery.ts'
import { ms, wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import { contractAt } from './buyers-kit.ts'
import { idAt, LedgerKit, received, sealer, clock as systemClock } from './ledger-kit.ts'

const TOKEN = 'tok-ä-1234567'
const AUTH = { kind: 'bearer', token: TOKEN } as const
const PLAIN_ONES = ['acme', 'bolt'].map((id) => contractAt('http://127.0.0.1:1', { id }))
const SECRETIVE = contractAt('http://127.0.0.1:1', { id: 'crow', delivery: { post: { ...PLAIN, auth: AUTH } } })

const AT = 1_772_467_200_123

/** A tape of these chunks, a text is what undici writes as latin1. */
function taped(
  kind: Tape['kind'],
  contract: Contract,
  sent: readonly (string | Uint8Array)[],
  heard: readonly Uint8Array[],
  end: string | null = 'whole',
  at = AT,
): Tape {
  const tape = new Tape(kind, contract, wallMs(at), ms(0))
  for (const chunk of sent) tape.send(chunk)
  for (const chunk of heard) tape.hear(chunk)
  if (end !== null) tape.finish(end, ms(12.4))
  return tape
}

const joined = (chunks: readonly (string | Uint8Array)[]): string =>
  chunks.map((one) => (typeof one === 'string' ? one : Buffer.from(one).toString('latin1'))).join('')

describe('a record', () => {
  it('gives back every byte of every exchange', () => {
    const bytes = fc.oneof(
      { weight: 5, arbitrary: fc.uint8Array({ maxLength: 200 }) },
      {
        weight: 5,
        arbitrary: fc
          .constantFrom('HTTP/1.1 200 OK\r\n\r\n', '\r\n\r\n', 'abcabcabc', '\t\n')
          .map((text) => Buffer.from(text)),
      },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: HEARD_MOST - 5, maxLength: HEARD_MOST + 50, size: 'max' }) },
    )
    const exchange = fc.tuple(
      fc.constantFrom<Tape['kind']>('ping', 'post'),
      fc.constantFrom(...PLAIN_ONES),
      fc.array(fc.oneof(bytes, fc.constant('POST /acme HTTP/1.1\r\nhost: x\r\n\r\n')), { maxLength: 4 }),
      fc.array(bytes, { maxLength: 4 }),
      fc.constantFrom('whole', 'timeout', null),
    )
    fc.assert(
      fc.property(fc.array(exchange, { maxLength: 8 }), (exchanges) => {
        const read = readRecord(
          writeRecord(
            exchanges.map((one) => taped(...one)),
            'retry',
          ),
        )
        expect(read).toEqual(
          exchanges.map(([kind, contract, sent, heard, end]) => ({
            ...{ kind: kind === 'ping' ? 'ping' : 'retry', contract: contract.id, buyer: 'acme', end },
            ...{ at: AT, tookMs: end === null ? 0 : 12 },
            ...{ sent: joined(sent).slice(0, SENT_MOST), sentBytes: joined(sent).length },
            ...{ heard: joined(heard).slice(0, HEARD_MOST), heardBytes: joined(heard).length },
          })),
        )
      }),
      { numRuns: 300 },
    )
  })

  it('has stars for the credentials of its contract, wherever they stand', () => {
    const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8')
    const inUrl = encodeURIComponent(TOKEN)
    const sent = [
      utf8(`POST /?k=${inUrl}&j=${inUrl} HTTP/1.1\r\nauthorization: Bearer ${TOKEN}\r\n\r\n{"k":"${TOKEN}"}`),
    ]
    const [read] = readRecord(writeRecord([taped('post', SECRETIVE, sent, [utf8(`who is ${TOKEN}${TOKEN}?`)])], 'post'))
    expect(read!.sent).toBe('POST /?k=*****&j=***** HTTP/1.1\r\nauthorization: Bearer *****\r\n\r\n{"k":"*****"}')
    expect(read!.heard).toBe('who is **********?')
  })

  it('of ten buyers who are told nearly the same is a fraction of what went over the wire', () => {
    const body = JSON.stringify({
      fields: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`field${i}`, `value ${i}`])),
    })
    const tapes = Array.from({ length: 10 }, (_, i) =>
      taped(
        'ping',
        { ...PLAIN_ONES[0]!, id: `buyer-${i}` },
        [`POST /buyer-${i} HTTP/1.1\r\nhost: x\r\n\r\n`, Buffer.from(`{"id":"${i}",${body}`)],
        [],
      ),
    )
    expect(writeRecord(tapes, 'post').length).toBeLessThan(tapes.reduce((sum, { sentBytes }) => sum + sentBytes, 0) / 4)
  })
})

describe('the keeper', () => {
  let kit: LedgerKit
  let lost: Record<'ping' | 'post', number>
  const open: Exchanges[] = []
  beforeAll(async () => {
    kit = await LedgerKit.open()
  })
  beforeEach(() => {
    lost = { ping: 0, post: 0 }
  })
  afterAll(async () => {
    await Promise.all(open.map((one) => one.stop()))
    await kit.close()
  })

  function keeper(more: Partial<KeeperSettings> = {}): Exchanges {
    const metrics = {
      exchangesLost: (kind: 'ping' | 'post', n: number): void => {
        lost[kind] += n
      },
    }
    const made = new Exchanges({
      ...{ url: kit.url, clock: systemClock, metrics, pings: true, log: () => {} },
      keyOf: (leadId) => keyOf(kit.db, sealer, leadId),
      ...more,
    })
    open.push(made)
    return made
  }

  /** A lead in the ledger with its key. */
  async function lead(leadId = newId()) {
    const engine = await kit.engine()
    const key = sealer.newKey(leadId)
    const { wrappedKey, keyVersion } = key
    await engine.ledger.received({ ...received({ leadId }), sealed: key.seal('x'), wrappedKey, keyVersion })
    return { leadId, key }
  }

  let began = AT
  const post = (text: string, end: string | null = 'whole') => taped('post', PLAIN_ONES[0]!, [text], [], end, began++)
  const ping = (text: string, end: string | null = 'whole') => taped('ping', PLAIN_ONES[1]!, [text], [], end, began++)
  const kept = async (leadId: string) => (await leadExchanges(kit.db, sealer, leadId))!.exchanges
  const keptTexts = async (leadId: string) => (await kept(leadId)).map(({ sent, end }) => `${sent.text} ${end}`)

  it('writes posts as they end and pings when their lead is over; of an exchange that ends later the end counts', async () => {
    const { leadId, key } = await lead()
    const exchanges = keeper()
    const one = exchanges.of(leadId, key)
    const [silent, quick] = [ping('silent', null), ping('quick')]
    for (const tape of [silent, quick]) one.began(tape)
    one.ended(post('first'))
    await expect.poll(() => keptTexts(leadId)).toEqual(['first whole'])
    one.over()
    await expect.poll(async () => (await keptTexts(leadId)).sort()).toContain('silent under way')
    silent.finish('timeout', ms(30_000))
    one.ended(silent)
    await exchanges.stop()
    expect(await keptTexts(leadId)).toContain('silent timeout')
    expect(await kept(leadId)).toHaveLength(3)
    expect(lost).toEqual({ ping: 0, post: 0 })
  })

  it('keeps no pings where they are switched off', async () => {
    const { leadId, key } = await lead()
    const exchanges = keeper({ pings: false })
    const one = exchanges.of(leadId, key)
    expect(one.wantsPings).toBe(false)
    one.ended(post('only'))
    one.over()
    await exchanges.stop()
    expect(await keptTexts(leadId)).toEqual(['only whole'])
  })

  it('drops pings where half of its room is taken and posts where all of it is, and counts them', async () => {
    const { leadId, key } = await lead()
    const exchanges = keeper({ most: 1_000 })
    const one = exchanges.of(leadId, key)
    one.ended(post('x'.repeat(450)))
    one.began(ping('y'.repeat(100)))
    one.over()
    expect(lost).toEqual({ ping: 1, post: 0 })
    one.ended(post('z'.repeat(500)))
    one.ended(post('w'.repeat(100)))
    expect(lost).toEqual({ ping: 1, post: 1 })
    await exchanges.stop()
    expect(await kept(leadId)).toHaveLength(2)
  })

  it('waits for a Postgres that is away, and loses nothing', async () => {
    const { leadId, key } = await lead()
    const said: string[] = []
    const exchanges = keeper({ log: (text) => void said.push(text) })
    await kit.ask('alter table post_exchanges rename to post_exchanges_away')
    await kit.ask(`create view post_exchanges as select * from post_exchanges_away where false`)
    await kit.ask(
      `create rule no as on insert to post_exchanges do instead select pg_terminate_backend(pg_backend_pid())`,
    )
    exchanges.of(leadId, key).ended(post('patient'))
    await expect.poll(() => said.join()).toContain('exchanges wait for Postgres')
    expect(exchanges.waiting).toBe(1)
    await kit.ask('drop view post_exchanges')
    await kit.ask('alter table post_exchanges_away rename to post_exchanges')
    await expect.poll(() => keptTexts(leadId), { timeout: 10_000 }).toEqual(['patient whole'])
    expect(lost).toEqual({ ping: 0, post: 0 })
  })

  it('loses a row that the ledger has no day for, and that one alone', async () => {
    const { leadId, key } = await lead()
    const exchanges = keeper()
    const old = idAt(Date.now() - 300 * 86_400_000)
    exchanges.of(old, sealer.newKey(old)).ended(post('lost'))
    exchanges.of(leadId, key).ended(post('found'))
    await exchanges.stop()
    expect(await keptTexts(leadId)).toEqual(['found whole'])
    expect(lost).toEqual({ ping: 0, post: 1 })
  })

  it('forgets pings after their days, and no post with them', async () => {
    const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10)
    await kit.ask('select make_partitions($1::date, $2::date)', [day(-32), day(-29)])
    const { leadId, key } = await lead(idAt(Date.now() - 31 * 86_400_000))
    const exchanges = keeper()
    const one = exchanges.of(leadId, key)
    one.ended(post('stays'))
    one.began(ping('goes'))
    one.over()
    await exchanges.stop()
    expect(await kept(leadId)).toHaveLength(2)
    const dropped = await dropOldPings(kit.db, Date.now(), 30)
    expect(dropped).toEqual([day(-32), day(-31)])
    await kit.ask('select make_partitions($1::date, $2::date)', [day(-1), day(8)])
    expect(await dropOldPings(kit.db, Date.now(), 30)).toEqual([])
    expect(await keptTexts(leadId)).toEqual(['stays whole'])
  })

  it('seals under the key of the lead: with another it does not open', async () => {
    const { leadId, key } = await lead()
    const sealed = key.sealExchanges(randomBytes(50))
    expect(() => sealer.newKey(leadId).openExchanges(sealed)).toThrow()
    expect(key.openExchanges(sealed)).toHaveLength(50)
  })
})
