/** The shape of the configuration file: its keys, what each may hold, and the words that say so. */
import Type, { type Static } from 'typebox'
import { POSTBACK_EVENTS } from '../postback.ts'
import { LIST_HASHES, LIST_KINDS } from '../suppression.ts'
import { AlertShape, MailShape, RecipientShape } from './alert-schema.ts'
import { DeliveryShape, signingSecrets } from './delivery-schema.ts'
import { HealthShape } from './health-schema.ts'
import { type CheckFile, CheckShape, checkNames } from './lead-check-schema.ts'
import { AdjustRules, FloorRules, Payout, PayoutRules, PriceRules } from './price-schema.ts'
import { address, byId, flag, id, list, money, object, opt, secret, text, whole, word } from './schema-words.ts'

/** Defaults of everything that a configuration may leave out. Money is text, as in the file. */
export const DEFAULTS = {
  currency: 'USD',
  floor: '0.00',
  min_margin: '0.00',
  ping_ms: 3_000,
  post_ms: 30_000,
  total_ms: 75_000,
  answer_within_ms: 60_000,
  rate_per_second: 100,
  queue_for_ms: 86_400_000,
  duplicate_fields: ['phone', 'email'],
  duplicate_days: 30,
  health: { failures: 8, retry_ms: 5_000, retry_max_ms: 60_000, pings: 512, posts: 128 },
  offer_seconds: 300,
  honeypot: 'website',
  graph_url: 'https://graph.facebook.com/v21.0',
  buyer_duplicate_days: 90,
  returns: {
    max_age_days: 7,
    share: 0.1,
    reason_codes: [
      'disconnected',
      'duplicate',
      'fraud',
      'no_consent',
      'no_request',
      'outside_filter',
      'wrong_number',
      'wrong_person',
    ],
    approval: 'operator',
    clawback: 'source',
  },
  check_timeout_ms: 2_000,
} as const

/** No ping tier may take longer: beyond it a source's own client gives up. */
export const TIER_MAX_MS = 25_000
export const TOTAL_MAX_MS = 180_000
/** A week: what waits for longer is nobody's lead any more. */
export const QUEUE_MAX_MS = 604_800_000
/** A later answer would find the connection of most sources closed. */
export const ANSWER_MAX_MS = 90_000
/** So small that ten thousand weights add up to a number that a draw multiplies exactly. */
const MAX_WEIGHT = 10_000
/** A bid that stands for longer is no bid any more but a price. */
const OFFER_MAX_SECONDS = 3_600

const MAX_COUNT = 1_000_000_000
const count = () => opt(whole(0, MAX_COUNT, 'a number of leads'))
const Spend = object({
  hour: opt(money()),
  day: opt(money()),
  week: opt(money()),
  month: opt(money()),
  total: opt(money()),
})
const Rolling = object({
  minutes: whole(1, 10_080, 'the length of the window in minutes'),
  count: count(),
  spend: opt(money()),
})
const Caps = object({
  day_starts: opt(text('the time at which the day of these caps begins, such as "6:00"', 5)),
  pace: opt(flag()),
  hour: count(),
  day: count(),
  week: count(),
  month: count(),
  total: count(),
  concurrency: count(),
  spend: opt(Spend),
  rolling: opt(list(Rolling, 'a list of rolling windows, such as [{minutes: 30, count: 5}]', 8)),
})

const SHA256 = 'the SHA-256 of the key in 64 hex digits (printf %s "$KEY" | sha256sum), never the key itself'
/** The hash of a secret: never shown, and kept as it is. */
const sha256 = () => Type.String({ pattern: '^[0-9a-fA-F]{64}$', expects: SHA256, secret: true, hashed: true })
const SourceKey = object({ sha256: sha256(), test: opt(flag()), label: opt(text('a label')) })
const BuyerKey = object({ sha256: sha256(), label: opt(text('a label')) })
const AdminKey = object({
  sha256: sha256(),
  label: opt(text('a label')),
  role: opt(word('viewer', 'operator', 'admin')),
})

