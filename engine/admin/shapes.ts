/** What the admin plane's bodies and answers look like, for their checks and for the OpenAPI document. */
import Type, { type TSchema } from 'typebox'
import { ConfigShape } from '../../rules/configuration/schema.ts'
import { ID } from '../../rules/configuration/schema-words.ts'

export const object = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false })
export const text = (description: string) => Type.String({ description, maxLength: 500 })
export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()])
export const moment = (description: string) => Type.String({ description, format: 'date-time' })
/** A moment that a caller gives. */
export const given = (description: string) =>
  Type.String({
    description,
    pattern: '^20\\d\\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,3})?Z$',
  })
export const money = (description: string) => Type.String({ description, pattern: '^-?\\d+(\\.\\d+)?$' })
export const whole = (description: string, minimum = 0) =>
  Type.Integer({ description, minimum, maximum: Number.MAX_SAFE_INTEGER })

export const id = (description: string) => Type.String({ description, pattern: ID })
export const uuid = (description: string) =>
  Type.String({ description, pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' })
/** A number in a path or a query. */
export const numeral = (description: string) => Type.String({ description, pattern: '^\\d{1,9}$' })
export const words = (...allowed: string[]) => Type.Enum(allowed)

/** Groups of the configuration whose members have ids: sources, campaigns, buyers, contracts. */
export const KINDS: readonly { readonly kind: string; readonly one: string; readonly shape: TSchema }[] =
  Object.entries(
    ConfigShape.properties as Readonly<Record<string, { patternProperties?: Record<string, TSchema> }>>,
  ).flatMap(([kind, { patternProperties }]) => {
    const shape = Object.values(patternProperties ?? {})[0]
    return shape ? [{ kind, one: kind.replace(/s$/, ''), shape }] : []
  })

export const Fault = object({
  path: text('Where: contracts.acme.price'),
  message: text('What, and what to do.'),
})
export const Change = object({
  path: text('contracts.acme.caps.day'),
  kind: words('added', 'removed', 'changed'),
  words: text('contract acme: caps.day 50 -> 60'),
})
export const Config = Type.Record(Type.String(), Type.Unknown(), {
  description: 'A whole configuration. Secrets are shown as stand-ins, and a stand-in may be given back.',
})
export const Published = object({
  version: whole('The number of the new version.'),
  changes: Type.Array(Change),
  warnings: Type.Array(Fault),
})
export const Checked = object({
  base: whole('The newest version, which it is compared with.'),
  faults: Type.Array(Fault),
  warnings: Type.Array(Fault),
  changes: Type.Array(Change),
  touched_leads: whole('How many leads of the last 24 hours belong to campaigns and sources that it changes.'),
  sampled: nullable(
    object({
      sampled: whole('So many leads of the last 24 hours were opened under both versions.'),
      other_seats: whole('For so many of them other contracts may take part.'),
      other_terms: whole('For so many the same ones, with other tiers, prices or floors.'),
    }),
  ),
  leads: whole('How many leads came in the last 24 hours.'),
})

/** What every block may say beside whose leads it keeps from whom. */
export const BLOCK_TERMS = {
  sub: Type.Optional(words('sub1', 'sub2', 'sub3', 'sub4', 'sub5', 'click_id')),
  value: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'What stands in the sub-id.' })),
  until: Type.Optional(given('It ends by itself then: 2026-03-02T20:00:00Z.')),
}
