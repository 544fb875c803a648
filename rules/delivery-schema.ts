/** The shape of a contract's delivery in the configuration file. */
import Type, { type Static } from 'typebox'
import { list, object, opt, secret, text } from './schema-words.ts'

const url = () => text('an absolute http or https address', 2_000)
export const DeliveryShape = object({
  ping_url: opt(url()),
  post_url: url(),
  headers: opt(
    Type.Record(Type.String(), Type.String({ maxLength: 4_000, expects: 'a header value as text', secret: true }), {
      maxProperties: 40,
      expects: 'a group of at most 40 headers',
    }),
  ),
  ping_fields: opt(list(text('a field'), 'a list of field names', 200)),
  post_fields: opt(list(text('a field'), 'a list of field names', 200)),
  secrets: opt(
    list(
      secret(
        'whsec_ and at least 32 base64 digits (echo whsec_$(openssl rand -base64 32))',
        '^whsec_[A-Za-z0-9+/]{32,128}={0,2}$',
      ),
      'a list of at most 4 signing secrets',
      4,
    ),
  ),
})

export type DeliveryFile = Static<typeof DeliveryShape>
