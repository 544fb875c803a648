/** Suppression lists: imported by command, read by every process beside the hot path, and never told in the clear. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../engine/clock.ts'
import { importList } from '../engine/lists/import.ts'
import { Lists } from '../engine/lists/lists.ts'
import { readList } from '../engine/lists/reader.ts'
import { createSealer } from '../engine/seal.ts'
import { parseLead } from '../rules/lead.ts'
import { entryOf, type ListSpec, NumberSet } from '../rules/suppression.ts'
import { LedgerKit } from './ledger-kit.ts'
import { compilePeople, fieldsOf } from './world/people.ts'

const KEY = Buffer.alloc(32, 3)
const masters = new Map([[1, KEY]])
const seal = createSealer(masters)
const folder = mkdtempSync(join(tmpdir(), 'gavelpost-lists-'))
const campaign = compilePeople({
  why: '',
  campaigns: { solar: { suppress: ['dnc'] } },
  buyers: { acme: { price: '20.00' } },
  lists: { dnc: { of: 'phone', entries: [] } },
  steps: [],
}).campaigns.get('solar')!
const NOBODY = new Map()
const EVERYBODY = new Map([['acme', 'suppressed_dnc']])

let kit: LedgerKit
const said: string[] = []

beforeAll(async () => {
  kit = await LedgerKit.open()
})

afterAll(async () => {
  await kit.close()
  rmSync(folder, { recursive: true })
})

function fileOf(name: string, ...lines: string[]): string {
  const path = join(folder, name)
  writeFileSync(path, lines.join('\n'))
  return path
}

const openLists = () => new Lists({ db: kit.db, clock: systemClock(), seal, masters, log: (line) => said.push(line) })
const named = (spec: Partial<ListSpec> = {}) => ({
  lists: new Map([['dnc', { of: 'phone', hash: null, file: null, ...spec } as ListSpec]]),
})

function leadOf(phone: string) {
  const parsed = parseLead(campaign.vertical, { ...fieldsOf({ lead: {}, expect: [] }), phone }, Date.now())
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

async function list(line: string): Promise<{ code: number; out: string; error: string }> {
  const env = { ...process.env, DATABASE_URL: kit.url, GAVEL_MASTER_KEY: KEY.toString('base64') }
  const run = promisify(execFile)(process.execPath, ['engine/lists/program.ts', ...line.split(' ')], { env })
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, error: stderr }),
    ({ code, stdout, stderr }) => ({ code, out: stdout, error: stderr }),
  )
}

test('the command imports what it can, counts what it cannot by line, and tells nobody', async () => {
  const path = fileOf(
    'dnc.csv',
    'phone,added',
    '(512) 555-0123,today',
    '',
    '+1 512 555 0124',
    'not a phone',
    '5125550123',
  )
  const done = await list(`import dnc ${path} --of phone`)
  expect(done).toMatchObject({ code: 0, out: 'dnc: 2 entries imported, 2 lines refused\n' })
  expect(done.error).toContain('suppression list "dnc": 2 lines are no phone and were left out: 1, 5')
  expect(done.error).not.toMatch(/0123|not a phone/)
  expect((await list('show')).out).toMatch(/^dnc {2}phone {2}2 entries {2}20/)
  const lists = openLists()
  await lists.load(named())
  expect(lists.barred(campaign, leadOf('512-555-0123'))).toEqual(EVERYBODY)
  expect(lists.barred(campaign, leadOf('512-555-0125'))).toEqual(NOBODY)
  const kept = JSON.stringify(
    await kit.ask(`select l.*, encode(p.numbers, 'escape') from lists l join list_parts p on p.list = l.name`),
  )
  expect(kept).not.toMatch(/5125550|0123/)
})

test.each([
  ['import dnc x.csv', '--of takes one of phone, email, domain, ip'],
  ['import D.N.C x.csv --of phone', 'is no name of a list'],
  ['import dnc x.csv --of phone --hash crc', '--hash takes one of sha256, sha1, md5'],
  ['forget dnc x.csv', 'say which list to take in'],
])('%s is not understood', async (line, why) => {
  const { code, error } = await list(line)
  expect(code).toBe(2)
  expect(error).toContain(why)
})

test('a list that is imported again is read again, and one that cannot be read stays as it was', async () => {
  const task = { name: 'dnc', of: 'phone', hash: null } as const
  const lists = openLists()
  await importList(kit.db, seal, { ...task, path: fileOf('a', '5125550101') }, () => {})
  await lists.load(named())
  await importList(kit.db, seal, { ...task, path: fileOf('b', '5125550102') }, () => {})
  await lists.load(named())
  expect(lists.barred(campaign, leadOf('512-555-0101'))).toEqual(NOBODY)
  expect(lists.barred(campaign, leadOf('512-555-0102'))).toEqual(EVERYBODY)
  await expect(importList(kit.db, seal, { ...task, path: join(folder, 'none') }, () => {})).rejects.toThrow('ENOENT')
  await expect(lists.load(named({ of: 'email' }))).rejects.toThrow('imported as a list of phone')
  await expect(lists.load({ lists: new Map([['other', named().lists.get('dnc')!]]) })).rejects.toThrow(
    'suppression list "other" cannot be read: the ledger has none of that name: npm run list -- import other FILE --of phone',
  )
  expect(lists.barred(campaign, leadOf('512-555-0102'))).toEqual(EVERYBODY)
})

test('a file is read in a thread of its own, and again when it changes', async () => {
  const file = fileOf('live', '5125550101', 'nobody')
  const lists = openLists()
  await lists.load(named({ file }))
  expect(lists.barred(campaign, leadOf('512-555-0101'))).toEqual(EVERYBODY)
  expect(said).toContain('suppression list "dnc": 1 lines are no phone and were left out: 2')
  fileOf('live', '5125550102', '5125550103', '5125550104')
  await lists.load(named({ file }))
  expect(lists.barred(campaign, leadOf('512-555-0101'))).toEqual(NOBODY)
  expect(lists.barred(campaign, leadOf('512-555-0103'))).toEqual(EVERYBODY)
})

test('a list that nobody has read keeps everybody out', () => {
  expect(openLists().barred(campaign, leadOf('512-555-0101'))).toEqual(EVERYBODY)
})

test('entries are read as leads are', () => {
  expect(entryOf({ of: 'phone', hash: null }, '(512) 555-0123')).toBe('5125550123')
  expect(entryOf({ of: 'email', hash: null }, ' J.Doe+solar@Gmail.com ')).toBe('jdoe@gmail.com')
  expect(entryOf({ of: 'domain', hash: null }, 'Rival.Example')).toBe('rival.example')
  expect(entryOf({ of: 'domain', hash: null }, 'rival')).toBeNull()
  expect(entryOf({ of: 'ip', hash: null }, '203.0.113.9')).toBe('203.0.113.9')
  expect(entryOf({ of: 'ip', hash: null }, '203.0.113.0/24')).toBeNull()
  expect(entryOf({ of: 'phone', hash: 'md5' }, 'ABCDEF0123456789ABCDEF0123456789')).toBe(
    'abcdef0123456789abcdef0123456789',
  )
  expect(entryOf({ of: 'phone', hash: 'sha256' }, 'abc')).toBeNull()
})

test('fifty thousand entries are found, every one, and no other', async () => {
  const path = fileOf('many', ...Array.from({ length: 50_000 }, (_, at) => `person${at}@example.com`))
  const { numbers, faults } = await readList(path, { of: 'email', hash: null }, seal)
  expect([numbers.length, faults]).toEqual([50_000, 0])
  const set = new NumberSet(numbers.slice())
  for (const number of numbers) expect(set.has(number)).toBe(true)
  for (let at = 0; at < 1_000; at++) expect(set.has(numbers[at]! + 0.5)).toBe(false)
  expect([set.has(-1), set.has(2 ** 48)]).toEqual([false, false])
})
