/** Finds the ledger and the hot store by the engine's own settings, without disturbing an engine that runs. */
import { request } from 'undici'
import { openPostgres } from '../../engine/embedded.ts'
import { type Env, readEnv } from '../../engine/env.ts'
import type { HotDump } from '../../engine/store/port.ts'
import { openRedisStore } from '../../engine/store/redis.ts'
import type { HotView } from './hot.ts'

/** Settings that say where the stores are; of the others a verifier asks nothing. */
const NEEDED = ['DATABASE_URL', 'REDIS_URL', 'DATA_DIR', 'ADMIN_PORT', 'ADMIN_HOST'] as const
/** The engine refuses a shared ledger without a master key; the verifier opens nothing that is sealed. */
const NO_KEY = Buffer.alloc(32).toString('base64')
const ADMIN_TIMEOUT_MS = 10_000

export interface OpenStores {
  readonly databaseUrl: string
  /** Where the ledger is, for people: no password. */
  readonly ledgerName: string
  /** A text says why there is none to look at. */
  readonly hot: HotView | string
  close(): Promise<void>
}

/** Throws, in words that say what to do, where the settings are wrong or a store is out of reach. */
export async function openStores(
  variables: Readonly<Record<string, string | undefined>>,
  adminKey: string,
): Promise<OpenStores> {
  const env = settings(variables)
  const embedded = env.databaseUrl === null ? await openPostgres({ dataDir: env.dataDir, log: () => {} }) : null
  const databaseUrl = env.databaseUrl ?? embedded!.url
  try {
    const hot = env.redisUrl === null ? await adminView(env, adminKey) : await redisView(env.redisUrl)
    const { host, pathname } = new URL(databaseUrl)
    return {
      databaseUrl,
      ledgerName: `${host}${pathname}`,
      hot,
      async close() {
        if (typeof hot !== 'string') await hot.close()
        await embedded?.stop()
      },
    }
  } catch (error) {
    await embedded?.stop()
    throw error
  }
}

function settings(variables: Readonly<Record<string, string | undefined>>): Env {
  const wanted = Object.fromEntries(NEEDED.map((name) => [name, variables[name]]))
  const reading = readEnv({ ...wanted, GAVEL_MASTER_KEY: NO_KEY })
  if (reading.ok) return reading.env
  throw new Error(reading.faults.map(({ name, message }) => `${name} ${message}`).join('\n'))
}

async function redisView(url: string): Promise<HotView> {
  const store = await openRedisStore({ url })
  return {
    name: new URL(url).host,
    async dump(epoch) {
      store.setEpoch(epoch)
      return (await store.warm()) ? store.dump() : null
    },
    close: () => store.close(),
  }
}

/** An in-process store is asked through its engine; with the engine down it is gone. */
async function adminView(env: Env, adminKey: string): Promise<HotView | string> {
  const name = `${env.adminHost}:${env.adminPort}`
  const ask = async (): Promise<HotDump> => {
    const reply = await request(`http://${name}/admin/v1/hot`, {
      headers: { authorization: `Bearer ${adminKey}` },
      headersTimeout: ADMIN_TIMEOUT_MS,
      bodyTimeout: ADMIN_TIMEOUT_MS,
    })
    if (reply.statusCode === 200) return (await reply.body.json()) as HotDump
    await reply.body.dump()
    const advice = reply.statusCode === 401 || reply.statusCode === 403 ? ': give its admin key with --admin-key' : ''
    throw new Error(`the admin port ${name} answered ${reply.statusCode}${advice}`)
  }
  try {
    await ask()
  } catch (error) {
    if (!isRefused(error)) throw error
    return `the hot store lived in an engine that does not run (nobody listens on ${name})`
  }
  const dump = async (epoch: number): Promise<HotDump | null> => {
    const said = await ask()
    return said.epoch === epoch ? said : null
  }
  return { name, dump, close: async () => {} }
}

function isRefused(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown }
  return code === 'ECONNREFUSED'
}
