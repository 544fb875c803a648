/** What a campaign asks of its sources, for machines and for people: fields in words, JSON Schemas, and OpenAPI 3.1. */
import { fieldType } from './fields.ts'
import type { Demand } from './lead.ts'
import type { Campaign } from './version.ts'
import { TRACKING_FIELDS, type VerticalField } from './verticals.ts'

type Json = Readonly<Record<string, unknown>>

/** How values of a type are written, where its name does not say it. */
const WORDS: Readonly<Record<string, string>> = {
  name: 'a name',
  text: 'free text',
  consent_text: 'text, as the consumer saw it',
  phone: 'a phone number, in any punctuation',
  email: 'an email address',
  street: 'a street address',
  city: 'a city',
  state: 'a state, by its code or name',
  zip: 'a postal code',
  country: 'a country code',
  number: 'a number',
  integer: 'a whole number',
  score: 'a score',
  money: 'an amount, such as 1500 or $1,500.00',
  range: 'a number, or a band such as 100-200',
  boolean: 'yes or no (also true, false, 1, 0)',
  date: 'a date, as 2026-03-02',
  dob: 'a date of birth, as 1980-03-02',
  birth_year: 'a year of birth',
  year: 'a year',
  time: 'a time of day',
  moment: 'a moment, as 2026-03-02T19:58:00Z',
  url: 'an http or https address',
  ip: 'an IP address',
  user_agent: "the browser's user agent",
  trustedform: 'a TrustedForm certificate address',
  jornaya: 'a LeadiD, 36 characters',
  list: 'one or several names, joined by |',
  gender: 'female, male or other',
  ssn: 'a social security number',
  bank_routing: 'a bank routing number, nine digits',
  bank_account: 'a bank account number',
  vin: 'a vehicle identification number',
}

/** What may be sent for a field, in words. */
export function valueWords(field: VerticalField): string {
  if (field.options) return `one of ${field.options.join(', ')}`
  const words = WORDS[field.type] ?? field.type.replaceAll('_', ' ')
  if (field.min === undefined && field.max === undefined) return words
  const { kind } = fieldType(field.type)
  const unit = kind === 'text' ? ' characters' : ''
  if (field.min === undefined) return `${words}, at most ${field.max}${unit}`
  return field.max === undefined
    ? `${words}, at least ${field.min}${unit}`
    : `${words}, from ${field.min} to ${field.max}${unit}`
}

const FORMATS: Readonly<Record<string, string>> = { email: 'email', url: 'uri', date: 'date', moment: 'date-time' }

function fieldSchema(field: VerticalField): Json {
  const type = fieldType(field.type)
  const names = field.aliases.length > 0 ? ` Also taken as ${field.aliases.join(', ')}.` : ''
  const about = { description: `${field.label}: ${valueWords(field)}.${names}`, examples: [field.example] }
  if (field.options) return { type: 'string', enum: field.options, ...about }
  if (type.kind === 'number') return { type: ['number', 'string'], ...bounds(field), ...about }
  if (type.kind === 'boolean') return { type: ['boolean', 'string'], ...about }
  const format = FORMATS[field.type]
  return { type: 'string', maxLength: type.maxLength, ...(format ? { format } : {}), ...about }
}

const bounds = ({ min, max }: VerticalField): Json => ({
  ...(min === undefined ? {} : { minimum: min }),
  ...(max === undefined ? {} : { maximum: max }),
})

/** Fields of a full lead, or of a ping: in a ping only what it may show. */
export function fieldsFor({ vertical }: Campaign, demand: Demand): readonly VerticalField[] {
  if (demand === 'lead') return vertical.fields
  return vertical.fields.filter((field) => field.ping || TRACKING_FIELDS.has(field.name))
}

/** JSON Schema of what is posted. Unknown fields are kept with a lead and left out of a ping. */
export function leadSchema(campaign: Campaign, demand: Demand): Json {
  const fields = fieldsFor(campaign, demand)
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field)])),
    required: fields.filter(({ required }) => required).map(({ name }) => name),
    additionalProperties: true,
  }
}

