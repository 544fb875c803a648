/** The configuration file: loaded, watched, reloaded without losing the last good version. */
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ConfigurationWatch,
  faultsInWords,
  loadConfiguration,
  type Reload,
  watchConfiguration,
} from '../engine/configuration/file.ts'
import { parseConfiguration } from '../engine/configuration/text.ts'
import { EXAMPLE_BUYERS_FILE, EXAMPLE_FILE, exampleCurl, exampleLead, startScriptedBuyers } from '../engine/example.ts'
import { openingOf } from '../rules/eligibility.ts'
import { parseLead } from '../rules/lead.ts'
import { wallMs } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'

let folder: string
let path: string
let watching: ConfigurationWatch | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gavelpost-configuration-'))
  path = join(folder, 'gavelpost.yaml')
})

afterEach(() => {
  watching?.close()
  watching = undefined
  rmSync(folder, { recursive: true })
})

const NO_HINTS = { exhausted: () => null, doubts: () => false, unwell: () => false }
const EXAMPLE = readFileSync(EXAMPLE_FILE, 'utf8')
const placeholders = { buyers: 'http://127.0.0.1:4000' }
const withFloor = (floor: string): string => EXAMPLE.replace('floor: "8.00"', `floor: ${floor}`)

/** Numbers texts as the ledger does: the latest text keeps its number, every other one gets a new one. */
function numbers(): { readonly number: (canonical: string) => Promise<number>; away: boolean; asked: number } {
  let latest = ''
  let count = 0
  const ledger = {
    away: false,
    asked: 0,
    number: async (canonical: string) => {
      ledger.asked++
      if (ledger.away) throw new Error('the ledger is away')
      if (canonical !== latest) count++
      latest = canonical
      return count
    },
  }
  return ledger
}

/** Loads, watches, and hands out what is reported, one after the other. */
async function start(ledger = numbers(), file = path) {
  const options = { path: file, placeholders, number: ledger.number }
  const loaded = await loadConfiguration(options)
  if (!loaded.ok) throw new Error(faultsInWords(file, loaded.faults, ''))
  const reports: Reload[] = []
  const waiting: ((report: Reload) => void)[] = []
  const put: Snapshot[] = [loaded.snapshot]
  watching = watchConfiguration({
    ...options,
    current: loaded.snapshot,
    changed: (snapshot) => void put.push(snapshot),
    report: (report) => {
      const next = waiting.shift()
      if (next) next(report)
      else reports.push(report)
    },
  })
  const next = (): Promise<Reload> =>
    new Promise((resolve) => {
      const report = reports.shift()
      if (report) resolve(report)
      else waiting.push(resolve)
    })
  return { put, next, watch: watching }
}

const floorOf = (snapshot: Snapshot | undefined) => snapshot?.campaigns.get('solar')?.floor

