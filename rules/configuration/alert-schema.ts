/** The shape of what the configuration says of alerts: which there are, whom they are told to, and by which mail server. */
import Type, { type Static } from 'typebox'
import { ALERT_KINDS } from '../alerts.ts'
import { ADDRESS, Basic, signingSecrets } from './delivery-schema.ts'
import { address, id, list, money, object, opt, text, whole, word } from './schema-words.ts'

const ids = (one: string) => opt(list(id(`a ${one}`), `a list of ${one} ids`, 1_000))
const HOURS = 'a group of days with their hours, such as {mon-fri: ["9:00-17:00"]}'

export const AlertShape = object({
  on: word(...ALERT_KINDS),
  to: list(id('a recipient'), 'a list of recipients', 20),
  buyers: ids('buyer'),
  contracts: ids('contract'),
  sources: ids('source'),
  campaigns: ids('campaign'),
  below: opt(money()),
  share: opt(Type.Number({ minimum: 0, maximum: 1, expects: 'a share from 0 to 1, such as 0.02' })),
  factor: opt(Type.Number({ minimum: 1, maximum: 100, expects: 'a factor from 1 to 100, such as 2' })),
  least: opt(whole(1, 1_000_000, 'a number')),
  count: opt(whole(1, 1_000_000, 'a number of doubts')),
  minutes: opt(whole(0, 10_080, 'minutes')),
  zone: opt(text('an IANA time zone, such as America/Chicago')),
  hours: opt(
    Type.Record(
      Type.String(),
      list(text('a span of hours, such as "9:00-17:00"', 11), 'a list of spans of hours', 24),
      {
        maxProperties: 7,
        expects: HOURS,
      },
    ),
  ),
  quiet_minutes: opt(whole(0, 1_440, 'minutes')),
})

const mailAddress = Type.String({ pattern: ADDRESS, maxLength: 320, expects: 'a mail address' })

export const RecipientShape = object({
  email: opt(Type.Array(mailAddress, { minItems: 1, maxItems: 20, expects: 'a list of 1 to 20 mail addresses' })),
  webhook: opt(object({ url: address('an absolute http or https address', 'path'), secrets: opt(signingSecrets()) })),
})

export const MailShape = object({
  url: text('the mail server as smtp://mail.example.com or smtps://mail.example.com', 500),
  from: Type.String({ pattern: ADDRESS, maxLength: 320, expects: 'one mail address, or "Name <alerts@example.com>"' }),
  auth: opt(object({ basic: Basic })),
  tls: opt(object({ ca: text('a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----', 100_000) })),
})

export type AlertFile = Static<typeof AlertShape>
export type RecipientFile = Static<typeof RecipientShape>
export type MailFile = Static<typeof MailShape>