/** A lead, or a ping, that the campaign takes: every required field, and those that most forms have. */
export function exampleOf(campaign: Campaign, demand: Demand): Readonly<Record<string, string>> {
  const shown = fieldsFor(campaign, demand).filter(
    ({ required, name }) => required || name === 'lead_ref' || name === 'trustedform_cert_url',
  )
  return Object.fromEntries(shown.map(({ name, example }) => [name, example]))
}

const text = (example: string, description?: string): Json => ({
  type: 'string',
  examples: [example],
  ...(description ? { description } : {}),
})
const word = (...words: string[]): Json => ({ type: 'string', enum: words })
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
const inJson = (schema: Json, example?: Json): Json => ({
  'application/json': { schema, ...(example ? { example } : {}) },
})

const STATUSES = ['sold', 'unsold', 'duplicate', 'pending', 'expired', 'review']

const ANSWERS: Json = {
  Outcome: {
    type: 'object',
    required: ['lead_id', 'status'],
    properties: {
      lead_id: text('0197a0c2-6a4e-7cc0-9d6e-2b6f3f1f8e11'),
      status: word(...STATUSES),
      payout: text('12.60', 'What you earn. Only where sold.'),
      currency: text('USD'),
      copies: { type: 'integer', description: 'How many buyers have it.' },
      returned: {
        type: 'object',
        description: 'Only where buyers gave copies back: how many, and what was taken off the payout for them.',
        required: ['copies', 'payout'],
        properties: { copies: { type: 'integer' }, payout: text('12.60') },
      },
      redirect_url: { type: ['string', 'null'], description: 'Where to send the consumer, if anywhere.' },
      reasons: { type: 'array', items: word('no_buyer', 'duplicate', 'invalid', 'source_cap') },
      lead_ref: text('S-1', 'Your own id, as you sent it.'),
      offer: { ...ref('Offer'), description: 'What you may have instead of the offer that the lead came for.' },
    },
  },
  Offer: {
    type: 'object',
    required: ['ping_id', 'status'],
    properties: {
      ping_id: text('pg_0197a0c2-6a4e-7cc0-9d6e-2b6f3f1f8e11'),
      status: word('offer', 'no_offer'),
      payout: text('12.60', 'What a sale earns you at the least.'),
      currency: text('USD'),
      expires_at: { type: 'string', format: 'date-time' },
      reasons: { type: 'array', items: { type: 'string' } },
      bids: {
        type: 'array',
        description: 'Where the consumer chooses among named sellers.',
        items: {
          type: 'object',
          required: ['bid_id', 'payout', 'seller'],
          properties: {
            bid_id: text('b1'),
            payout: text('12.60'),
            seller: text('Acme LLC'),
            tcpa_text: text('I agree.'),
          },
        },
      },
      warnings: { type: 'array', items: ref('Issue') },
      lead_ref: text('S-1'),
    },
  },
  Issue: {
    type: 'object',
    required: ['field', 'code'],
    properties: { field: text('phone'), code: text('not_a_number'), value: { type: ['string', 'null'] } },
  },
  Problem: {
    type: 'object',
    required: ['type', 'title', 'status'],
    properties: {
      type: text('about:blank'),
      title: text('invalid lead'),
      status: { type: 'integer' },
      detail: { type: 'string' },
      lead_id: { type: 'null', description: 'Nothing that has an id was stored.' },
      issues: { type: 'array', items: ref('Issue') },
    },
  },
}

/** Refusals that every call may get, in words for people. */
export const REFUSALS: readonly (readonly [status: number, title: string, todo: string])[] = [
  [400, 'unreadable body', 'Mend the body. It is JSON, form-urlencoded or XML, in UTF-8, and has at most 64 KB.'],
  [401, 'no key, unknown key', 'Send your key as Authorization: Bearer, as X-Api-Key or in the field api_key.'],
  [403, 'not allowed', 'Ask for access to this campaign.'],
  [404, 'not found', 'Check the address, or the id in it.'],
  [409, 'key reused; ping used or expired', 'Send a new key for a new lead; ping again for a new offer.'],
  [413, 'body too large', 'Send at most 64 KB.'],
  [415, 'unknown content type', 'Send application/json, application/x-www-form-urlencoded or application/xml.'],
  [422, 'invalid lead', 'Every field that has to change is listed under issues. Mend them and send it again.'],
  [429, 'too many requests', 'Wait for Retry-After seconds.'],
  [503, 'not ready', 'Nothing was stored. Wait for Retry-After seconds and send it again with the same lead_ref.'],
]