describe('the text', () => {
  it('is YAML or JSON, and says where it cannot be read', () => {
    expect(parseConfiguration('{"a": [1, {"b": "c"}]}')).toEqual({ ok: true, config: { a: [1, { b: 'c' }] } })
    expect(parseConfiguration('base: &b {x: 1}\nmore: {<<: *b, y: 2}')).toMatchObject({
      config: { more: { x: 1, y: 2 } },
    })
    const torn = parseConfiguration('sources:\n  demo: [1, 2\n')
    expect(torn.ok === false && torn.faults[0]!.path).toMatch(/^line \d+, column \d+$/)
  })

  it.each(['{"a": 1, "a": 2}', 'a: 1\nb: 2\na: 3\n'])('may not say a thing twice: %j', (text) => {
    const parsed = parseConfiguration(text)
    expect(parsed.ok === false && parsed.faults[0]!.message).toMatch(/unique/)
  })

  it('does not grow beyond reason through its anchors', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    for (let n = 1; n < 9; n++)
      lines.push(
        `a${n}: &a${n} [${Array(9)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
      )
    expect(parseConfiguration(lines.join('\n'))).toMatchObject({ ok: false, faults: [{ path: 'file' }] })
  })
})

describe('loading', () => {
  it('numbers the version and fills the placeholders in', async () => {
    writeFileSync(path, EXAMPLE)
    const loaded = await loadConfiguration({ path, placeholders, number: async () => 41 })
    expect(loaded).toMatchObject({ ok: true, snapshot: { version: 41, example: true }, warnings: [] })
    const { contracts } = (loaded as { snapshot: Snapshot }).snapshot.campaigns.get('solar')!
    expect(contracts[0]!.delivery.postUrl).toBe('http://127.0.0.1:4000/brightpath/post')
  })

  it('tells every fault and numbers nothing', async () => {
    writeFileSync(path, withFloor('8').replace('status: active', 'status: on').replace('priority: 2', 'prioritty: 2'))
    const ledger = numbers()
    const loaded = await loadConfiguration({ path, placeholders, number: ledger.number })
    if (loaded.ok) throw new Error('it was taken')
    expect(loaded.faults.map((fault) => fault.path).sort()).toEqual([
      'campaigns.solar.floor',
      'contracts.ridgeline-arizona.prioritty',
      'sources.demo.status',
    ])
    expect(ledger.asked).toBe(0)
    const words = faultsInWords(path, loaded.faults, 'Correct them and start again.').split('\n')
    expect(words).toHaveLength(5)
    expect(words[0]).toBe(`The configuration ${path} has 3 faults:`)
  })

  it('says what to do where there is no file', async () => {
    const loaded = await loadConfiguration({ path, placeholders, number: async () => 1 })
    expect(loaded).toEqual({
      ok: false,
      faults: [{ path, message: 'is not there: set CONFIG to the configuration file.' }],
    })
  })

  it('reads a large file in a thread of its own', async () => {
    writeFileSync(path, `${EXAMPLE}\n# ${'x'.repeat(200_000)}\n`)
    const loaded = await loadConfiguration({ path, placeholders, number: async () => 1 })
    expect(loaded).toMatchObject({ ok: true, snapshot: { version: 1 } })
  })
})

describe('watching', () => {
  it('takes up a changed file, however it was written', async () => {
    writeFileSync(path, EXAMPLE)
    const { put, next } = await start()
    writeFileSync(path, withFloor('"9.00"'))
    expect(await next()).toMatchObject({ kind: 'changed', snapshot: { version: 2 } })
    writeFileSync(join(folder, 'draft'), withFloor('"10.00"'))
    renameSync(join(folder, 'draft'), path)
    expect(await next()).toMatchObject({ kind: 'changed', snapshot: { version: 3 } })
    writeFileSync(path, EXAMPLE)
    expect(await next()).toMatchObject({ kind: 'changed', snapshot: { version: 4 } })
    expect(put.map(floorOf)).toEqual([8_000_000, 9_000_000, 10_000_000, 8_000_000])
  })

  it('follows a link to another folder, as mounted configurations are laid out', async () => {
    const other = mkdtempSync(join(tmpdir(), 'gavelpost-mounted-'))
    try {
      writeFileSync(join(other, 'real.yaml'), EXAMPLE)
      symlinkSync(join(other, 'real.yaml'), path)
      const { next } = await start()
      writeFileSync(join(other, 'real.yaml'), withFloor('"9.00"'))
      expect(await next()).toMatchObject({ kind: 'changed', snapshot: { version: 2 } })
    } finally {
      rmSync(other, { recursive: true })
    }
  })

  it('keeps the last good version on a fault, and goes on when it is mended', async () => {
    writeFileSync(path, EXAMPLE)
    const { put, next } = await start()
    writeFileSync(path, withFloor('eight'))
    expect(await next()).toMatchObject({ kind: 'faulty', faults: [{ path: 'campaigns.solar.floor' }] })
    rmSync(path)
    expect(await next()).toMatchObject({ kind: 'faulty', faults: [{ path }] })
    expect(put).toHaveLength(1)
    writeFileSync(path, withFloor('"9.50"'))
    expect(await next()).toMatchObject({ kind: 'changed', snapshot: { version: 2 } })
    expect(floorOf(put[1])).toBe(9_500_000)
  })

  it('makes no new version of the same content', async () => {
    writeFileSync(path, EXAMPLE)
    const ledger = numbers()
    const { put, next, watch } = await start(ledger)
    writeFileSync(
      path,
      `# a remark\n${EXAMPLE.replace('price: "24.00"\n    filter', 'filter').replace('    post_ms: 5000\n', '    price: "24.00"\n    post_ms: 5000\n')}`,
    )
    await watch.reload()
    expect(await next()).toEqual({ kind: 'unchanged' })
    expect(put).toHaveLength(1)
    expect(ledger.asked).toBe(1)
  })

  it('reads again on SIGHUP, changed or not', async () => {
    writeFileSync(path, EXAMPLE)
    const { next } = await start()
    process.emit('SIGHUP')
    expect(await next()).toEqual({ kind: 'unchanged' })
  })

  it('stops on close', async () => {
    writeFileSync(path, EXAMPLE)
    const listeners = process.listenerCount('SIGHUP')
    const { put, watch } = await start()
    expect(process.listenerCount('SIGHUP')).toBe(listeners + 1)
    watch.close()
    expect(process.listenerCount('SIGHUP')).toBe(listeners)
    writeFileSync(path, withFloor('"9.00"'))
    await watch.reload()
    expect(put).toHaveLength(1)
  })

  it('tries a good file again while the ledger is away', async () => {
    writeFileSync(path, EXAMPLE)
    const ledger = numbers()
    const { put, next } = await start(ledger)
    ledger.away = true
    writeFileSync(path, withFloor('"9.00"'))
    expect(await next()).toMatchObject({ kind: 'deferred', error: { message: 'the ledger is away' } })
    expect(put).toHaveLength(1)
    ledger.away = false
    expect(await next()).toMatchObject({ kind: 'changed', snapshot: { version: 2 } })
    expect(put).toHaveLength(2)
  })
})

