/** The scripted buyers themselves: seeded tempers, idempotent posts, and a record that holds every post before its reply. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type BuyerConfig, type MockBuyers, startMockBuyers } from '../bench/mock-buyer.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { contractAt, factsOf, HandClock, LOOPBACK, pingOf, postOf } from './buyers-kit.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gavelpost-mock-'))
let mock: MockBuyers | null = null
let wire: OpenBuyersWire | null = null

afterEach(async () => {
  await wire?.close()
  await mock?.close()
  wire = null
  mock = null
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

async function start(buyers: Readonly<Record<string, BuyerConfig>>, record?: string, seed = 1): Promise<MockBuyers> {
  mock = await startMockBuyers({ buyers, seed, ...(record ? { record } : {}) })
  wire = createBuyersWire({ clock: new HandClock(), allowedCidrs: LOOPBACK })
  return mock
}

function recordOf(file: string): Record<string, unknown>[] {
  const lines = fs.readFileSync(file, 'utf8').split('\n')
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('a scripted buyer', () => {
  it('draws the same bids, refusals and faults from the same seed', async () => {
    const acme: BuyerConfig = { ping: { bid: { from: '1.00', to: '9.99' }, noBid: 0.3, faults: { 503: 0.2 } } }
    const runs: string[] = []
    for (const seed of [5, 5, 6]) {
      const { url } = await start({ acme }, undefined, seed)
      const said: unknown[] = []
      for (let i = 0; i < 30; i++) said.push(await pingOf(wire!, contractAt(url)))
      runs.push(JSON.stringify(said))
      await wire!.close()
      await mock!.close()
    }
    expect(runs[0]).toBe(runs[1])
    expect(runs[0]).not.toBe(runs[2])
    expect(runs[0]).toContain('http_503')
    expect(runs[0]).toContain('no_bid:not_interested')
    expect(runs[0]).toContain('"kind":"bid"')
  })

  it('waits as its latency says', async () => {
    const { url } = await start({ slow: { ping: { latency: { median: 40, sigma: 0.2, max: 60 } } } })
    const began = performance.now()
    await pingOf(wire!, contractAt(url, { id: 'slow' }))
    expect(performance.now() - began).toBeGreaterThan(15)
  })

  it('that nobody scripted is not there, unless everybody is', async () => {
    const { url } = await start({ acme: {} })
    expect(await pingOf(wire!, contractAt(url, { id: 'bolt' }))).toEqual({ kind: 'noBid', reason: 'http_404' })
  })

  it('takes a lead once: the same key is told the same again, even what got lost the first time', async () => {
    const record = path.join(folder, 'repeat.jsonl')
    const { url } = await start({ acme: { post: { faults: { reset_at_accept: 1 } } } }, record)
    const contract = contractAt(url)
    expect(await postOf(wire!, contract).end).toEqual({ kind: 'unknown', reason: 'reset' })
    const again = { kind: 'accepted', price: null, buyerReference: 'ACME-1', redirectUrl: null }
    expect(await postOf(wire!, contract).end).toEqual(again)
    const lines = recordOf(record)
    expect(lines).toMatchObject([
      { buyer: 'acme', contract: 'acme', answer: 'accepted', how: 'reset', buyer_reference: 'ACME-1', repeat: false },
      { buyer: 'acme', contract: 'acme', answer: 'accepted', how: 'reply', buyer_reference: 'ACME-1', repeat: true },
    ])
  })

  it('records each post before it answers, with what a verifier compares', async () => {
    const record = path.join(folder, 'posts.jsonl')
    const rejecting: BuyerConfig = { post: { accept: 0, rejectReasons: ['bad_zip'] } }
    const { url } = await start(
      { acme: { post: { price: { fixed: '17.25' } } }, bolt: rejecting, crane: { post: { faults: { 404: 1 } } } },
      record,
    )
    for (const [id, answer] of [
      ['acme', 'accepted'],
      ['bolt', 'rejected'],
      ['crane', 'rejected'],
    ] as const) {
      const contract = contractAt(url, { id })
      const facts = factsOf(contract)
      const before = Date.now()
      const end = await postOf(wire!, contract, undefined, facts).end
      const line = recordOf(record).at(-1)!
      expect(end.kind).toBe(answer)
      expect(line).toMatchObject({ buyer: id, contract: id, answer, key: facts.idempotencyKey, price: '18.50' })
      expect(line['lead_id']).toBe(facts.idempotencyKey.split(':')[0])
      expect(Math.abs(Number(line['at']) - before)).toBeLessThan(2_000)
    }
  })
})

describe('the program', () => {
  it('says where it listens, serves its config, and ends on SIGTERM with its record whole', async () => {
    const config = path.join(folder, 'buyers.json')
    const record = path.join(folder, 'cli.jsonl')
    fs.writeFileSync(config, JSON.stringify({ buyers: { acme: { ping: { bid: { fixed: '22.00' } } } } }))
    const program = path.join(import.meta.dirname, '../bench/buyer-sim.ts')
    const child = spawn(process.execPath, [program, '--port', '0', '--config', config, '--record', record], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((done) => child.once('exit', done))
    const ready = await new Promise<string>((said) =>
      child.stdout.once('data', (data: Buffer) => said(data.toString())),
    )
    expect(ready).toMatch(/^ready http:\/\/127\.0\.0\.1:\d+\n$/)
    wire = createBuyersWire({ clock: new HandClock(), allowedCidrs: LOOPBACK })
    const contract = contractAt(ready.slice(6).trim())
    expect(await pingOf(wire, contract)).toMatchObject({ kind: 'bid', price: 22_000_000 })
    expect(await postOf(wire, contract).end).toMatchObject({ kind: 'accepted', buyerReference: 'ACME-1' })
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(recordOf(record)).toHaveLength(1)
  })

  it('ends with its parent where it is told to', async () => {
    const program = path.join(import.meta.dirname, '../bench/buyer-sim.ts')
    const child = spawn(process.execPath, [program, '--port', '0', '--until-stdin-ends'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = new Promise((done) => child.once('exit', done))
    await new Promise((said) => child.stdout.once('data', said))
    child.stdin.end()
    expect(await ended).toBe(0)
  })
})