const PostbackShape = object({
  url: address('an absolute http or https address'),
  method: opt(word('GET', 'POST')),
  secrets: opt(signingSecrets()),
  events: opt(list(word(...POSTBACK_EVENTS), `a list of ${POSTBACK_EVENTS.join(', ')}`, 4)),
})

const hidden = (expects: string) => secret(expects, '^[\\x21-\\x7e]{8,500}$')
const AdFormsShape = object({
  fields: opt(
    Type.Record(Type.String(), text('a field', 63), { maxProperties: 200, expects: 'a group of names and fields' }),
  ),
  meta: opt(
    object({
      app_secret: hidden("the app's secret"),
      verify_token: hidden('the token by which Meta verifies the address'),
      access_token: hidden("the page's access token"),
      graph_url: opt(address('an absolute http or https address')),
    }),
  ),
})

const SourceShape = object({
  name: opt(text('a name')),
  pseudonym: text('the stable name under which buyers see this source, such as "S-1041"', 63),
  status: opt(word('active', 'paused', 'test')),
  campaigns: list(id('a campaign'), 'a list of campaign ids'),
  keys: list(SourceKey, 'a list of keys', 8),
  zone: opt(text('an IANA time zone, such as America/Chicago')),
  rate_per_second: opt(whole(1, 1_000_000, 'leads a second')),
  burst: opt(whole(1, 10_000_000, 'leads at once')),
  floor: opt(money()),
  floor_rules: FloorRules,
  payout: opt(Payout),
  payout_rules: PayoutRules,
  min_payout: opt(money()),
  filter: opt(Type.Unknown()),
  postbacks: opt(byId(PostbackShape)),
  pending_as: opt(word('unsold', 'sold', 'pending')),
  ad_forms: opt(AdFormsShape),
  answer_within_ms: opt(whole(100, ANSWER_MAX_MS, 'milliseconds')),
  caps: opt(Caps),
})

const TierShape = object({
  tier: id('the name of the tier'),
  strategy: word('auction', 'waterfall', 'weighted', 'round_robin'),
  copies: opt(whole(1, 20, 'copies')),
  ping_ms: opt(whole(10, TIER_MAX_MS, 'milliseconds')),
  early_close: opt(flag()),
})

const FieldShape = object({
  type: opt(text('the name of a field type, such as integer')),
  label: opt(text('a label')),
  example: opt(text('an example', 500)),
  required: opt(flag()),
  ping: opt(flag()),
  aliases: opt(list(text('a name', 63), 'a list of names', 40)),
  options: opt(list(text('a word', 63), 'a list of words', 1_000)),
  synonyms: opt(
    Type.Record(Type.String(), text('an option', 63), {
      maxProperties: 1_000,
      expects: 'a group of words and options',
    }),
  ),
  min: opt(Type.Number({ expects: 'a number' })),
  max: opt(Type.Number({ expects: 'a number' })),
  rename: opt(text('a name', 63)),
  default: opt(Type.Unknown()),
  derive: opt(object({ from: text('a field, or a part of one such as dob.age'), bands: opt(Type.Unknown()) })),
})

const Duplicates = {
  fields: opt(list(text('a field, or several joined by +, such as last_name+zip'), 'a list of field names', 8)),
  hours: opt(whole(1, 87_600, 'hours')),
  days: opt(whole(1, 3_650, 'days')),
  forever: opt(flag()),
}
const CampaignDuplicates = object({
  ...Duplicates,
  counts: opt(word('received', 'pinged', 'sold')),
  action: opt(word('reject', 'sell_to_others')),
})
const BuyerDuplicates = object({ ...Duplicates, counts: opt(word('pinged', 'sold')) })

const Suppress = () => opt(list(id('a list'), 'a list of suppression lists', 20))
const ListShape = object({
  of: word(...LIST_KINDS),
  hash: opt(word(...LIST_HASHES)),
  file: opt(text('the path of a file', 1_000)),
})

const page = () => text('an absolute http or https address', 2_000)
const RedirectsShape = object({ thank_you: opt(page()), reject: opt(page()), tracked: opt(page()) })

