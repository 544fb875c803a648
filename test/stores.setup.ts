/** One Redis and one Postgres for the whole run; tests get their addresses by `inject`. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startPostgres } from '../engine/embedded.ts'
import { sharedRedis } from './redis.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A Redis that everybody shares: use a key prefix of your own, and never FLUSHALL. */
    redisUrl: string
  }
}

/** REDIS_URL and DATABASE_URL where they are set, else servers that live as long as the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
  project.provide('redisUrl', redis.url)
  project.provide('databaseUrl', postgres.url)
  return async () => {
    await Promise.all([redis.stop(), postgres.stop()])
  }
}

async function sharedPostgres(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const given = process.env['DATABASE_URL']
  if (given) return { url: given, stop: async () => undefined }
  const dir = mkdtempSync(join(tmpdir(), 'gavelpost-postgres-'))
  chmodSync(dir, 0o711)
  const server = await startPostgres({ dataDir: join(dir, 'data'), log: () => undefined })
  return {
    url: server.url,
    async stop() {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
