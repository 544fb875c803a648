/** The bench measures what it says: its load generator, its figures, and a short run of all rivals against real stores. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { type Acknowledgement, closedLoop, openLoop, recordTo } from '../bench/load.ts'
import type { Measured } from '../bench/measure.ts'
import { figuresOf, verdictsOf } from '../bench/report.ts'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** A target that answers as told, for as long as the test lasts. */
async function target(answer: (request: IncomingMessage, response: ServerResponse, body: string) => void) {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    answer(request, response, body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/campaigns/solar/leads`
}

function reply(response: ServerResponse, status: number, body: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    .end(body)
}

function* numbered(): Generator<string> {
  for (let at = 0; ; at++) yield JSON.stringify({ lead_ref: `S-${at}`, first_name: 'Zoë' })
}

describe('load', () => {
  it('keeps so many leads in flight, sends each once with the key, and counts answers by what they say', async () => {
    const seen: string[] = []
    let open = 0
    let most = 0
    const url = await target((request, response, body) => {
      most = Math.max(most, ++open)
      expect(request.headers.authorization).toBe('Bearer k1')
      seen.push((JSON.parse(body) as { lead_ref: string }).lead_ref)
      setImmediate(() => {
        open--
        if (seen.length % 5 === 0) reply(response, 503, '{"status":503}')
        else reply(response, 200, `{"lead_id":"${seen.length}","status":"sold","payout":"1.00"}`)
      })
    })
    const result = await closedLoop({ url, key: 'k1', leads: numbered(), inFlight: 4, total: 50 })
    expect(result).toMatchObject({ sent: 50, decided: 40, errors: 0, answers: { '200 sold': 40, '503': 10 } })
    expect(new Set(seen).size).toBe(50)
    expect(most).toBeLessThanOrEqual(4)
    expect(result.latencyMs.p50).toBeGreaterThan(0)
  })

  it('measures an open loop from the moment each lead was due, so that a stall shows', async () => {
    let stalled = false
    const url = await target((_request, response) => {
      if (!stalled) {
        stalled = true
        const until = performance.now() + 300
        while (performance.now() < until) {
          // The server's only thread does nothing else: everybody waits.
        }
      }
      reply(response, 200, '{"status":"sold"}')
    })
    const result = await openLoop({
      url,
      key: 'k',
      leads: numbered(),
      perSecond: 200,
      seconds: 0.6,
      arrivals: 'uniform',
    })
    expect(result.decided).toBe(result.sent)
    expect(result.sent).toBeGreaterThan(100)
    // Half of the leads were due while the server stalled: a median that does not show it would be a lie.
    expect(result.latencyMs.p50).toBeGreaterThan(20)
    expect(result.latencyMs.max).toBeGreaterThan(250)
  })

  it('sends Poisson arrivals at the rate asked for', async () => {
    const url = await target((_request, response) => reply(response, 200, '{"status":"sold"}'))
    const result = await openLoop({ url, key: 'k', leads: numbered(), perSecond: 400, seconds: 1, seed: 7 })
    expect(result.sent).toBeGreaterThan(300)
    expect(result.sent).toBeLessThan(500)
  })

  it('counts cut exchanges as errors and goes on', async () => {
    let requests = 0
    const url = await target((request, response) => {
      if (++requests % 3 === 0) request.socket.destroy()
      else reply(response, 200, '{"status":"sold"}')
    })
    const result = await closedLoop({ url, key: 'k', leads: numbered(), inFlight: 1, total: 9 })
    expect(result).toMatchObject({ sent: 9, decided: 6, errors: 3 })
  })

  it('records each acknowledgement as a JSON line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gavelpost-bench-test-'))
    stops.push(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'acknowledged.jsonl')
    const url = await target((_request, response) =>
      reply(response, 200, '{"lead_id":"0197","status":"sold","payout":"12.60"}'),
    )
    const recorder = recordTo(file)
    await closedLoop({ url, key: 'k', leads: numbered(), inFlight: 2, total: 3, record: recorder.record })
    await recorder.close()
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const acknowledged = lines.map((line) => JSON.parse(line) as Acknowledgement)
    expect(acknowledged).toHaveLength(3)
    expect(acknowledged[0]).toMatchObject({ lead_id: '0197', status: 'sold', payout: '12.60', http: 200 })
    expect(Math.abs(acknowledged[0]!.answered_at - Date.now())).toBeLessThan(60_000)
  })
})

describe('figures', () => {
  const latency = (p50: number, p99: number) => ({ p50, p90: p50, p99, p999: p99, max: p99, mean: p50 })
  const round = (cpuUs: number, at64: number, at128: number): Measured => ({
    cpuUs,
    perSecond: { 64: at64, 128: at128 },
    added: latency(2, 14),
    commit: latency(1, 3),
    openPerSecond: 100,
    soldShare: 1,
  })
  const rounds = {
    floor: [round(400, 2000, 2000), round(500, 2000, 2000), round(900, 2000, 2000)],
    engine: [round(600, 1500, 1200), round(750, 1500, 1200), round(800, 1500, 1200)],
    baseline: [round(700, 1200, 1000), round(700, 1200, 1000), round(700, 1200, 1000)],
  }

  it('are medians of the rounds, and the ratio to the baseline is the worse one', () => {
    expect(figuresOf(rounds)).toMatchObject({
      floor_us: 500,
      engine_us: 750,
      ratio_to_floor: 1.5,
      engine_per_s: 1200,
      baseline_per_s: 1000,
      ratio_to_baseline: 1.2,
      added_p50_ms: 2,
      added_p99_ms: 14,
      added_p99_less_commit_ms: 10,
    })
  })

  it('are held against the budgets', () => {
    const passed = Object.fromEntries(verdictsOf(figuresOf(rounds)).map(({ name, pass }) => [name, pass]))
    expect(passed).toEqual({
      ratio_to_floor: true,
      ratio_to_baseline: true,
      added_p50_ms: true,
      added_p99_less_commit_ms: true,
    })
    const slow = verdictsOf({ ratio_to_floor: 1.6, ratio_to_baseline: 0.9 })
    expect(slow.map(({ pass }) => pass)).toEqual([false, false])
  })
})

/** Runs the bench as `npm run bench` does, on the stores that the whole test run shares. */
async function bench(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['bench/main.ts', ...args], {
    env: { ...process.env, BENCH_DATABASE_URL: inject('databaseUrl'), BENCH_REDIS_URL: inject('redisUrl') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    said.stdout += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    said.stderr += String(chunk)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...said }
}

describe('npm run bench', () => {
  it('compares floor, engine and baseline, each selling every lead, and ends with one line of JSON', async () => {
    const { code, stdout, stderr } = await bench('floor', 'engine', 'baseline', '--short', '--seconds', '0.5', '--json')
    expect(code, stderr).toBe(0)
    const figures = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, number>
    const named = ['floor_us', 'engine_us', 'ratio_to_floor', 'baseline_per_s', 'engine_per_s', 'ratio_to_baseline']
    for (const name of [...named, 'added_p50_ms', 'added_p99_ms']) expect(figures[name], name).toBeGreaterThan(0)
    for (const rival of ['floor', 'engine', 'baseline']) expect(figures[`${rival}_sold_share`], rival).toBe(1)
    expect(stdout).toContain('ratio_to_floor')
  })

  it('measures alone what is named: eligibility, and what duplicates and lists keep in memory', async () => {
    const { code, stdout } = await bench('eligibility', 'duplicates', '--short', '--json')
    expect(code).toBe(0)
    const figures = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, number>
    expect(figures['eligibility_1000_us']).toBeGreaterThan(0)
    for (const name of ['prints_redis_mb', 'prints_in_process_mb', 'list_plain_s', 'list_mb'])
      expect(figures[name], name).toBeGreaterThan(0)
    expect(figures).not.toHaveProperty('floor_us')
  })

  it('says what it knows where it is asked for something else', async () => {
    const { code, stderr } = await bench('elegibility')
    expect(code).toBe(2)
    expect(stderr).toContain('there is no bench "elegibility"')
    expect(stderr).toContain('eligibility')
  })
})
