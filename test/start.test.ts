/** The first minute of a newcomer: start with nothing set, sell a lead with the printed line, break it on purpose, stop. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exampleLead } from '../engine/example.ts'
import { writeCsv } from '../rules/csv.ts'

const run = promisify(execFile)
const dataDir = mkdtempSync(join(tmpdir(), 'gavelpost-start-'))
const lines: string[] = []
let engine: ChildProcess
let origin: string
let admin: string
let curl: string

/** One person, with what insurers and lenders ask. */
const DRIVER_AND_BORROWER = {
  ...{ first_name: 'Ann', last_name: 'Lee', address: '1 Elm St', city: 'Austin', state: 'TX', zip: '78701' },
  ...{ phone: '512-234-0177', email: 'ann.lee@example.com', dob: '1980-03-04', residence: 'own' },
  ...{ currently_insured: 'yes', continuous_months: '24', incidents: '0', birth_year: '1980' },
  ...{ vehicle_year: '2019', vehicle_make: 'Toyota', vehicle_model: 'Camry' },
  ...{ amount: '3000', income_band: '3000-4000', employer_type: 'employed', pay_frequency: 'monthly' },
  ...{ ssn: '123-45-6789', military: 'no', direct_deposit: 'yes', credit_band: 'good' },
}

const JSON_TYPE = `-H 'Content-Type: application/json'`

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  const { port } = server.address() as { port: number }
  await new Promise((down) => server.close(down))
  return port
}

async function shell(line: string): Promise<string> {
  return (await run('bash', ['-c', line])).stdout
}

const post = (body: string, more = ''): Promise<string> =>
  shell(`curl -s -w '\\n%{http_code}' ${origin}/v1/campaigns/solar/leads ${more} -d '${body}'`)

beforeAll(async () => {
  const env = { PORT: String(await freePort()), ADMIN_PORT: String(await freePort()), DATA_DIR: dataDir }
  engine = spawn('npm', ['start', '--silent'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    // A group of its own, to be interrupted as a terminal does it.
    detached: true,
  })
  const output = createInterface({ input: engine.stdout! })
  for await (const line of output) {
    lines.push(line)
    if (line.startsWith('curl ')) break
  }
  const ready = /^ready (http:\/\/127\.0\.0\.1:\d+) {2}admin (http:\/\/127\.0\.0\.1:\d+)$/.exec(lines.at(-2)!)!
  origin = ready[1]!
  admin = ready[2]!
  curl = lines.at(-1)!
})

