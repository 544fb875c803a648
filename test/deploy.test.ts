/** The deployment files: parsed, and every setting in them checked against the engine's own table. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { listenOn, readEnv, SETTINGS } from '../engine/env.ts'
import { createMetrics } from '../engine/metrics.ts'

const fromRoot = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))
const read = (path: string): string => readFileSync(fromRoot(path), 'utf8')

const NAMES: ReadonlySet<string> = new Set(Object.values(SETTINGS).map((setting) => setting.name))
/** What the person who starts it must bring. */
const SECRETS: Readonly<Record<string, string>> = {
  POSTGRES_PASSWORD: 'a1b2c3',
  REDIS_PASSWORD: 'd4e5f6',
  GAVEL_MASTER_KEY: Buffer.alloc(32, 9).toString('base64'),
}

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly command?: readonly string[]
  readonly environment: Readonly<Record<string, string | number>>
  readonly ports?: readonly string[]
  readonly volumes: readonly string[]
  readonly healthcheck: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly stop_grace_period?: string
  readonly restart: string
}

const compose = parse(read('deploy/compose.yaml')) as {
  readonly services: Readonly<Record<'engine' | 'redis' | 'postgres', Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}
const { engine, redis, postgres } = compose.services

/** Fills in `${NAME:-default}` and `${NAME:?why}` as compose does. */
function filledIn(value: string | number, given: Readonly<Record<string, string>>): string {
  return String(value).replaceAll(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_all, name: string, kind: string, rest: string) => {
      if (given[name]) return given[name]
      if (kind === '-') return rest
      throw new Error(`${name} is needed: ${rest}`)
    },
  )
}

function engineEnv(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(engine.environment).map(([name, value]) => [name, filledIn(value, given)]))
}

type Instruction = readonly [word: string, rest: string]
const dockerfile: readonly Instruction[] = read('deploy/Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1).trim()])
const all = (word: string): string[] => dockerfile.filter(([one]) => one === word).map(([, rest]) => rest)
const imageEnv: Readonly<Record<string, string>> = Object.fromEntries(
  all('ENV').flatMap((rest) => rest.split(/\s+/).map((pair) => pair.split('=') as [string, string])),
)

describe('compose.yaml', () => {
  it('sets nothing that the engine does not know, and everything as the engine takes it', () => {
    expect(Object.keys(engine.environment).filter((name) => !NAMES.has(name))).toEqual([])
    const reading = readEnv(engineEnv(SECRETS))
    if (!reading.ok) throw new Error(JSON.stringify(reading.faults))
    expect(reading.hints).toEqual([])
    expect(reading.env).toMatchObject({ workers: 2, port: 8080, adminPort: 9090 })
    expect(listenOn(reading.env, false)).toEqual({ host: '0.0.0.0', adminHost: '0.0.0.0' })
  })

  it('repeats the engine’s own defaults where it lets a person choose', () => {
    const chosen = Object.entries(engine.environment).flatMap(([name, value]) => {
      const fallback = /^\$\{(\w+):-([^}]*)\}$/.exec(String(value))
      return fallback ? [[name, fallback[1], fallback[2]]] : []
    })
    for (const [name, variable] of chosen) expect(variable).toBe(name)
    const same = new Map(Object.values(SETTINGS).map((setting) => [setting.name as string, setting.default]))
    const others = chosen.filter(([name, , value]) => same.get(name!) !== value).map(([name]) => name)
    // Several processes, and time for a balancer to notice: what one process on a desk does not need.
    expect(others).toEqual(['WORKERS', 'UNREADY_MS'])
  })

  it('holds no secret and does not start without them', () => {
    for (const name of Object.keys(SECRETS)) {
      const { [name]: _left, ...others } = SECRETS
      const services = () => [
        engineEnv(others),
        ...[redis, postgres].map((one) => filledIn(JSON.stringify(one), others)),
      ]
      expect(services).toThrow(`${name} is needed: make one with openssl`)
    }
    expect(JSON.stringify(compose)).not.toMatch(/whsec_|(password|PASSWORD)"?: *"?[a-z0-9]{6}/)
  })

  it('connects the engine to the stores beside it, and waits for them', () => {
    const env = engineEnv(SECRETS)
    expect(new URL(env['DATABASE_URL']!)).toMatchObject({
      hostname: 'postgres',
      pathname: '/gavelpost',
      password: 'a1b2c3',
    })
    expect(new URL(env['REDIS_URL']!)).toMatchObject({ hostname: 'redis', password: 'd4e5f6' })
    expect(engine.depends_on).toEqual({
      redis: { condition: 'service_healthy' },
      postgres: { condition: 'service_healthy' },
    })
    expect(postgres.environment).toMatchObject({ POSTGRES_USER: 'gavelpost', POSTGRES_DB: 'gavelpost' })
  })

  it('lets the stores keep what they are given', () => {
    const command = redis.command!.join(' ')
    expect(command).toContain('--appendonly yes --appendfsync everysec')
    expect(command).toContain('--maxmemory-policy noeviction')
    expect(redis.volumes).toEqual(['redis:/data'])
    expect(postgres.volumes).toEqual(['postgres:/var/lib/postgresql'])
    expect(Object.keys(compose.volumes).sort()).toEqual(['postgres', 'redis'])
  })

  it('opens the data plane to others, the admin plane to this machine, the stores to nobody', () => {
    expect(engine.ports).toEqual(['8080:8080', '127.0.0.1:9090:9090'])
    expect([redis.ports, postgres.ports]).toEqual([undefined, undefined])
  })

  it('asks each service whether it is well', () => {
    expect(engine.healthcheck.test.join(' ')).toContain("port: 8080, path: '/readyz'")
    expect(redis.healthcheck.test).toContain('redis-cli')
    expect(postgres.healthcheck.test).toContain('pg_isready')
    for (const service of [engine, redis, postgres]) expect(service.restart).toBe('unless-stopped')
  })

  it('gives the engine longer to stop than it takes to drain', () => {
    const reading = readEnv(engineEnv(SECRETS))
    if (!reading.ok) throw new Error('faulty')
    const graceMs = Number(/^(\d+)s$/.exec(engine.stop_grace_period!)![1]) * 1000
    expect(graceMs).toBeGreaterThan(reading.env.unreadyMs + reading.env.drainMs + 10_000)
  })

  it('mounts the folder that CONFIG lies in, and builds from the root', () => {
    const folder = engine.volumes[0]!.split(':').at(-2)
    expect(String(engine.environment['CONFIG']).startsWith(`${folder}/`)).toBe(true)
    expect(engine.build).toEqual({ context: '..', dockerfile: 'deploy/Dockerfile' })
  })
})

