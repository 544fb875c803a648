/** The shape of a contract's delivery in the configuration file. */
import Type, { type Static, type TSchema } from 'typebox'
import { FORMATS } from '../delivery/map.ts'
import { REPLY_FORMATS } from '../delivery/reply.ts'
import { address, flag, list, object, opt, secret, text, word } from './schema-words.ts'

export const url = () => address('an absolute http or https address')
const pem = (kind: string) => `a ${kind} in PEM, which begins with -----BEGIN ${kind.toUpperCase()}-----`
const sealed = (expects: string, maxLength = 4_000) => Type.String({ minLength: 1, maxLength, expects, secret: true })
const named = <S extends TSchema>(value: S, expects: string, maxProperties: number) =>
  Type.Record(Type.String(), value, { maxProperties, expects })

export const headers = () =>
  opt(
    named(
      Type.String({ maxLength: 4_000, expects: 'a header value as text', secret: true }),
      'a group of at most 40 headers',
      40,
    ),
  )

export const SIGNATURE_HASHES = ['sha256', 'sha1', 'sha512', 'md5'] as const
const Hmac = object({
  secret: sealed('the secret that both sides have'),
  algorithm: opt(word(...SIGNATURE_HASHES)),
  signs: opt(text('what is signed, such as "{timestamp | date:unix}.{body}"', 1_000)),
  encoding: opt(word('hex', 'base64')),
  header: text('the name of the header that carries the signature', 100),
  value: opt(text('what the header says, such as "sha256={signature}"', 1_000)),
})

const Pair = object({ name: text('a name', 100), value: sealed('a key') })
/** A user and a password. */
export const Basic = object({ user: sealed('a user'), password: sealed('a password') })
const AUTHS = 'one of basic, bearer, header, query, hmac, or {none: true}'
export const Auth = Type.Object(
  {
    none: opt(flag()),
    basic: opt(Basic),
    bearer: opt(sealed('a token')),
    header: opt(Pair),
    query: opt(Pair),
    hmac: opt(Hmac),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1, expects: AUTHS },
)

/** No quotes, no comments: `leads@example.com` or `Lead desk <leads@example.com>`. */
export const ADDRESS =
  '^(?:[A-Za-z0-9 ._-]{1,80} <[!#$%&*+./=?^_`{|}~A-Za-z0-9-]+@[A-Za-z0-9.-]+>|[!#$%&*+./=?^_`{|}~A-Za-z0-9-]+@[A-Za-z0-9.-]+)$'

const ReplyShape = object({
  format: opt(word(...REPLY_FORMATS)),
  accept: opt(Type.Unknown()),
  price: opt(Type.Unknown()),
  expires: opt(Type.Unknown()),
  reason: opt(Type.Unknown()),
  buyer_reference: opt(Type.Unknown()),
  redirect_url: opt(Type.Unknown()),
  transfer_phone: opt(Type.Unknown()),
  duplicate: opt(Type.Unknown()),
  capped: opt(Type.Unknown()),
})

const mailAddress = (expects: string) => Type.String({ pattern: ADDRESS, maxLength: 320, expects })
const Attach = object({
  format: word('csv', 'json'),
  name: opt(text('the name of the file, such as "lead-{lead_id}.csv"', 200)),
  body: opt(Type.Unknown()),
})
const Mail = object({
  from: mailAddress('one mail address, or "Name <leads@example.com>"'),
  to: Type.Array(mailAddress('a mail address'), {
    minItems: 1,
    maxItems: 20,
    expects: 'a list of 1 to 20 mail addresses',
  }),
  reply_to: opt(mailAddress('a mail address')),
  subject: text('a subject, such as "New lead from {state}"', 500),
  attach: opt(Attach),
})

export const pairs = () => opt(named(sealed('a text'), 'a group of at most 100 names and texts', 100))
export const keys = () => opt(named(sealed('a key'), 'a group of at most 20 names and keys', 20))
export const Soap = opt(object({ version: opt(word('1.1', '1.2')), action: opt(text('the action', 500)) }))
export const Tls = opt(
  object({
    ca: opt(text(pem('certificate'), 100_000)),
    cert: opt(text(pem('certificate'), 100_000)),
    key: opt(sealed(pem('private key'), 20_000)),
  }),
)
export const Tables = opt(
  named(named(Type.Unknown(), 'a group of words and what they become', 2_000), 'a group of at most 50 tables', 50),
)

const MessageShape = object({
  method: opt(word('POST', 'PUT', 'GET')),
  query: pairs(),
  headers: headers(),
  auth: opt(Auth),
  format: opt(word(...FORMATS)),
  soap: Soap,
  body: opt(Type.Unknown()),
  mail: opt(Mail),
  reply: opt(ReplyShape),
})

/** Several while they rotate. */
export const signingSecrets = () =>
  list(
    secret(
      'whsec_ and at least 32 base64 digits (echo whsec_$(openssl rand -base64 32))',
      '^whsec_[A-Za-z0-9+/]{32,128}={0,2}$',
    ),
    'a list of at most 4 signing secrets',
    4,
  )
export const DeliveryShape = object({
  preset: opt(text('the name of a preset', 63)),
  with: opt(named(sealed('a text in quotes', 2_000), 'a group of what the preset asks for', 50)),
  ping_url: opt(url()),
  post_url: opt(url()),
  test_ping_url: opt(url()),
  test_url: opt(url()),
  headers: headers(),
  auth: opt(Auth),
  tls: Tls,
  ping_fields: opt(list(text('a field'), 'a list of field names', 200)),
  post_fields: opt(list(text('a field'), 'a list of field names', 200)),
  secrets: opt(signingSecrets()),
  ping: opt(MessageShape),
  post: opt(MessageShape),
  status_url: opt(url()),
  status: opt(MessageShape),
  tables: Tables,
  keys: keys(),
})

export type DeliveryFile = Static<typeof DeliveryShape>
export type MessageFile = Static<typeof MessageShape>
export type AttachFile = Static<typeof Attach>
export type AuthFile = Static<typeof Auth>
export type ReplyFile = Static<typeof ReplyShape>