const CampaignShape = object({
  redirects: opt(RedirectsShape),
  vertical: text('the name of a vertical'),
  fields: opt(byId(FieldShape)),
  countries: opt(
    Type.Array(word('US', 'CA', 'GB', 'UK'), {
      minItems: 1,
      maxItems: 3,
      expects: 'a list of US, CA and GB, the home first',
    }),
  ),
  filter: opt(Type.Unknown()),
  zone: text('an IANA time zone, such as America/Chicago'),
  currency: opt(Type.String({ pattern: '^[A-Z]{3}$', expects: 'an ISO 4217 code, such as USD' })),
  floor: opt(money()),
  min_margin: opt(money()),
  allow_loss: opt(flag()),
  floor_rules: FloorRules,
  payout: Payout,
  payout_rules: PayoutRules,
  total_ms: opt(whole(100, TOTAL_MAX_MS, 'milliseconds')),
  duplicates: opt(CampaignDuplicates),
  suppress: Suppress(),
  checks: checkNames(),
  allow_get: opt(flag()),
  form: opt(object({ honeypot: opt(text('the name of a field', 63)) })),
  offers: opt(
    object({
      seconds: opt(whole(5, OFFER_MAX_SECONDS, 'seconds')),
      shortfall: opt(word('eat_to_zero_margin', 'reject', 'reoffer')),
      personal: opt(word('drop', 'refuse')),
      consumer_choice: opt(flag()),
    }),
  ),
  plan: Type.Array(TierShape, { minItems: 1, maxItems: 20, expects: 'a list of 1 to 20 tiers' }),
  caps: opt(Caps),
})

const Schedule = object({
  zone: opt(text('an IANA time zone, such as America/Chicago')),
  hours: opt(
    Type.Record(
      Type.String(),
      list(text('a span of hours, such as "9:00-17:00"', 11), 'a list of spans of hours', 24),
      {
        maxProperties: 7,
        expects: 'a group of days with their hours, such as {mon-fri: ["9:00-17:00"]}',
      },
    ),
  ),
  closed: opt(list(text('a date, such as 2026-12-25', 10), 'a list of dates', 400)),
  from: opt(text('a date, such as 2026-03-01', 10)),
  to: opt(text('a date, such as 2026-12-31', 10)),
})
const Pause = object({
  until: text('the moment at which it resumes, such as 2026-03-05T09:00', 30),
  reason: opt(text('why')),
})

const Balance = object({ credit: opt(money()), low: opt(money()) })
const Throttle = object({
  second: opt(whole(1, 100_000, 'pings a second')),
  minute: opt(whole(1, 1_000_000, 'pings a minute')),
  day: opt(whole(1, 100_000_000, 'pings a day')),
})

const CountBounds = () => opt(object({ min: count(), max: count() }))
const SpendBounds = () => opt(object({ min: opt(money()), max: opt(money()) }))
const SelfServiceShape = object({
  pause: opt(flag()),
  caps: opt(
    object({
      hour: CountBounds(),
      day: CountBounds(),
      week: CountBounds(),
      month: CountBounds(),
      total: CountBounds(),
      concurrency: CountBounds(),
      spend: opt(
        object({
          hour: SpendBounds(),
          day: SpendBounds(),
          week: SpendBounds(),
          month: SpendBounds(),
          total: SpendBounds(),
        }),
      ),
    }),
  ),
})

const BuyerShape = object({
  name: opt(text('a name')),
  keys: opt(list(BuyerKey, 'a list of keys', 8)),
  self_service: opt(SelfServiceShape),
  zone: text('an IANA time zone, such as America/Chicago'),
  group: opt(id('a group')),
  legal_entity: opt(text('the name of a legal entity')),
  tcpa_text: opt(text('the wording of a consent', 5_000)),
  filter: opt(Type.Unknown()),
  schedule: opt(Schedule),
  pause: opt(Pause),
  throttle: opt(Throttle),
  balance: opt(Balance),
  health: opt(HealthShape),
  duplicates: opt(BuyerDuplicates),
  suppress: Suppress(),
  caps: opt(Caps),
})