afterAll(() => {
  if (engine.exitCode === null && engine.signalCode === null) process.kill(-engine.pid!, 'SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

test('the printed line sells a lead, and the operator can read how', async () => {
  const sold = JSON.parse(await shell(curl))
  expect(sold).toMatchObject({ status: 'sold', currency: 'USD', copies: 1 })
  const page = await shell(
    `curl -s -H 'Authorization: Bearer demo-admin' '${admin}/admin/v1/leads/${sold.lead_id}?format=text'`,
  )
  expect(page).toMatch(/> post /)
  expect(page).toMatch(/sold/)
  const again = JSON.parse(await shell(curl))
  expect(again.status).toBe('duplicate')
  const told = JSON.parse(await shell(`curl -s -H 'X-Api-Key: demo' ${origin}/v1/leads/${sold.lead_id}`))
  expect(told).toEqual(sold)
})

test('every stage of that lead was timed, and both ends were counted', async () => {
  const page = await shell(`curl -s ${admin}/metrics`)
  const untimed = [...page.matchAll(/^gavelpost_stage_seconds_count\{stage="(\w+)"\} 0$/gm)].map((match) => match[1])
  // The example checks no lead before its pings.
  expect(untimed).toEqual(['check'])
  for (const status of ['sold', 'duplicate']) expect(page).toContain(`gavelpost_leads_total{status="${status}"} 1`)
})

test.each(['auto', 'loan'])('a lead of campaign %s sells too, and tells the source what it earns', async (campaign) => {
  const sold = JSON.parse(
    await shell(
      `curl -s ${origin}/v1/campaigns/${campaign}/leads ${JSON_TYPE} -H 'X-Api-Key: demo' -d '${JSON.stringify(DRIVER_AND_BORROWER)}'`,
    ),
  )
  expect(sold).toMatchObject({ status: 'sold', currency: 'USD' })
  expect(Number(sold.payout)).toBeGreaterThan(1)
})

test.each([
  ['a body that is no JSON', '{"first_name":', `${JSON_TYPE} -H 'Authorization: Bearer demo'`, 400],
  ['no key', '{}', JSON_TYPE, 401],
  ['a wrong key', '{}', `${JSON_TYPE} -H 'Authorization: Bearer wrong'`, 401],
  ['a lead without its fields', '{"phone":"555"}', `${JSON_TYPE} -H 'Authorization: Bearer demo'`, 422],
  ['a type that nobody reads', 'x', `-H 'Authorization: Bearer demo' -H 'Content-Type: text/csv'`, 415],
])('%s is refused in words', async (_, body, more, status) => {
  const [said, code] = (await post(body, more)).split('\n')
  expect(Number(code)).toBe(status)
  expect(JSON.parse(said!)).toMatchObject({ type: 'about:blank', status })
})

test('the operator finds the lead, sees why each buyer lost, and replays it', async () => {
  const key = `-H 'Authorization: Bearer demo-admin'`
  const n = Math.floor(Math.random() * 10_000_000)
  const { phone } = exampleLead(n) as { phone: string }
  const body = { ...exampleLead(n), email: `find.${n}@example.com`, lead_ref: `F-${n}` }
  const [said] = (await post(JSON.stringify(body), `${JSON_TYPE} -H 'Authorization: Bearer demo'`)).split('\n')
  const { lead_id } = JSON.parse(said!)
  const search = async (query: object) =>
    JSON.parse(
      await shell(`curl -s -f ${key} ${JSON_TYPE} -d '${JSON.stringify(query)}' ${admin}/admin/v1/leads:search`),
    ).items
  const [area, exchange, line] = phone.split('-')
  for (const query of [
    { phone: `(${area}) ${exchange} ${line}` },
    { email: `Find.${n}@Example.com` },
    { lead_ref: `F-${n}` },
    { lead_id },
  ]) {
    expect(await search(query), JSON.stringify(query)).toMatchObject([{ lead_id, status: 'sold', lead_ref: `F-${n}` }])
  }
  expect(await search({ lead_ref: `F-${n}`, status: 'unsold' })).toEqual([])
  expect(await search({ phone: '512-555-0000' })).toEqual([])
  const [{ buyers }] = await search({ lead_id })
  expect((await search({ buyer: buyers[0] }))[0]).toMatchObject({ lead_id })
  const { seats } = JSON.parse(await shell(`curl -s ${key} ${admin}/admin/v1/leads/${lead_id}/explain`))
  expect(seats).toHaveLength(6)
  expect(seats.find(({ contract }: { contract: string }) => contract === 'helio-southwest')).toMatchObject({
    reason: 'filter_state',
    to_win: 'state one of CA, NV',
  })
  const replayed = JSON.parse(await shell(`curl -s -X POST ${key} ${admin}/admin/v1/leads/${lead_id}:replay`))
  expect(replayed).toMatchObject({ same: true, differs: null })
})

test('the command line imports leads, follows them, and tells how one went', async () => {
  const gavelpost = (line: string) =>
    shell(`GAVELPOST_ADMIN=${admin} GAVELPOST_KEY=demo-admin node engine/cli/main.ts ${line}`)
  const leads = [1, 2, 3].map(() => exampleLead(Math.floor(Math.random() * 10_000_000)))
  const header = Object.keys(leads[0]!)
  const file = join(dataDir, 'leads.csv')
  writeFileSync(file, writeCsv([header, ...leads.map((one) => Object.values(one)), header.map(() => 'x')]))
  const follower = spawn(process.execPath, ['engine/cli/main.ts', 'tail', '--count', '3', '--json'], {
    env: { PATH: process.env['PATH'], GAVELPOST_ADMIN: admin, GAVELPOST_KEY: 'demo-admin' },
  })
  const followed = text(follower.stdout)
  await once(follower.stderr, 'data')
  const imported = await shell(
    `GAVELPOST_ADMIN=${admin} SOURCE_KEY=demo npx gavelpost import ${file} --campaign solar --to ${origin} || true`,
  )
  expect(imported).toMatch(/^4 leads of .*\n3 {2}sold\n1 {2}refused\n {2}line 5: .*phone/)
  const told = (await followed)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(told.map(({ status }) => status)).toEqual(['sold', 'sold', 'sold'])
  const [{ lead_id }] = told
  expect(await gavelpost(`lead ${lead_id}`)).toMatch(/^Lead .* sold\n[\s\S]*\nWhy\n[\s\S]*to win: /)
  expect(await gavelpost(`replay ${lead_id}`)).toMatch(/^The same: \d+ rows\.\n$/)
})

test('a change that is published decides the next lead', async () => {
  const key = `-H 'Authorization: Bearer demo-admin'`
  const path = `${admin}/admin/v1/contracts/brightpath`
  const etag = /etag: (\S+)/i.exec(await shell(`curl -s -i ${key} ${path}`))![1]
  await shell(`curl -s -f -X PATCH ${key} ${JSON_TYPE} -H 'If-Match: ${etag}' -d '{"priority":7}' ${path}`)
  const published = JSON.parse(await shell(`curl -s -f -X POST ${key} ${admin}/admin/v1/publish`))
  expect(published).toMatchObject({ version: 2, changes: [{ words: 'contract brightpath: priority was added (7)' }] })
  const serving = async () => JSON.parse(await shell(`curl -s ${key} ${admin}/admin/v1/status`)).version
  while ((await serving()) !== 2);
  const lead = { ...exampleLead(Math.floor(Math.random() * 10_000_000)), email: 'jane.published@example.com' }
  const [sold] = (await post(JSON.stringify(lead), `${JSON_TYPE} -H 'Authorization: Bearer demo'`)).split('\n')
  const page = await shell(`curl -s ${key} '${admin}/admin/v1/leads/${JSON.parse(sold!).lead_id}'`)
  expect(JSON.parse(page)).toMatchObject({ version: 2, status: 'sold' })
})

test('a buyer that is paused buys nothing from then on', async () => {
  const key = `-H 'Authorization: Bearer demo-admin'`
  const act = (verb: string) => shell(`curl -s -f -X POST ${key} ${admin}/admin/v1/buyers/brightpath:${verb}`)
  const why = async () => {
    const lead = { ...exampleLead(Math.floor(Math.random() * 10_000_000)), email: `jane.${Math.random()}@example.com` }
    const [said] = (await post(JSON.stringify(lead), `${JSON_TYPE} -H 'Authorization: Bearer demo'`)).split('\n')
    const page = JSON.parse(await shell(`curl -s ${key} '${admin}/admin/v1/leads/${JSON.parse(said!).lead_id}'`))
    return page.seats.find(({ contract }: { contract: string }) => contract === 'brightpath').reason
  }
  await act('pause')
  while ((await why()) !== 'paused');
  await act('resume')
  while ((await why()) === 'paused');
})

test('a buyer sees what it bought, says what became of it and gives it back, and the source sees that', async () => {
  const asked = async (key: string, method: string, address: string, body: object | null = null, more = '') =>
    JSON.parse(
      await shell(
        `curl -s -f -X ${method} -H 'Authorization: Bearer ${key}' ${JSON_TYPE} ${more} ${body ? `-d '${JSON.stringify(body)}'` : ''} '${address}'`,
      ),
    )
  const operator = (method: string, path: string, body?: object, more?: string) =>
    asked('demo-admin', method, `${admin}/admin/v1/${path}`, body, more)
  const keys: Record<string, string> = {}
  const { items } = await operator('GET', 'contracts?limit=1000')
  for (const { id, etag, value } of items) {
    if (value.campaign !== 'solar') continue
    const change = { returns: { approval: 'automatic', share: 1 }, self_service: { pause: true } }
    await operator('PATCH', `contracts/${id}`, change, `-H 'If-Match: ${etag}'`)
    keys[value.buyer] = (await operator('POST', `buyers/${value.buyer}/keys`, {})).key
  }
  const { version } = await operator('POST', 'publish', {})
  while ((await operator('GET', 'status')).version !== version);
  const given = { ...exampleLead(Math.floor(Math.random() * 10_000_000)), email: 'jane.portal@example.com' }
  const [said] = (await post(JSON.stringify(given), `${JSON_TYPE} -H 'Authorization: Bearer demo'`)).split('\n')
  const { lead_id, payout } = JSON.parse(said!)
  const [{ buyer, contract, price }] = (await operator('GET', `leads/${lead_id}`)).sales
  const portal = (method: string, path: string, body?: object) =>
    asked(keys[buyer]!, method, `${origin}/v1/buyer/${path}`, body)
  const bought = async () => (await portal('GET', 'sales')).items.at(-1)
  expect(await bought()).toMatchObject({ lead_id, contract, price, source: 'S-1041', returned: false })
  await portal('POST', 'dispositions', { lead_id, status: 'contacted' })
  expect(await portal('POST', 'returns', { lead_id, reason_code: 'wrong_number' })).toMatchObject({ state: 'approved' })
  expect(await bought()).toMatchObject({ lead_id, returned: true, disposition: 'contacted' })
  const period = 'from=2026-01-01T00:00:00Z&to=2090-01-01T00:00:00Z'
  const [account] = (await portal('GET', `statement?${period}`)).accounts
  expect(account.returns).toEqual({ count: 1, amount: price })
  const own = (await asked('demo', 'GET', `${origin}/v1/source/leads?limit=1000`)).items
  const mine = own.find((one: { lead_id: string }) => one.lead_id === lead_id)
  expect(mine).toMatchObject({ status: 'sold', returned: true, earned: '0.00', dispositions: ['contacted'] })
  expect(Number(payout)).toBeGreaterThan(0)
  expect(await portal('PATCH', `contracts/${contract}`, { paused: true })).toMatchObject({ paused: true })
  const shown = (await portal('GET', 'contracts')).contracts.find(({ id }: { id: string }) => id === contract)
  expect(shown).toMatchObject({ state: 'paused', paused_by: 'buyer' })
  await portal('PATCH', `contracts/${contract}`, { paused: false })
})

test("a source's key tells when it was used", async () => {
  const keys = () => shell(`curl -s -f -H 'Authorization: Bearer demo-admin' ${admin}/admin/v1/sources/demo/keys`)
  let [key] = JSON.parse(await keys())
  for (; key.used_at === null; [key] = JSON.parse(await keys())) await shell('sleep 0.2')
  expect(Date.parse(key.used_at)).toBeGreaterThan(Date.now() - 600_000)
})

test('a hang-up has the configuration read again, and ends nothing', async () => {
  const status = JSON.parse(await shell(`curl -s -H 'Authorization: Bearer demo-admin' ${admin}/admin/v1/status`))
  process.kill(status.engines[0].pid, 'SIGHUP')
  for (let i = 0; i < 40; i++) expect(JSON.parse(await shell(`curl -s ${origin}/readyz`))).toEqual({ status: 'ready' })
})

test('Ctrl-C drains and stops everything that was started', async () => {
  const running = async () => (await shell('ps -eo args')).split('\n').filter((line) => line.includes(dataDir))
  expect(await running()).not.toEqual([])
  const gone = new Promise((ended) => engine.once('exit', ended))
  process.kill(-engine.pid!, 'SIGINT')
  await gone
  expect(await running()).toEqual([])
})