describe('the example', () => {
  it('has a temper for each buyer that it names', () => {
    const { buyers } = JSON.parse(readFileSync(EXAMPLE_BUYERS_FILE, 'utf8')) as { buyers: Record<string, object> }
    const named = new Set([...EXAMPLE.matchAll(/\$\{buyers\}\/(\w+)\/(ping|post)/g)].map((match) => match[1]))
    expect(Object.keys(buyers).sort()).toEqual([...named].sort())
    expect(named.size).toBe(12)
  })

  it('has a lead that is valid, passes the filters of the open tier, and is another person each time', async () => {
    const loaded = await loadConfiguration({ path: EXAMPLE_FILE, placeholders, number: async () => 1 })
    if (!loaded.ok) throw new Error('faulty')
    const campaign = loaded.snapshot.campaigns.get('solar')!
    const emails = new Set<string>()
    for (let n = 0; n < 10_000_000; n += 34_567) {
      const parsed = parseLead(campaign.vertical, exampleLead(n), Date.parse('2026-03-02T20:00:00Z'))
      if (!parsed.ok) throw new Error(`${n}: ${JSON.stringify(parsed.issues)}`)
      expect(campaign.contracts.filter((one) => !one.filter?.fallsOn(parsed.lead, 'demo')).map(({ id }) => id)).toEqual(
        ['brightpath', 'lumen-texas', 'peak-renters-too', 'suncrest'],
      )
      emails.add(String(parsed.lead.values.get('email')!.normal))
    }
    expect(emails.size).toBe(290)
    const curl = exampleCurl('http://127.0.0.1:8080', 7)
    expect(curl.split('\n')).toHaveLength(1)
    expect(JSON.parse(curl.slice(curl.indexOf("-d '") + 4, -1))).toEqual(exampleLead(7))
  })

  it.each(['2026-12-25T05:00:00Z', '2026-03-01T10:30:00Z', '2026-11-01T07:15:00Z', '2026-07-04T23:59:00Z'])(
    'sells a lead of each campaign at any hour: %s',
    async (at) => {
      const loaded = await loadConfiguration({ path: EXAMPLE_FILE, placeholders, number: async () => 1 })
      if (!loaded.ok) throw new Error('faulty')
      expect(loaded.warnings).toEqual([])
      const { campaigns, sources } = loaded.snapshot
      for (const campaign of campaigns.values()) {
        const required = campaign.vertical.fields.filter((field) => field.required)
        const examples = Object.fromEntries(required.map(({ name, example }) => [name, example]))
        const now = wallMs(Date.parse(at))
        const parsed = parseLead(campaign.vertical, { ...examples, ...exampleLead(1) }, now)
        if (!parsed.ok) throw new Error(`${campaign.id}: ${JSON.stringify(parsed.issues)}`)
        const { eligible } = openingOf(campaign, parsed.lead, sources.get('demo')!, now, NO_HINTS)
        expect(eligible.length, campaign.id).toBeGreaterThan(1)
      }
    },
  )

  it('starts its buyers and stops them', async () => {
    const buyers = await startScriptedBuyers()
    expect(buyers.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    await buyers.stop()
    expect(() => process.kill(buyers.pid, 0)).toThrow()
  })
})
