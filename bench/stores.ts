/** The stores of a bench run: a real Redis and a real Postgres, its own or those that BENCH_REDIS_URL and BENCH_DATABASE_URL name. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { startPostgres } from '../engine/embedded.ts'
import { startRedis } from './redis.ts'

export interface Stores {
  /** Connection string of a new, empty database; it is dropped by `stop`. */
  database(): Promise<string>
  /** Connection string of a numbered database of the Redis, emptied. */
  redis(number: number): Promise<string>
  /** Drops the databases and stops what was started here. */
  stop(): Promise<void>
}

/** Whoever gives a store gives it for this: REDIS_URL and DATABASE_URL of a running engine are left alone. */
export async function startStores(): Promise<Stores> {
  const folder = mkdtempSync(join(tmpdir(), 'gavelpost-bench-'))
  // The server may run under another user, who must be able to enter.
  chmodSync(folder, 0o711)
  const givenDatabase = process.env['BENCH_DATABASE_URL']
  const givenRedis = process.env['BENCH_REDIS_URL']
  // First, for it ends by itself with this process where the other does not come up.
  const redis = givenRedis ? null : await startRedis({ aof: true })
  const postgres = givenDatabase ? null : await startPostgres({ dataDir: join(folder, 'data'), log: () => {} })
  const server = givenDatabase ?? postgres!.url
  const databases: string[] = []
  return {
    async database() {
      const name = `bench_${randomBytes(6).toString('hex')}`
      await administer(server, `create database ${name}`)
      databases.push(name)
      return withPath(server, name)
    },
    async redis(number) {
      const url = withPath(givenRedis ?? redis!.url, String(number))
      const client = new Redis(url)
      await client.flushdb()
      client.disconnect()
      return url
    },
    async stop() {
      for (const name of databases) await administer(server, `drop database if exists ${name} with (force)`)
      await redis?.stop()
      await postgres?.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function withPath(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

async function administer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  client.on('error', () => {})
  await client.connect()
  await client.query(statement).finally(() => client.end())
}
