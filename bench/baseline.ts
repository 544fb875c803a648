/** The baseline: what a competent engineer writes in a day. It sells leads under caps and without duplicates, and stores nothing. */
import Fastify from 'fastify'
import { Redis, type Result } from 'ioredis'
import { request } from 'undici'
import { v4 as uuid } from 'uuid'
import { type BuyerAddress, contenderSettings, cpuUs, leadsPath, reportReady } from './contender.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takeCap(key: string, limit: number): Result<number, Context>
  }
}

interface Bid {
  readonly buyer: BuyerAddress
  readonly price: number
}

type LeadBody = Record<string, unknown> & { readonly phone: string; readonly email: string }

const DUPLICATE_SECONDS = 30 * 24 * 3600
const CAP_PER_BUYER = 100_000_000
const LEAD_TIMEOUT_MS = 30_000
const SHARE = 0.7
const PING_FIELDS = ['state', 'zip', 'ownership', 'bill_band', 'roof_shade', 'utility', 'project_type', 'time_frame']

const LEAD_SCHEMA = {
  body: {
    type: 'object',
    required: ['first_name', 'last_name', 'email', 'phone', 'state', 'zip'],
    properties: Object.fromEntries(
      ['first_name', 'last_name', 'email', 'phone', 'state', 'zip', ...PING_FIELDS].map((name) => [
        name,
        { type: 'string', minLength: 1, maxLength: 500 },
      ]),
    ),
  },
}

const TAKE_CAP = `
  local used = redis.call('INCR', KEYS[1])
  if used == 1 then redis.call('EXPIRE', KEYS[1], 86400) end
  if used > tonumber(ARGV[1]) then redis.call('DECR', KEYS[1]) return 0 end
  return 1`

const settings = contenderSettings(process.env)
const redis = new Redis(settings.redisUrl)
redis.defineCommand('takeCap', { numberOfKeys: 1, lua: TAKE_CAP })

async function send(url: string, body: unknown, signal: AbortSignal): Promise<Record<string, unknown>> {
  const reply = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  })
  return (await reply.body.json()) as Record<string, unknown>
}

async function ping(buyer: BuyerAddress, leadId: string, lead: LeadBody, signal: AbortSignal): Promise<Bid | null> {
  try {
    const partial = Object.fromEntries(PING_FIELDS.map((name) => [name, lead[name]]))
    const reply = await send(buyer.origin + buyer.pingPath, { ping_id: leadId, lead: partial }, signal)
    return reply['accept'] ? { buyer, price: Number(reply['price']) } : null
  } catch {
    return null
  }
}

async function sell(campaign: string, leadId: string, lead: LeadBody): Promise<object> {
  const fresh = await redis.set(`duplicate:${campaign}:${lead.phone}`, leadId, 'EX', DUPLICATE_SECONDS, 'NX')
  if (!fresh) return { lead_id: leadId, status: 'duplicate' }
  const signal = AbortSignal.timeout(LEAD_TIMEOUT_MS)
  const answers = await Promise.all((settings.buyers[campaign] ?? []).map((buyer) => ping(buyer, leadId, lead, signal)))
  const bids = answers.filter((bid) => bid !== null).sort((a, b) => b.price - a.price)
  const day = new Date().toISOString().slice(0, 10)
  for (const { buyer, price } of bids) {
    if (!(await redis.takeCap(`cap:${buyer.origin}${buyer.postPath}:${day}`, CAP_PER_BUYER))) continue
    const post = { lead_id: leadId, price: price.toFixed(2), lead }
    const reply = await send(buyer.origin + buyer.postPath, post, signal)
    if (reply['accept']) return { lead_id: leadId, status: 'sold', payout: (price * SHARE).toFixed(2), currency: 'USD' }
  }
  return { lead_id: leadId, status: 'unsold', reasons: ['no_buyer'] }
}

const app = Fastify()
type LeadRoute = { Params: { campaign: string }; Body: LeadBody }
app.post<LeadRoute>(leadsPath(':campaign'), { schema: LEAD_SCHEMA }, ({ params, body }) =>
  sell(params.campaign, uuid(), body),
)
reportReady(await app.listen({ host: '127.0.0.1', port: settings.port }), { cpu: cpuUs })
