/** What a lead says of a person stands nowhere in the clear: not in Postgres, not in Redis, not in the log. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import pg from 'pg'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { exampleLead } from '../engine/example.ts'
import { freshDatabase } from './postgres.ts'
import { startRedis } from './redis.ts'

const MAIN = new URL('../engine/main.ts', import.meta.url).pathname

/** Every row of every table, as text. */
async function everyRow(url: string): Promise<string> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows: tables } = await client.query(`select tablename from pg_tables where schemaname = 'public'`)
  let text = ''
  for (const { tablename } of tables) {
    const { rows } = await client.query(`select t::text as row from ${tablename} t`)
    text += rows.map(({ row }) => row).join('\n')
  }
  await client.end()
  return text
}

/** Every key with its value, as Redis would dump it. */
async function everyKey(url: string): Promise<string> {
  const client = new Redis(url)
  let text = ''
  for await (const keys of client.scanStream()) {
    for (const key of keys as string[]) text += `${key} ${(await client.dumpBuffer(key))?.toString('latin1')}\n`
  }
  client.disconnect()
  return text
}

test('a sold lead and an invalid one leave no trace of whom they are about', async () => {
  const { url, drop } = await freshDatabase()
  onTestFinished(drop)
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const stores = { DATABASE_URL: url, REDIS_URL: redis.url }
  const env = { ...stores, PORT: '0', ADMIN_PORT: '0', GAVEL_MASTER_KEY: randomBytes(32).toString('base64') }
  const engine = spawn(process.execPath, [MAIN], { env: { PATH: process.env['PATH'], ...env, LOG_LEVEL: 'trace' } })
  onTestFinished(() => void engine.kill('SIGKILL'))
  let log = ''
  engine.stderr.on('data', (chunk) => {
    log += chunk
  })
  let origin = ''
  for await (const line of createInterface({ input: engine.stdout })) {
    origin ||= /^ready (\S+)/.exec(line)?.[1] ?? ''
    if (line.startsWith('curl ')) break
    log += line
  }
  const lead: Record<string, string> = {
    ...exampleLead(Number(`${process.pid}`.slice(-6))),
    first_name: 'Quillon',
    email: 'quillon.z@example.com',
  }
  const headers = { authorization: 'Bearer demo', 'content-type': 'application/json' }
  const post = (body: object) =>
    request(`${origin}/v1/campaigns/solar/leads`, { method: 'POST', headers, body: JSON.stringify(body) })
  const sold = await post(lead)
  expect(await sold.body.json()).toMatchObject({ status: 'sold' })
  expect((await post({ ...lead, zip: 'nowhere' })).statusCode).toBe(422)
  const gone = new Promise((ended) => engine.once('exit', ended))
  engine.kill('SIGTERM')
  await gone
  const kept = { postgres: await everyRow(url), redis: await everyKey(stores.REDIS_URL), log }
  expect(kept.postgres).toContain('sold')
  expect(kept.redis.length).toBeGreaterThan(100)
  const phone = lead['phone']!
  const digits = phone.replace(/\D/g, '')
  for (const [place, text] of Object.entries(kept)) {
    for (const value of ['Quillon', 'quillon.z', digits, phone])
      expect([place, text.includes(value)]).toEqual([place, false])
  }
})