describe('Dockerfile', () => {
  it('runs the engine under Node 22, as nobody special', () => {
    expect(all('FROM')).toEqual(['node:22-bookworm-slim'])
    expect(all('USER')).toEqual(['node'])
    const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
    expect(JSON.parse(all('CMD')[0]!).join(' ')).toBe(scripts.start)
    expect(dockerfile.findIndex(([word]) => word === 'USER')).toBeGreaterThan(
      dockerfile.findLastIndex(([word]) => word === 'RUN' || word === 'COPY'),
    )
  })

  it('installs what is locked, before the sources, without what only tests need', () => {
    const [install] = all('RUN')
    expect(install).toMatch(/^npm ci .*--omit=dev/)
    const copies = all('COPY').map((rest) => rest.split(/\s+/).slice(0, -1))
    expect(copies[0]).toEqual(['package.json', 'package-lock.json'])
    for (const path of copies.flat()) expect(existsSync(fromRoot(path))).toBe(true)
    const ignored = read('deploy/Dockerfile.dockerignore').split('\n')
    for (const path of copies.flat()) expect(ignored).toContain(`!${path}`)
  })

  it('sets nothing that the engine does not know', () => {
    const { NODE_ENV, ...settings } = imageEnv
    expect(NODE_ENV).toBe('production')
    expect(Object.keys(settings).filter((name) => !NAMES.has(name))).toEqual([])
    expect(readEnv(settings).ok).toBe(true)
    const ports = [SETTINGS.port, SETTINGS.adminPort].map((setting) => setting.default)
    expect(all('EXPOSE')[0]!.split(' ')).toEqual(ports)
    expect(all('HEALTHCHECK')[0]).toContain("path: '/healthz'")
  })
})

