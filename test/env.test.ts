/** The environment: one table, read once, every fault at once, and refusals that say what to do. */
import { describe, expect, it } from 'vitest'
import { describeEnv, type Env, listenOn, readEnv, SETTINGS } from '../engine/env.ts'

const KEY = Buffer.alloc(32, 1).toString('base64')
const STORES = { DATABASE_URL: 'postgres://u:pw@db/x', REDIS_URL: 'redis://cache:6379', GAVEL_MASTER_KEY: KEY }

function envOf(variables: Record<string, string | undefined>): Env {
  const reading = readEnv(variables)
  if (!reading.ok) throw new Error(JSON.stringify(reading.faults))
  return reading.env
}

function faultsOf(variables: Record<string, string | undefined>): Record<string, string> {
  const reading = readEnv(variables)
  return reading.ok ? {} : Object.fromEntries(reading.faults.map(({ name, message }) => [name, message]))
}

describe('the settings', () => {
  it('have defaults with which one command is enough', () => {
    expect(envOf({})).toEqual({
      port: 8080,
      adminPort: 9090,
      host: null,
      adminHost: '127.0.0.1',
      config: null,
      dataDir: '.gavelpost',
      databaseUrl: null,
      redisUrl: null,
      workers: 1,
      masterKeys: null,
      logLevel: 'info',
      maxInFlight: 4096,
      retentionDays: 400,
      pingDays: 30,
      unreadyMs: 0,
      drainMs: 90_000,
    })
  })

  it('are read from their variables; a blank one counts as absent', () => {
    const env = envOf({
      ...STORES,
      WORKERS: '4',
      PORT: ' 80 ',
      LOG_LEVEL: 'WARN',
      CONFIG: 'a.yaml',
      HOST: '',
      DATA_DIR: ' ',
    })
    expect(env).toMatchObject({ workers: 4, port: 80, logLevel: 'warn', config: 'a.yaml', host: null })
    expect(env.dataDir).toBe('.gavelpost')
    expect(env.masterKeys).toEqual(new Map([[1, Buffer.alloc(32, 1)]]))
  })

  it('take several master keys, by version', () => {
    const next = Buffer.alloc(32, 2).toString('base64')
    expect(envOf({ GAVEL_MASTER_KEY: `1:${KEY}, 2:${next}` }).masterKeys).toEqual(
      new Map([
        [1, Buffer.alloc(32, 1)],
        [2, Buffer.alloc(32, 2)],
      ]),
    )
    for (const wrong of ['short', `${KEY},${next}`, `1:${KEY},`, Buffer.alloc(16).toString('base64')]) {
      expect(faultsOf({ GAVEL_MASTER_KEY: wrong })).toHaveProperty('GAVEL_MASTER_KEY')
    }
  })

  it('tell every fault at once and no secret', () => {
    const faults = faultsOf({
      PORT: '70000',
      ADMIN_PORT: 'nine',
      HOST: 'http://x:1/',
      DATABASE_URL: 'mysql://root:hunter2@db/x',
      REDIS_URL: 'hunter2',
      GAVEL_MASTER_KEY: 'hunter2',
      WORKERS: '0',
      LOG_LEVEL: 'inof',
      MAX_IN_FLIGHT: '-1',
      DRAIN_MS: '1e3',
    })
    expect(Object.keys(faults)).toHaveLength(10)
    expect(JSON.stringify(faults)).not.toContain('hunter2')
    expect(faults['LOG_LEVEL']).toMatch(/Did you mean "info"\?/)
    expect(faults['PORT']).toBe('is "70000": give a whole number from 0 to 65535.')
  })

  it('point out a variable that looks like ours', () => {
    const { hints } = readEnv({ GAVEL_MASTER_KYE: 'x', PATH: '/bin', GAVEL_TURBO: '1' })
    expect(hints).toHaveLength(2)
    expect(hints[0]).toMatch(/GAVEL_MASTER_KYE is no setting .* Did you mean "GAVEL_MASTER_KEY"\?/)
  })

  it('describe themselves', () => {
    const rows = describeEnv().split('\n')
    expect(rows).toHaveLength(2 + Object.keys(SETTINGS).length)
    for (const { name } of Object.values(SETTINGS))
      expect(rows.some((row) => row.startsWith(`| \`${name}\` |`))).toBe(true)
  })
})

describe('settings that need each other', () => {
  it.each([
    [{ WORKERS: '2' }, 'WORKERS', /share: set DATABASE_URL and REDIS_URL, or set WORKERS to 1/],
    [{ WORKERS: '2', DATABASE_URL: STORES.DATABASE_URL, GAVEL_MASTER_KEY: KEY }, 'WORKERS', /share: set REDIS_URL, or/],
    [{ ...STORES, WORKERS: '2', PORT: '0' }, 'PORT', /several processes/],
    [{ REDIS_URL: STORES.REDIS_URL }, 'DATABASE_URL', /is missing: REDIS_URL caches a ledger/],
    [{ DATABASE_URL: STORES.DATABASE_URL }, 'GAVEL_MASTER_KEY', /openssl rand -base64 32/],
    [{ PORT: '9090' }, 'ADMIN_PORT', /same as PORT/],
  ])('%j is refused', (variables, name, words) => {
    const faults = faultsOf(variables)
    expect(Object.keys(faults)).toEqual([name])
    expect(faults[name]).toMatch(words)
  })

  it('may leave Redis away where there is one process', () => {
    expect(envOf({ DATABASE_URL: STORES.DATABASE_URL, GAVEL_MASTER_KEY: KEY }).redisUrl).toBeNull()
  })
})

describe('where it listens', () => {
  it('is loopback with the example, and everywhere with a configuration of one’s own', () => {
    expect(listenOn(envOf({}), true)).toEqual({ host: '127.0.0.1', adminHost: '127.0.0.1' })
    expect(listenOn(envOf({}), false)).toEqual({ host: '0.0.0.0', adminHost: '127.0.0.1' })
    expect(listenOn(envOf({ HOST: '::1', ADMIN_HOST: 'localhost' }), true)).toEqual({
      host: '::1',
      adminHost: 'localhost',
    })
  })

  it('is never open to others with the example, whose keys everybody knows', () => {
    const open = listenOn(envOf({ HOST: '0.0.0.0', ADMIN_HOST: '10.0.0.1' }), true)
    expect('faults' in open && open.faults.map(({ name }) => name)).toEqual(['HOST', 'ADMIN_HOST'])
  })
})
