/** Presets through a whole engine: real sockets, a server that answers as each platform does, and what the source hears of it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MockRequest } from '../bench/mock-buyer.ts'
import { headerOf } from '../bench/mock-buyer.ts'
import { PRESET_STORIES, type PresetStory, RAW } from './delivery-kit.ts'
import { type Door, House, houseConfig, send } from './inbound-kit.ts'

type Reply = PresetStory['replies'][number]

let house: House
let door: Door
let n = 1_000
/** What the platform of a preset says next. */
const says = new Map<string, { readonly ping: Reply | undefined; readonly post: Reply | undefined }>()

beforeAll(async () => {
  house = await House.open((url) => houseConfig(url, (config) => withPresets(config, url)), {
    script: ({ kind, buyer }) => {
      const reply = says.get(buyer)?.[kind === 'ping' ? 'ping' : 'post']
      if (reply === undefined) return undefined
      const { 'content-length': _, ...headers } = reply.headers ?? {}
      return { how: 'reply', afterMs: 0, status: reply.status, body: reply.body, headers }
    },
  })
  door = await house.engine()
})
afterAll(() => house.close())

/** A campaign for each preset, with one buyer who speaks it. */
// biome-ignore lint/suspicious/noExplicitAny: a configuration that tests bend out of shape has none
function withPresets(config: any, url: string): void {
  config.contracts = {}
  delete config.campaigns.solar.floor
  for (const [name, { contract, delivery, ping }] of PRESET_STORIES) {
    config.campaigns[name] = config.campaigns.solar
    config.buyers[name] = { zone: 'America/Chicago' }
    const addresses = { post_url: `${url}/${name}/post`, ...(ping && { ping_url: `${url}/${name}/ping` }) }
    config.contracts[name] = {
      ...{ buyer: name, campaign: name, status: 'active', post_ms: 3_000, ...contract },
      delivery: { ...delivery, ...addresses },
    }
  }
  config.sources.mill.campaigns = PRESET_STORIES.map(([name]) => name)
}

/** What becomes of a lead of which a platform says this; `asked`: whom it was shown to. */
const BECOMES: Readonly<Record<string, { readonly status: string; readonly asked: readonly string[] }>> = {
  'ping noBid': { status: 'unsold', asked: ['ping'] },
  'post accepted': { status: 'sold', asked: ['ping', 'post'] },
  'post rejected': { status: 'unsold', asked: ['ping', 'post'] },
  'post unknown': { status: 'pending', asked: ['ping', 'post'] },
}

const isForm = (request: MockRequest) => headerOf(request, 'content-type').includes('form')
const textOf = (request: MockRequest) =>
  isForm(request) ? decodeURIComponent(request.body.toString()) : request.body.toString()

test.each(PRESET_STORIES)('%s', { timeout: 60_000 }, async (name, story) => {
  const bid = story.replies.find(({ to, is }) => to === 'ping' && is.kind === 'bid')
  const accepted = story.replies.find(({ to, is }) => to === 'post' && is.kind === 'accepted')!
  for (const reply of story.replies) {
    const seen = house.buyers.requests.length
    says.set(name, reply.to === 'ping' ? { ping: reply, post: accepted } : { ping: bid, post: reply })
    const person = { phone: `512-555-${n}`, email: `jane${n++}@example.com` }
    const lead = { ...(story.lead ?? RAW), ...person }
    const { status, json } = await send(`${door.origin}/v1/campaigns/${name}/leads`, lead)
    const { status: becomes, asked } = BECOMES[`${reply.to} ${reply.is.kind}`] ?? BECOMES['post accepted']!
    expect([status, json.status], reply.body).toEqual([becomes === 'pending' ? 202 : 200, becomes])
    const requests = house.buyers.requests.slice(seen)
    expect(requests.map(({ kind }) => kind)).toEqual(asked.filter((kind) => kind === 'post' || bid !== undefined))
    for (const request of requests) expectTold(story, request)
    const post = requests.find(({ kind }) => kind === 'post')
    const reference = reply.to === 'ping' ? reply.is.buyerReference : bid?.is.buyerReference
    if (post && reference && JSON.stringify(story.post).includes('B-77')) expect(textOf(post)).toContain(reference)
  }
})

/** Method and form as its story says, and in a ping nothing of the person. */
function expectTold(story: PresetStory, request: MockRequest): void {
  const told = story[request.kind === 'ping' ? 'ping' : 'post'] as {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
  }
  expect(request.head.split(' ')[0]).toBe(told.method)
  expect(headerOf(request, 'content-type')).toBe(told.headers['content-type'] ?? '')
  if (request.kind === 'ping') expect(textOf(request)).not.toMatch(/512.?555|@example|Congress/)
}

test('nobody else was asked, and every doubt waits for its answer', async () => {
  const doubts = PRESET_STORIES.flatMap(([name, { replies }]) =>
    replies.filter(({ is }) => is.kind === 'unknown').map(() => name),
  )
  const rows = await house.ask<{ contract: string }>(`select contract from intents where state = 'in_doubt' order by 1`)
  expect(rows.map(({ contract }) => contract)).toEqual(doubts.sort())
})
