/** The words that the configuration's schema is written in: each says what a key may hold, for machines and for people. */
import Type, { type TSchema } from 'typebox'

export const ID = '^[a-z0-9][a-z0-9_-]{0,62}$'
export const ID_RULE = 'an id begins with a letter or digit and holds at most 63 of a-z, 0-9, - and _'

export const object = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false, expects: 'a group of keys' })
export const byId = <S extends TSchema>(value: S) =>
  Type.Record(Type.String({ pattern: ID }), value, { additionalProperties: false, expects: 'a group of ids' })
export const list = <S extends TSchema>(item: S, expects: string, maxItems = 10_000) =>
  Type.Array(item, { expects, maxItems })
export const id = (expects: string) => Type.String({ pattern: ID, expects: `${expects}: ${ID_RULE}` })
export const text = (expects: string, maxLength = 200) => Type.String({ minLength: 1, maxLength, expects })
export const secret = (expects: string, pattern: string) => Type.String({ pattern, expects, secret: true })
/** Stand-ins for what it holds are longer than most secrets. */
const ADDRESS_MOST = 4_000
/** `address`: what of it is secret: the values of its query, or all that follows the host (`path`). */
export const address = (expects: string, address: 'query' | 'path' = 'query') =>
  Type.String({ minLength: 1, maxLength: ADDRESS_MOST, expects, address })
export const money = () =>
  Type.String({
    pattern: '^\\d{1,9}(\\.\\d{1,6})?$',
    expects: 'an amount of money as text in quotes, such as "18.50" (no sign, at most 6 decimals)',
  })
export const whole = (minimum: number, maximum: number, what: string) =>
  Type.Integer({ minimum, maximum, expects: `${what} as a whole number from ${minimum} to ${maximum}` })
export const word = <W extends string[]>(...words: readonly [...W]) =>
  Type.Enum(words, { expects: `one of ${words.join(', ')}` })
export const flag = () => Type.Boolean({ expects: 'true or false' })
export const opt = Type.Optional
