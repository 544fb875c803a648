/** The shape of a check of leads in the configuration file. */
import Type, { type Static } from 'typebox'
import { FORMATS } from '../delivery/map.ts'
import { REPLY_FORMATS } from '../delivery/reply.ts'
import { Auth, headers, keys, pairs, Soap, Tables, Tls, url } from './delivery-schema.ts'
import { HealthShape } from './health-schema.ts'
import { id, money, object, opt, text, whole, word } from './schema-words.ts'

/** A lead waits for its checks before anybody is asked. */
const MOST_MS = 10_000
/** What is older than a month is not known any more. */
const MOST_KEPT_SECONDS = 2_592_000

const OutputShape = Type.Object(
  { number: opt(Type.Unknown()), text: opt(Type.Unknown()), boolean: opt(Type.Unknown()) },
  {
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 1,
    expects: 'one of number, text, boolean, with the place where it stands, such as {number: risk.score}',
  },
)

export const CheckShape = object({
  list: opt(id('a suppression list')),
  url: opt(url()),
  method: opt(word('POST', 'PUT', 'GET')),
  query: pairs(),
  headers: headers(),
  auth: opt(Auth),
  tls: Tls,
  format: opt(word(...FORMATS)),
  soap: Soap,
  body: opt(Type.Unknown()),
  keys: keys(),
  tables: Tables,
  reply: opt(object({ format: opt(word(...REPLY_FORMATS)), accept: opt(Type.Unknown()) })),
  outputs: opt(
    Type.Record(Type.String(), OutputShape, { maxProperties: 20, expects: 'a group of at most 20 names and outputs' }),
  ),
  refuse: opt(Type.Unknown()),
  fail: opt(word('open', 'closed')),
  timeout_ms: opt(whole(50, MOST_MS, 'milliseconds')),
  keep_seconds: opt(whole(0, MOST_KEPT_SECONDS, 'seconds')),
  cost: opt(money()),
  test_outputs: opt(
    Type.Record(Type.String(), Type.Unknown(), { maxProperties: 20, expects: 'a group of outputs and values' }),
  ),
  health: opt(HealthShape),
})

export const checkNames = () =>
  opt(Type.Array(text('the name of a check', 63), { maxItems: 20, expects: 'a list of checks' }))

export type CheckFile = Static<typeof CheckShape>
