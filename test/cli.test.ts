/** The command line as it is called: configurations against a running admin plane, and what it says when something is wrong. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { table } from '../engine/cli/output.ts'
import { readCsv } from '../engine/csv.ts'
import { writeCsv } from '../rules/csv.ts'
import { AdminKit } from './admin-kit/server.ts'

const MAIN = new URL('../engine/cli/main.ts', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gavelpost-cli-'))
const file = join(folder, 'gavelpost.yaml')
let kit: AdminKit
beforeAll(async () => {
  kit = await AdminKit.open()
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await kit.close()
})

interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

function gavelpost(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const variables = { PATH: process.env['PATH'], GAVELPOST_ADMIN: kit.origin, GAVELPOST_KEY: 'operator', ...env }
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env: variables }, (failed, out, error) => {
      resolve({ code: failed ? Number(failed.code) : 0, out, error })
    })
  })
}

describe('a configuration as code', () => {
  it('is exported, planned, applied and rolled back', async () => {
    expect(await gavelpost(['export', '--out', file])).toMatchObject({ code: 0, error: `version 1 is in ${file}\n` })
    const exported = readFileSync(file, 'utf8')
    expect(exported).toMatch(/^# gavelpost version 1\n/)
    expect((await gavelpost(['plan', file])).out).toBe('It says what version 1 says: there is nothing to publish.\n')
    writeFileSync(file, exported.replace('price: "18.00"', 'price: "19.00"').replace('day: 50', 'day: 60'))
    expect(await gavelpost(['plan', file])).toMatchObject({
      code: 0,
      out: '2 changes to version 1:\n ~  contract acme: caps.day 50 -> 60\n ~  contract acme: price 18.00 -> 19.00\nIt touches 0 of the 0 leads of the last 24 hours.\n',
    })
    const applied = await gavelpost(['apply', file, '--note', 'more', '--json'])
    expect(JSON.parse(applied.out)).toMatchObject({ version: 2, changes: [{ kind: 'changed' }, { kind: 'changed' }] })
    const again = await gavelpost(['apply', file])
    expect([again.code, again.error]).toEqual([
      1,
      expect.stringMatching(/^Somebody has published since: version 2 is the newest/),
    ])
    expect((await gavelpost(['rollback', '1'])).out).toMatch(/^Version 3 is published:\n/)
  })

  it('is validated without an engine', async () => {
    const bad = join(folder, 'bad.yaml')
    writeFileSync(
      bad,
      readFileSync(file, 'utf8').replace('price: "19.00"', 'price: 19').replace('buyer: bolt', 'buyer: bold'),
    )
    const nowhere = { GAVELPOST_ADMIN: 'http://127.0.0.1:1', GAVELPOST_KEY: '' }
    const [wrong, right] = await Promise.all([
      gavelpost(['validate', bad], nowhere),
      gavelpost(['validate', file], nowhere),
    ])
    expect(wrong).toMatchObject({ code: 1, error: '' })
    expect(wrong.out).toMatch(
      /^2 faults:\n {2}contracts\.acme\.price: is 19: .*\n {2}contracts\.bolt\.buyer: .*Did you mean "bolt"\?/,
    )
    expect(right).toMatchObject({ code: 0, out: 'It is valid.\n' })
  })
})

describe('a report', () => {
  const asked = ['report', '--from=2026-03-02', '--to=2026-03-03']
  beforeAll(async () => {
    await kit.kit.ask(`
      insert into report_leads (quarter, campaign, source, vertical, state, sub1, currency, valid, sold, copies, pinged, bids, bid_sum, revenue, payout)
      values ('2026-03-02 05:45Z', 'solar', 'mill', 'solar', 'TX', '=a', 'USD', 1000, 100, 100, 4000, 2000, 30000000000, 1800000000, 1200000000),
        ('2026-03-02 06:00Z', 'solar', 'mill', 'solar', 'AZ', '', 'USD', 1, 0, 0, 0, 0, 0, 0, 0)`)
    await kit.kit.ask(`
      insert into report_reasons values ('2026-03-02 06:00Z', 'solar', 'acme', 'acme', 'rejected', 'rejected:bad zip', 7),
        ('2026-03-02 06:00Z', 'solar', 'bolt', 'bolt', 'not_asked', 'cap_day', 70)`)
  })

  it('is a table that fits a screen, of days of the zone', async () => {
    const { code, out, error } = await gavelpost([
      ...asked,
      '--by',
      'state',
      '--columns',
      'valid,sold,bid_rate,epl,post_p50',
    ])
    expect([code, error]).toEqual([0, ''])
    expect(out).toBe(
      'state  currency  valid  sold  bid_rate   epl\nAZ     USD           1     0            0.00\nTX     USD        1000   100       0.5  1.80\n',
    )
    const there = await gavelpost([...asked, '--per', 'day', '--zone', 'America/Chicago', '--only', 'state=AZ'])
    expect(there.out).toMatch(/^period {6}currency .*\n2026-03-02 {2}USD .*\n$/)
    expect((await gavelpost([...asked, '--only', 'state=NV'])).out).toBe('Nothing came in this time.\n')
  })

  it('is CSV or JSON where that is asked for, and tells reasons', async () => {
    const csv = await gavelpost([...asked, '--by', 'sub1', '--csv'])
    expect(readCsv(csv.out).map(([sub, , received]) => [sub, received])).toEqual([
      ['sub1', 'received'],
      ['', '1'],
      ["'=a", '1000'],
    ])
    expect(JSON.parse((await gavelpost([...asked, '--json'])).out)).toMatchObject({
      rows: [{ valid: 1001 }],
      recounting: 0,
    })
    expect((await gavelpost([...asked, '--reasons', '--by', 'contract,reason'])).out).toBe(
      'contract  reason             n\nbolt      cap_day           70\nacme      rejected:bad zip   7\n',
    )
  })

  it('says what it does not know', async () => {
    expect((await gavelpost([...asked, '--by', 'colour'])).error).toMatch(/query\.by: knows no "colour"/)
    expect((await gavelpost([...asked, '--columns', 'colour'])).error).toMatch(/^There is no column "colour"/)
    expect((await gavelpost(['report', '--from=monday'])).error).toMatch(/^monday is no moment: write it as/)
  })
})

describe('what is wrong', () => {
  it.each([
    [['exprot'], {}, 2, /^There is no command "exprot"\. Did you mean "export"\?/],
    [['plan'], {}, 2, /^Say which file/],
    [['plan', '/nowhere/at/all'], {}, 2, /cannot be read \(ENOENT\)/],
    [['export', '--wrong'], {}, 2, /It is called as: gavelpost export \[--version N\]/],
    [['export'], { GAVELPOST_KEY: '' }, 2, /^There is no key: set GAVELPOST_KEY/],
    [['export'], { GAVELPOST_KEY: 'nobody' }, 1, /^The key is not known there/],
    [
      ['export'],
      { GAVELPOST_ADMIN: 'http://127.0.0.1:1' },
      1,
      /^http:\/\/127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)/,
    ],
    [['rollback', '99'], {}, 1, /^There is nothing of this name/],
    [['rollback', '1'], { GAVELPOST_KEY: 'viewer' }, 1, /^This needs the role operator/],
    [['lead', 'nonsense'], {}, 1, /^There is no lead with this id/],
  ] as const)('%j is told in words', async (args, env, code, words) => {
    const ran = await gavelpost(args, env)
    expect([ran.code, ran.out]).toEqual([code, ''])
    expect(ran.error).toMatch(words)
  })
})

describe('tables and files', () => {
  it('are aligned, and nobody writes to the terminal', () => {
    expect(
      table([
        ['a', '7', 'x\u001b[2J'],
        ['bcd', '10.5', ''],
      ]),
    ).toEqual(['a       7  x?[2J', 'bcd  10.5'])
  })

  it('are read and written as spreadsheets do, and run no formula', () => {
    const rows = [
      ['a', 'b "c", d'],
      ['line\nbreak', ''],
      ['=1+1', '+x'],
      ['@a', '-5.5'],
      ['-a', '12'],
    ]
    const text = writeCsv(rows)
    expect(text).toBe(`a,"b ""c"", d"\r\n"line\nbreak",\r\n'=1+1,'+x\r\n'@a,-5.5\r\n'-a,12\r\n`)
    expect(readCsv(text).slice(0, 2)).toEqual(rows.slice(0, 2))
    expect(readCsv('\ufeffa,b\n1,"2"\n\n')).toEqual([
      ['a', 'b'],
      ['1', '2'],
    ])
  })
})