/** A longer window would outlive what a source may still be asked for. */
const RETURN_MAX_DAYS = 90
const Returns = object({
  max_age_days: opt(whole(1, RETURN_MAX_DAYS, 'days after the sale')),
  share: opt(
    Type.Number({ minimum: 0, maximum: 1, expects: 'a share from 0 to 1 of what it buys in a month, such as 0.1' }),
  ),
  reason_codes: opt(list(id('a reason code'), 'a list of reason codes', 50)),
  approval: opt(word('operator', 'automatic')),
  clawback: opt(word('source', 'us')),
})

const ContractShape = object({
  buyer: id('a buyer'),
  campaign: id('a campaign'),
  self_service: opt(SelfServiceShape),
  tier: opt(id('the name of a tier')),
  status: opt(word('active', 'paused', 'test')),
  priority: opt(whole(1, 1_000_000, 'a priority')),
  weight: opt(whole(1, MAX_WEIGHT, 'a weight')),
  price: opt(money()),
  price_rules: PriceRules,
  price_from: opt(word('contract', 'reply')),
  pinged: opt(flag()),
  bid_seconds: opt(whole(1, OFFER_MAX_SECONDS, 'seconds')),
  floor: opt(money()),
  floor_rules: FloorRules,
  min_bid: opt(money()),
  max_bid: opt(money()),
  adjust: AdjustRules,
  filter: opt(Type.Unknown()),
  sources: opt(list(id('a source'), 'a list of source ids')),
  schedule: opt(Schedule),
  pause: opt(Pause),
  throttle: opt(Throttle),
  caps: opt(Caps),
  when_closed: opt(word('skip', 'queue')),
  queue_for_ms: opt(whole(60_000, QUEUE_MAX_MS, 'milliseconds')),
  source_caps: opt(byId(Caps)),
  post_ms: opt(whole(50, TOTAL_MAX_MS, 'milliseconds')),
  server_error: opt(word('in_doubt', 'rejected')),
  idempotent: opt(flag()),
  in_doubt: opt(word('hold_unbilled', 'assume_sold', 'timeout_is_no_sale')),
  returns: opt(Returns),
  checks: checkNames(),
  delivery: DeliveryShape,
})

const cidr = text('an address range, such as 10.0.0.0/8')

export const ConfigShape = object({
  example: opt(flag()),
  currency: opt(Type.String({ pattern: '^[A-Z]{3}$', expects: 'an ISO 4217 code, such as USD' })),
  sources: byId(SourceShape),
  campaigns: byId(CampaignShape),
  buyers: byId(BuyerShape),
  contracts: byId(ContractShape),
  lists: opt(byId(ListShape)),
  alerts: opt(byId(AlertShape)),
  recipients: opt(byId(RecipientShape)),
  mail: opt(MailShape),
  admin: opt(object({ keys: list(AdminKey, 'a list of keys', 50), url: opt(page()) })),
  checks: opt(byId(CheckShape)),
  network: opt(
    object({
      allowed_cidrs: opt(list(cidr, 'a list of address ranges', 100)),
      trusted_proxies: opt(list(cidr, 'a list of address ranges', 100)),
    }),
  ),
})

export type ConfigFile = Static<typeof ConfigShape>
export type SourceFile = Static<typeof SourceShape>
export type CampaignFile = Static<typeof CampaignShape>
export type FieldFile = Static<typeof FieldShape>
export type BuyerFile = Static<typeof BuyerShape>
export type ContractFile = Static<typeof ContractShape>
export type ThrottleFile = Static<typeof Throttle>
export type ScheduleFile = Static<typeof Schedule>
export type { CheckFile }
export type PauseFile = Static<typeof Pause>
export type CapsFile = Static<typeof Caps>
export type CampaignDuplicatesFile = Static<typeof CampaignDuplicates>
export type BuyerDuplicatesFile = Static<typeof BuyerDuplicates>

/** A file out of which everything that has a fault of shape was taken: any key may be missing. */
export type Draft<T> = T extends object ? { readonly [K in keyof T]?: Draft<T[K]> } : T