const refused = (...statuses: number[]): Json =>
  Object.fromEntries(
    REFUSALS.filter(([status]) => statuses.includes(status)).map(([status, title, todo]) => [
      status,
      { description: `${title}. ${todo}`, content: { 'application/problem+json': { schema: ref('Problem') } } },
    ]),
  )

const parameter = (name: string, where: string, description: string, schema: Json = { type: 'string' }): Json => ({
  name,
  in: where,
  required: where === 'path',
  description,
  schema,
})

const MODE = parameter('mode', 'query', 'async: answered 202 at once; the outcome follows.', word('sync', 'async'))
const TEST = parameter('test', 'query', '1: a test, which sells nothing.', word('1'))
const KEY = parameter('Idempotency-Key', 'header', 'The same key and body get the same answer.')

const bodyOf = (campaign: Campaign, demand: Demand): Json => ({
  required: true,
  content: Object.fromEntries(
    ['application/json', 'application/x-www-form-urlencoded', 'application/xml'].map((type) => [
      type,
      {
        schema: ref(demand === 'lead' ? 'Lead' : 'Ping'),
        ...(type === 'application/json' ? { example: exampleOf(campaign, demand) } : {}),
      },
    ]),
  ),
})

const DECIDED: Json = { description: 'Decided.', content: inJson(ref('Outcome')) }
const PENDING: Json = { description: 'Queued, or still pending.', content: inJson(ref('Outcome')) }
const POSTED: Json = { 200: DECIDED, 202: PENDING, ...refused(400, 401, 403, 404, 409, 413, 415, 422, 429, 503) }
const OFFERED: Json = {
  200: { description: 'An offer, or none.', content: inJson(ref('Offer')) },
  ...refused(400, 401, 403, 404, 413, 415, 422, 429, 503),
}

function pathsOf(campaign: Campaign): Json {
  const pingId = parameter('ping_id', 'path', 'From the offer.')
  const leadId = parameter('lead_id', 'path', 'From the answer.')
  const post = (operationId: string, summary: string, demand: Demand, parameters: Json[], responses: Json): Json => ({
    post: { operationId, summary, parameters, requestBody: bodyOf(campaign, demand), responses },
  })
  return {
    [`/v1/campaigns/${campaign.id}/leads`]: post(
      'postLead',
      'A full lead, answered with its outcome.',
      'lead',
      [MODE, TEST, KEY],
      POSTED,
    ),
    [`/v1/campaigns/${campaign.id}/pings`]: post(
      'ping',
      'A partial lead, answered with an offer.',
      'ping',
      [TEST],
      OFFERED,
    ),
    '/v1/pings/{ping_id}/lead': post('postOffered', 'The full lead for an offer.', 'lead', [pingId, MODE], POSTED),
    '/v1/leads/{lead_id}': {
      get: {
        operationId: 'readLead',
        summary: 'The outcome again.',
        parameters: [leadId],
        responses: { 200: DECIDED, ...refused(401, 404, 503) },
      },
    },
  }
}

/** The whole document. `origin`: where the data plane is. */
export function openApiOf(campaign: Campaign, origin: string): Json {
  const { id, vertical } = campaign
  return {
    openapi: '3.1.0',
    info: { title: `${vertical.name}: posting to ${id}`, version: '1', description: 'How to send leads and pings.' },
    servers: [{ url: origin }],
    security: [{ bearer: [] }, { header: [] }],
    paths: pathsOf(campaign),
    components: {
      schemas: { Lead: leadSchema(campaign, 'lead'), Ping: leadSchema(campaign, 'ping'), ...ANSWERS },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        header: { type: 'apiKey', in: 'header', name: 'X-Api-Key' },
      },
    },
  }
}
