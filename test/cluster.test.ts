/** A primary with real worker processes: one port, restarts, drains, orphans. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../engine/clock.ts'
import { type Primary, runPrimary } from '../engine/cluster.ts'
import type { Log } from '../engine/log.ts'
import { type MetricsJson, mergedText } from '../engine/metrics.ts'

const ENTRY = new URL('cluster-kit/worker.ts', import.meta.url).pathname

const primaries: Primary[] = []
afterEach(async () => {
  for (const primary of primaries.splice(0)) await primary.stop()
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function start(variables: Record<string, string> = {}, graceMs = 10_000) {
  const port = await freePort()
  const events: { event: string; child?: number }[] = []
  const log: Log = (event, fields) => void events.push({ event, ...fields })
  const primary = await runPrimary({
    workers: 2,
    host: '127.0.0.1',
    port,
    clock: systemClock(),
    log,
    graceMs,
    entry: ENTRY,
    variables: { PORT: String(port), ...variables },
  })
  primaries.push(primary)
  return { primary, port, events }
}

/** Answered by whichever worker the connection falls to. */
async function lead(port: number, query = ''): Promise<{ pid: number; reloads: number }> {
  const reply = await fetch(`http://127.0.0.1:${port}/v1/leads/a${query}`, { headers: { connection: 'close' } })
  return (await reply.json()) as { pid: number; reloads: number }
}

const pidsOf = async (primary: Primary): Promise<number[]> =>
  (await primary.ask('status')).map((status) => (status as { pid: number }).pid)

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** For what tells nobody: looks again every few milliseconds. */
async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await happened())) await new Promise((resolve) => setTimeout(resolve, 10))
}

describe('several workers', () => {
  it('share the port, and their metrics are one page', async () => {
    const { primary, port } = await start()
    const pids = await pidsOf(primary)
    expect(new Set(pids).size).toBe(2)
    const seen = new Set<number>()
    let leads = 0
    await until(async () => {
      seen.add((await lead(port)).pid)
      leads++
      return seen.size === 2
    })
    const page = await mergedText((await primary.ask('metrics')) as MetricsJson[])
    expect(page).toContain(`gavelpost_leads_total{status="sold"} ${leads}\n`)
  })

  it('are replaced when they die, while the others go on', async () => {
    const { primary, port, events } = await start()
    const [killed] = await pidsOf(primary)
    process.kill(killed!, 'SIGKILL')
    await until(() => events.some(({ event, child }) => event === 'worker_ended' && child === killed))
    expect((await lead(port)).pid).not.toBe(killed)
    await until(() => events.filter(({ event }) => event === 'worker_ready').length === 3)
    const pids = await pidsOf(primary)
    expect(pids).toHaveLength(2)
    expect(pids).not.toContain(killed)
  })

  it('reload when told, and end after their last answer', async () => {
    const { primary, port, events } = await start()
    primary.reload()
    await until(async () => (await lead(port)).reloads === 1)
    const late = lead(port, '?late=500')
    await until(async () => (await primary.ask('status')).some((status) => (status as { pending: number }).pending > 0))
    await primary.stop()
    expect((await late).pid).toBeGreaterThan(0)
    const ended = events.filter(({ event }) => event === 'worker_ended')
    expect(ended.map((one) => (one as { code?: number }).code)).toEqual([0, 0])
    await expect(lead(port)).rejects.toThrow()
  })

  it('are killed where they do not end in time', async () => {
    const { primary, port, events } = await start({}, 200)
    const late = lead(port, '?late=60000').catch(() => 'cut')
    await until(async () => (await primary.ask('status')).some((status) => (status as { pending: number }).pending > 0))
    await primary.stop()
    expect(await late).toBe('cut')
    expect(events.some((one) => (one as { signal?: string }).signal === 'SIGKILL')).toBe(true)
  })

  it('drain by themselves when their primary is killed', async () => {
    const port = await freePort()
    const program = new URL('cluster-kit/primary.ts', import.meta.url).pathname
    const primary = spawn(process.execPath, [program], { env: { ...process.env, PORT: String(port) } })
    const [line] = await once(primary.stdout, 'data')
    const pids = JSON.parse(String(line)) as number[]
    expect(pids).toHaveLength(2)
    const late = lead(port, '?late=500')
    await until(async () => (await lead(port)).pid > 0)
    primary.kill('SIGKILL')
    expect(pids).toContain((await late).pid)
    await until(() => !pids.some(isAlive))
  })
})

describe('a primary', () => {
  it('gives up where its workers cannot start, and leaves none behind', async () => {
    await expect(start({ FAIL: '1' })).rejects.toThrow('ended with code 4 before it was ready')
  })

  it('refuses a port that another program has', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const options = {
      workers: 1,
      host: '127.0.0.1',
      port,
      clock: systemClock(),
      log: () => {},
      graceMs: 1,
      entry: ENTRY,
    }
    await expect(runPrimary(options)).rejects.toThrow('another program has this port')
    server.close()
  })
})
