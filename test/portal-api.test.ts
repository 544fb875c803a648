/** The portal's document, requests made from it, and that nobody reaches what is another's. */
import { Validator } from '@seriousme/openapi-schema-validator'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Described, describedIn, faultOf, requestOf, SPOILERS } from './admin-kit/requests.ts'
import { fuzzRuns } from './fuzz.ts'
import { PortalKit } from './portal-kit.ts'

let kit: PortalKit
// biome-ignore lint/suspicious/noExplicitAny: the document as it comes
let document: any
let operations: readonly Described[]
beforeAll(async () => {
  kit = await PortalKit.open()
  document = (await kit.read('GET', '/v1/openapi.json', null)).body
  operations = describedIn(document)
})
afterAll(() => kit.close())

it('is valid OpenAPI 3.1, names each operation once and every status that it may answer', async () => {
  const result = await new Validator().validate(document)
  expect(result.errors).toBeUndefined()
  expect(result.valid).toBe(true)
  const ids = operations.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.length).toBe(kit.operations.length)
  for (const { id, responses, open } of operations)
    expect(Object.keys(responses), id).toEqual(expect.arrayContaining(open ? ['200'] : ['401', '403', '429', '503']))
})

it('requests made from it are answered as it says, good ones and bad ones', async () => {
  const own = await PortalKit.open({ patient: true })
  try {
    const lead = await own.sell('acme')
    const known = { id: 'acme', from: '2026-01-01T00:00:00Z', to: '2090-01-01T00:00:00Z', lead_id: lead, block: '1' }
    for (const operation of operations) {
      const key = operation.path.startsWith('/v1/source') ? 'mill' : 'acme'
      const send = async ({ path, headers, body }: { path: string; headers: object; body: string | undefined }) => {
        const reply = await own.ask(operation.method, path, key, body, headers)
        expect(await faultOf(operation, reply), `${path} ${body}`.slice(0, 600)).toBeNull()
        expect(reply.status).not.toBe(429)
      }
      const good = requestOf(operation, known).map((request) => ({
        ...request,
        // Made-up leads are nobody's: some of these are the buyer's.
        body: request.body?.replace(/"lead_id":"[^"]*[02468]"/g, `"lead_id":"${lead}"`),
      }))
      await fc.assert(fc.asyncProperty(good, send), { numRuns: fuzzRuns(20, 400) })
      if (operation.path.includes('{')) {
        const [strange] = fc.sample(requestOf(operation, { id: '\u0000\u{1f600}/..', block: '-1' }), 1)
        await send(strange!)
      }
      for (const spoil of Object.values(SPOILERS)) {
        const [sample] = fc.sample(requestOf(operation, known, true), 1)
        await send(operation.body ? spoil(sample!) : { ...spoil(sample!), body: undefined })
      }
    }
  } finally {
    await own.close()
  }
}, 300_000)

it('nothing of one buyer or source is there for another', async () => {
  const theirs = await kit.sell('bolt', { source: 'forge', leadRef: 'F-1' })
  const block = (await kit.read('POST', '/v1/buyer/blocks', 'bolt', { source: 'S-1' })).body
  const asked = [
    await kit.read('POST', '/v1/buyer/dispositions', 'acme', { lead_id: theirs, status: 'sold' }),
    await kit.read('PATCH', '/v1/buyer/contracts/bolt', 'acme', { paused: true }),
    await kit.read('DELETE', `/v1/buyer/blocks/${block.id}`, 'acme'),
    await kit.read('POST', '/v1/buyer/returns', 'acme', { lead_id: theirs, reason_code: 'fraud' }),
    await kit.read('GET', `/v1/buyer/returns/${theirs}`, 'acme'),
  ]
  expect(asked.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404])
  const ALL = 'from=2026-01-01T00:00:00Z&to=2090-01-01T00:00:00Z'
  const seen = async (paths: readonly string[], key: string) =>
    JSON.stringify(await Promise.all(paths.map(async (path) => (await kit.read('GET', path, key)).body)))
  const buyers = ['contracts', 'blocks', 'returns', `sales?${ALL}`, `statement?${ALL}`].map(
    (path) => `/v1/buyer/${path}`,
  )
  const sources = [`leads?${ALL}`, `statement?${ALL}`, `report?${ALL}`].map((path) => `/v1/source/${path}`)
  expect(await seen(buyers, 'acme')).not.toMatch(/bolt|forge|mill|S-2|"14\.00"/)
  expect(await seen(buyers, 'bolt')).toMatch(theirs)
  expect(await seen(sources, 'mill')).not.toMatch(/acme|bolt|forge|F-1/)
  expect(await seen(sources, 'forge')).toMatch(theirs)
})

it('bodies that are too large, other methods and strange paths are refused as they are everywhere', async () => {
  expect((await kit.read('POST', '/v1/buyer/dispositions', 'acme', 'x'.repeat(70_000))).status).toBe(413)
  const put = await kit.read('PUT', '/v1/buyer/sales', 'acme')
  expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  const head = await kit.ask('HEAD', '/v1/buyer/sales', 'acme')
  expect([head.status, await head.text()]).toEqual([200, ''])
  for (const path of ['/v1/buyer/', '/v1/buyer/nothing', '/v1/source/..%2fbuyer%2fsales', '/v1/buyer/%zz'])
    expect((await kit.read('GET', path, 'acme')).status, path).toBe(404)
})
