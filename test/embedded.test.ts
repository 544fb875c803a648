/** The embedded Postgres: starts, starts again, is nobody else's, and is taken over from an engine that was killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isAlive, lockDataDir } from '../engine/datadir.ts'
import { openPostgres, startPostgres } from '../engine/embedded.ts'

let root: string
let dataDir: string
const log = () => {}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'gavelpost-embedded-'))
  chmodSync(root, 0o711)
  dataDir = join(root, 'data')
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function ask(url: string, text: string): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows[0]
}

it('keeps what was written over a restart, behind a password, on loopback alone', async () => {
  const first = await startPostgres({ dataDir, log })
  expect(isAlive(first.pid)).toBe(true)
  await ask(first.url, 'create table kept as select 7 as n')
  expect(
    await ask(first.url, `select current_setting('fsync') as f, current_setting('synchronous_commit') as s`),
  ).toEqual({ f: 'on', s: 'on' })
  expect(await ask(first.url, `select current_setting('listen_addresses') as a`)).toEqual({ a: '127.0.0.1' })
  const wrong = new URL(first.url)
  wrong.password = 'guess'
  await expect(ask(wrong.href, 'select 1')).rejects.toThrow(/password/)
  expect(statSync(join(dataDir, 'postgres.password')).mode & 0o777).toBe(0o600)

  await first.stop()
  await first.exited
  expect(isAlive(first.pid)).toBe(false)
  expect(existsSync(join(dataDir, 'engine.lock'))).toBe(false)
  const second = await startPostgres({ dataDir, log })
  expect(await ask(second.url, 'select n from kept')).toEqual({ n: 7 })
  await second.stop()
})

it('refuses a second engine on the same folder, and lets a program beside it join', async () => {
  const server = await startPostgres({ dataDir, log })
  await expect(startPostgres({ dataDir, log })).rejects.toThrow(`in use by the engine with process id ${process.pid}`)
  const joined = await openPostgres({ dataDir, log })
  expect(joined.pid).toBe(server.pid)
  await joined.stop()
  expect(await ask(server.url, 'select n from kept')).toEqual({ n: 7 })
  await server.stop()
  const alone = await openPostgres({ dataDir, log })
  expect(await ask(alone.url, 'select n from kept')).toEqual({ n: 7 })
  await alone.stop()
})

it('ends the server that a killed engine left behind, and goes on with what it wrote', async () => {
  const engine = anEngine(dataDir)
  const { pid, url } = await engine.up
  await ask(url, 'insert into kept values (8)')
  engine.process.kill('SIGKILL')
  await new Promise((done) => engine.process.once('exit', done))
  expect(isAlive(pid)).toBe(true)
  const lines: string[] = []
  const next = await startPostgres({ dataDir, log: (line) => lines.push(line) })
  expect(lines.join('\n')).toContain(`ending the server ${pid}`)
  expect(isAlive(pid)).toBe(false)
  expect(await ask(next.url, 'select max(n) as n from kept')).toEqual({ n: 8 })
  await next.stop()
})

it('is not misled by a postmaster.pid whose process is dead or is another program by now', async () => {
  const file = join(dataDir, 'postgres', 'postmaster.pid')
  for (const pid of [process.pid, 2 ** 22 - 1]) {
    writeFileSync(file, `${pid}\n${join(dataDir, 'postgres')}\n1\n5432\n\n127.0.0.1\n0 0\nready\n`)
    const { uid, gid } = statSync(join(dataDir, 'postgres'))
    if (process.getuid?.() === 0) (await import('node:fs')).chownSync(file, uid, gid)
    const server = await startPostgres({ dataDir, log })
    expect(await ask(server.url, 'select max(n) as n from kept')).toEqual({ n: 8 })
    await server.stop()
  }
})

it('says what is wrong with a cluster of another version, and frees the folder', async () => {
  const file = join(dataDir, 'postgres', 'PG_VERSION')
  const version = readFileSync(file, 'utf8')
  writeFileSync(file, '15\n')
  await expect(startPostgres({ dataDir, log })).rejects.toThrow('was made by Postgres 15')
  writeFileSync(file, version)
  const server = await startPostgres({ dataDir, log })
  await server.stop()
})

it('takes a given port, and says so where somebody has it', async () => {
  const server = await startPostgres({ dataDir, log })
  const port = Number(new URL(server.url).port)
  const other = join(root, 'other')
  await expect(startPostgres({ dataDir: other, port, log })).rejects.toThrow(/did not start.*in use/s)
  await server.stop()
  const given = await startPostgres({ dataDir: other, port, log })
  expect(Number(new URL(given.url).port)).toBe(port)
  await given.stop()
})

it('locks a folder for one of many that try at once, and takes a dead lock over', () => {
  const folder = mkdtempSync(join(root, 'lock-'))
  const free = lockDataDir(folder)
  expect(() => lockDataDir(folder)).toThrow('DATA_DIR')
  free()
  free()
  writeFileSync(join(folder, 'engine.lock'), `${process.pid} another-boot:1 x\n`)
  lockDataDir(folder)()
  writeFileSync(join(folder, 'engine.lock'), '999999999  x\n')
  lockDataDir(folder)()
  expect(existsSync(join(folder, 'engine.lock'))).toBe(false)
})

/** An engine in a process of its own that only brings up Postgres. */
function anEngine(folder: string): { process: ChildProcess; up: Promise<{ pid: number; url: string }> } {
  const script = `
    const { startPostgres } = await import(${JSON.stringify(new URL('../engine/embedded.ts', import.meta.url).href)})
    const { pid, url } = await startPostgres({ dataDir: ${JSON.stringify(folder)}, log() {} })
    console.log(JSON.stringify({ pid, url }))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const up = new Promise<{ pid: number; url: string }>((done, fail) => {
    child.stdout.once('data', (line) => done(JSON.parse(String(line))))
    child.once('exit', () => fail(new Error('the engine ended before its Postgres was up')))
  })
  return { process: child, up }
}
