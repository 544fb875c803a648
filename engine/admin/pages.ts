/** Operations that show how the engine does: health, metrics, status, the hot store, one lead. */
import Type from 'typebox'
import { validate } from 'uuid'
import { METRICS_TYPE } from '../metrics.ts'
import * as problem from '../problem.ts'
import { json, type Operation, type Page, page } from './operation.ts'
import type { AdminPort } from './port.ts'
import { nullable, object, text, words } from './shapes.ts'
import { waterfall } from './waterfall.ts'

const TEXT = 'text/plain; charset=utf-8'
const leadId = Type.String({ description: "A lead's id." })
const list = () => Type.Array(Type.Record(Type.String(), Type.Unknown()))

const Lead = Type.Object(
  {
    lead_id: text('Its id.'),
    status: text('received while it is under way.'),
    campaign: text('Its campaign.'),
    source: text('Its source.'),
    version: Type.Integer({ description: 'Of the configuration that decides it.' }),
    payout: text('What the source earns.'),
    currency: text('ISO 4217.'),
    received_at: text('ISO 8601.'),
    decided_at: nullable(text('ISO 8601.')),
    seats: list(),
    trace: list(),
    intents: list(),
    sales: list(),
    entries: list(),
    resolutions: list(),
    returns: list(),
  },
  { description: 'A lead with how each seat ended, its timeline, posts, sales and money. No lead value is in it.' },
)
const Status = Type.Object({ ready: Type.Boolean(), version: Type.Integer(), epoch: Type.Integer(), engines: list() })

type Shown = Pick<AdminPort, 'metrics' | 'hotDump' | 'status' | 'leadPage'>

export function pageOperations(data: Shown): readonly Operation[] {
  const get = { method: 'GET', tag: 'engine', role: 'viewer' } as const
  return [
    {
      ...{ ...get, id: 'health', path: '/healthz', role: null, summary: 'Whether the process lives.' },
      answers: { 200: { description: 'It does.', schema: object({ status: text('alive') }) } },
      run: async () => json({ status: 'alive' }),
    },
    {
      ...{
        ...get,
        id: 'metrics',
        path: '/metrics',
        summary: "Metrics in Prometheus's format. On loopback no key is needed.",
      },
      answers: { 200: { description: 'Metrics.', schema: Type.String(), type: 'text/plain' } },
      run: async () => page(await data.metrics(), METRICS_TYPE),
    },
    {
      ...{ ...get, id: 'hotStore', path: '/admin/v1/hot', summary: 'Every counter and live token of the hot store.' },
      answers: { 200: { description: 'The hot store.', schema: Type.Record(Type.String(), Type.Unknown()) } },
      run: async () => json(await data.hotDump()),
    },
    {
      ...{ ...get, id: 'status', path: '/admin/v1/status', summary: 'The engines, the version in force, what waits.' },
      answers: { 200: { description: 'How things stand.', schema: Status } },
      run: async () => json(await data.status()),
    },
    {
      ...{ ...get, id: 'readLead', path: '/admin/v1/leads/{lead_id}', tag: 'leads', params: { lead_id: leadId } },
      summary: 'One lead. As text, with format=text or Accept: text/plain, it is a waterfall to read.',
      query: Type.Object({ format: Type.Optional(words('json', 'text')) }),
      answers: { 200: { description: 'The lead.', schema: Lead, orText: 'text/plain' } },
      run: ({ params, asText }) => leadPage(data, params['lead_id']!, asText),
    },
  ]
}

async function leadPage(data: Shown, leadId: string, asText: boolean): Promise<Page> {
  const found = validate(leadId) ? await data.leadPage(leadId) : null
  if (found === null) return problem.noSuchLead()
  return asText ? page(waterfall(found), TEXT) : json(found)
}
