/** Starts the processes of a bench run: the scripted buyers, and what is compared, whose CPU can be asked for. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { ADMIN_KEY, engineConfig } from './config.ts'
import { type CampaignBuyers, leadsPath } from './contender.ts'
import type { Stores } from './stores.ts'

export type RivalName = 'floor' | 'engine' | 'baseline'

export interface Rival {
  readonly name: RivalName
  /** Where a campaign's leads are posted to. */
  url(campaign: string): string
  /** CPU that its process has used so far, in microseconds, user and system. */
  cpuUs(): Promise<number>
  /** Its metrics as text; empty where it has none. */
  page(): Promise<string>
  stop(): Promise<void>
}

export interface ScriptedBuyers {
  readonly campaigns: CampaignBuyers
  /** Two campaigns: `beside` asks nine buyers, `asking` the same nine and a tenth. */
  neighbours(): Promise<CampaignBuyers>
  /** Makes the tenth answer, or say nothing from now on. */
  tenth(how: 'well' | 'hanging'): Promise<void>
  /** How long the buyers themselves made each lead wait, in milliseconds, of the leads since the last call. */
  waits(): Promise<ReadonlyMap<string, number>>
  stop(): Promise<void>
}

const READY_WITHIN_MS = 60_000
const END_WITHIN_MS = 15_000
const REDIS_NUMBERS = { engine: 13, floor: 14, baseline: 15 } as const

export async function startBuyers(): Promise<ScriptedBuyers> {
  const child = start('./buyers.ts', {})
  await ready('scripted buyers', child)
  return {
    campaigns: (await ask(child, 'campaigns')) as CampaignBuyers,
    neighbours: async () => (await ask(child, 'neighbours')) as CampaignBuyers,
    tenth: async (how) => void (await ask(child, how)),
    waits: async () => new Map((await ask(child, 'waits')) as [string, number][]),
    stop: () => end(child),
  }
}

/** Throws, with what the process said last, where it does not get ready. */
export async function startRival(name: RivalName, stores: Stores, campaigns: CampaignBuyers): Promise<Rival> {
  const shared = { DATABASE_URL: await stores.database(), REDIS_URL: await stores.redis(REDIS_NUMBERS[name]) }
  return name === 'engine' ? startEngine(shared, campaigns) : startContender(name, shared, campaigns)
}

async function startContender(name: RivalName, stores: object, campaigns: CampaignBuyers): Promise<Rival> {
  const child = start(`./${name}.ts`, { ...stores, PORT: '0', BUYERS: JSON.stringify(campaigns) })
  const [origin] = await ready(name, child)
  return {
    name,
    url: (campaign) => origin + leadsPath(campaign),
    cpuUs: async () => (await ask(child, 'cpu')) as number,
    page: async () => '',
    stop: () => end(child),
  }
}

async function startEngine(stores: object, campaigns: CampaignBuyers): Promise<Rival> {
  const folder = mkdtempSync(join(tmpdir(), 'gavelpost-bench-engine-'))
  const file = join(folder, 'bench.json')
  writeFileSync(file, engineConfig(campaigns))
  const child = start('../engine/main.ts', {
    ...stores,
    CONFIG: file,
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    DATA_DIR: join(folder, 'data'),
    GAVEL_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
    LOG_LEVEL: 'warn',
  })
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true })
  const [origin, admin] = await ready('engine', child).catch((error: Error) => {
    removeFolder()
    throw error
  })
  return {
    name: 'engine',
    url: (campaign) => origin + leadsPath(campaign),
    cpuUs: async () => cpuUsOf(await scrape(`${admin}/metrics`)),
    page: () => scrape(`${admin}/metrics`),
    async stop() {
      await end(child)
      removeFolder()
    },
  }
}

async function scrape(url: string): Promise<string> {
  const reply = await request(url, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })
  return reply.body.text()
}

function cpuUsOf(page: string): number {
  const found = /^(?:\w+_)?process_cpu_seconds_total(?:\{[^}]*\})? ([\d.e+-]+)/m.exec(page)
  if (!found) throw new Error('the engine has no process_cpu_seconds_total among its metrics')
  return Number(found[1]) * 1e6
}

/** Everything runs under the flags that `npm start` gives the engine, so that none has an advantage of them. */
const FLAGS = startFlags()

function startFlags(): readonly string[] {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { scripts } = JSON.parse(manifest) as { readonly scripts: { readonly start: string } }
  return scripts.start.split(' ').filter((word) => word.startsWith('--'))
}

/** Runs a program of this repository under the same Node; its settings come on top of a bare environment. */
function start(program: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [...FLAGS, fileURLToPath(new URL(program, import.meta.url))], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TZ: 'UTC', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  // A child must not keep a bench alive that has nothing left to do.
  child.channel?.unref()
  return child
}

async function ask(child: ChildProcess, question: string): Promise<unknown> {
  const heard = once(child, 'message') as Promise<[{ answer: unknown }]>
  child.send(question)
  return (await heard)[0].answer
}

/** Waits for the line `ready <url>  admin <url>` (the second only of an engine); of the rest, the last lines are kept for the error. */
function ready(name: string, child: ChildProcess): Promise<readonly [string, string | undefined]> {
  return new Promise((resolve, reject) => {
    const said: string[] = []
    const fail = (why: string): void => reject(new Error(`the ${name} ${why}; it said last:\n${said.join('\n')}`))
    const limit = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`was not ready within ${READY_WITHIN_MS / 1000} s`)
    }, READY_WITHIN_MS)
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line.slice(0, 500))
        if (said.length > 20) said.shift()
        const found = /^ready (http:\/\/\S+)(?: +admin (http:\/\/\S+))?/.exec(line)
        if (!found) return
        clearTimeout(limit)
        resolve([found[1]!, found[2]])
      })
    }
    child.once('exit', (code, signal) => {
      clearTimeout(limit)
      fail(`ended (${signal ?? code})`)
    })
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const limit = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
  await gone
  clearTimeout(limit)
}
