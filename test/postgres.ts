/** Gives a test a database of its own on a real Postgres: the one the whole run shares, else one started for this file. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { type EmbeddedPostgres, startPostgres } from '../engine/embedded.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection string of the run's Postgres; its user may create databases. */
    databaseUrl: string
  }
}

export interface FreshDatabase {
  readonly url: string
  /** Drops the database, whoever is still connected. */
  drop(): Promise<void>
}

let own: Promise<EmbeddedPostgres> | null = null
let ownDir = ''

/** An empty database. Call `drop` in afterAll, then `stopOwnPostgres`. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const server = await serverUrl()
  const name = `t_${randomBytes(6).toString('hex')}`
  await administer(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => administer(server, `drop database if exists ${name} with (force)`) }
}

/** Stops the server that `freshDatabase` started, if it had to start one. */
export async function stopOwnPostgres(): Promise<void> {
  const server = await own
  own = null
  await server?.stop()
  if (server) rmSync(ownDir, { recursive: true, force: true })
}

async function serverUrl(): Promise<string> {
  const shared = inject('databaseUrl') as string | undefined
  if (shared) return shared
  own ??= startOwn()
  return (await own).url
}

function startOwn(): Promise<EmbeddedPostgres> {
  ownDir = mkdtempSync(join(tmpdir(), 'gavelpost-test-'))
  chmodSync(ownDir, 0o711)
  return startPostgres({ dataDir: join(ownDir, 'data'), log: () => {} })
}

async function administer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  client.on('error', () => {})
  await client.connect()
  await client.query(statement).finally(() => client.end())
}