interface Container {
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly envFrom: readonly { readonly secretRef: { readonly name: string } }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

describe('kubernetes/gavelpost.yaml', () => {
  const text = read('deploy/kubernetes/gavelpost.yaml')
  const documents = parseAllDocuments(text).map((one) => one.toJS() as { kind: string; spec: Record<string, never> })
  const pod = documents.find(({ kind }) => kind === 'Deployment')!.spec['template']!['spec'] as unknown as {
    readonly terminationGracePeriodSeconds: number
    readonly containers: readonly [Container]
    readonly volumes: readonly { readonly name: string }[]
  }
  const [container] = pod.containers
  const given = Object.fromEntries(container.env.map(({ name, value }) => [name, value]))
  const stores = { DATABASE_URL: 'postgres://db/gavelpost', REDIS_URL: 'redis://hot' }
  const reading = readEnv({ ...given, ...stores, GAVEL_MASTER_KEY: SECRETS['GAVEL_MASTER_KEY']! })

  it('sets what the engine knows, as it takes it, and leaves secrets to a secret that its head says how to make', () => {
    expect(Object.keys(given).filter((name) => !NAMES.has(name))).toEqual([])
    expect(reading.ok).toBe(true)
    expect(container.envFrom).toEqual([{ secretRef: { name: 'gavelpost' } }])
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'GAVEL_MASTER_KEY']) {
      expect(text).toContain(`--from-literal=${name}=`)
      expect(given[name]).toBeUndefined()
    }
  })

  it('mounts the folder that CONFIG lies in, and gives the engine longer to stop than it takes to drain', () => {
    if (!reading.ok) throw new Error('faulty')
    const [mount] = container.volumeMounts
    expect(given['CONFIG']!.startsWith(`${mount!.mountPath}/`)).toBe(true)
    expect(pod.volumes.map(({ name }) => name)).toEqual([mount!.name])
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
      reading.env.unreadyMs + reading.env.drainMs + 10_000,
    )
  })

  it('has the data plane and the admin plane apart', () => {
    const services = documents.filter(({ kind }) => kind === 'Service').map(({ spec }) => spec['ports'])
    expect(services).toMatchObject([[{ targetPort: 'leads' }], [{ targetPort: 'admin' }]])
  })
})

describe('alerts.yaml and the dashboard', () => {
  const rules = (parse(read('deploy/alerts.yaml')) as { groups: { rules: { alert: string; expr: string }[] }[] }).groups
  const { panels } = JSON.parse(read('deploy/dashboards/gavelpost.json')) as {
    readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
  }
  const asked = [
    ...rules.flatMap((group) => group.rules.map(({ alert, expr }) => [alert, expr] as const)),
    ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ]

  it('ask for metrics that the engine has', async () => {
    const metrics = createMetrics()
    metrics.buyers(() => [])
    const known = new Set([...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!))
    for (const [where, expr] of asked) {
      const names = [...expr.matchAll(/\b(?:gavelpost|nodejs|process)_\w+/g)].map(([name]) =>
        name.replace(/_bucket$/, ''),
      )
      if (!expr.startsWith('up{')) expect(names, where).not.toEqual([])
      expect(
        names.filter((name) => !known.has(name)),
        where,
      ).toEqual([])
    }
  })

  it('say what to do', () => {
    const told = parse(read('deploy/alerts.yaml')) as {
      groups: { rules: { alert: string; annotations: { summary: string; action: string } }[] }[]
    }
    for (const { alert, annotations } of told.groups.flatMap((group) => group.rules)) {
      expect(annotations.summary.length, alert).toBeGreaterThan(20)
      expect(annotations.action.length, alert).toBeGreaterThan(40)
    }
  })
})

describe('RUNBOOK.md', () => {
  it('speaks of settings and files that there are', () => {
    const text = read('deploy/RUNBOOK.md')
    const words = [...text.matchAll(/`([A-Z][A-Z_]{3,})`/g)].map((match) => match[1]!)
    expect(words.length).toBeGreaterThan(4)
    expect(words.filter((word) => !NAMES.has(word))).toEqual([])
    for (const name of Object.keys(SECRETS)) expect(text).toContain(name)
    const files = [...text.matchAll(/\b((?:engine|bench|deploy)\/[\w./-]+\.(?:ts|ya?ml))/g)].map((match) => match[1]!)
    expect(files.filter((file) => !existsSync(fromRoot(file)))).toEqual([])
  })
})
