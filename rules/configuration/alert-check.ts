/** Checks alerts and their recipients, and reads them. */
import type { Alert, AlertKind, MailServer, Recipient } from '../alerts.ts'
import { ms, parseMoney } from '../units.ts'
import type { AlertFile, MailFile, RecipientFile } from './alert-schema.ts'
import { type Check, checkReference, idsOf, type Made } from './check.ts'
import { checkUrl } from './delivery-check.ts'
import { readSchedule } from './schedule-check.ts'
import type { ConfigFile, Draft } from './schema.ts'

type Key = Exclude<keyof AlertFile, 'on' | 'to' | 'quiet_minutes'>

/** What each kind takes; the values stand where a configuration leaves the key out. */
const TAKES: Readonly<Record<AlertKind, { readonly [K in Key]?: number | null }>> = {
  low_balance: { buyers: null, below: null },
  cap_reached: { buyers: null, contracts: null, sources: null, campaigns: null, share: 1 },
  breaker_open: { buyers: null, minutes: 0 },
  reject_rate_doubled: { buyers: null, contracts: null, factor: 2, share: 0.1, least: 20, minutes: 60 },
  source_silent: { sources: null, minutes: 60, least: 5, zone: null, hours: null },
  doubts_open: { buyers: null, contracts: null, count: null, minutes: null },
  outbox_stuck: { minutes: 15 },
  price_cuts: { buyers: null, share: 0.02, least: 20, minutes: 1_440 },
}
/** Rates and servers come and go around their thresholds: what is found again so soon is the same event. */
const QUIET_MINUTES: { readonly [K in AlertKind]?: number } = {
  cap_reached: 5,
  breaker_open: 5,
  reject_rate_doubled: 30,
  price_cuts: 30,
}
/** Longer than a day without a lead is no news. */
const SILENT_MOST = 1_440

export function checkAlerts(check: Check): void {
  const { draft } = check
  const told = new Set<string>()
  for (const id of idsOf(draft.alerts)) checkAlert(check, `alerts.${id}`, id, draft.alerts![id] ?? {}, told)
  for (const id of idsOf(draft.recipients)) {
    checkRecipient(check, `recipients.${id}`, draft.recipients![id] ?? {})
    if (!told.has(id) && !check.broken('alerts'))
      check.warn(`recipients.${id}`, 'no alert names it, so it hears nothing.')
  }
  if (draft.mail?.url !== undefined) checkUrl(check, 'mail.url', draft.mail.url, ['smtp:', 'smtps:'])
  if (draft.admin?.url !== undefined) checkUrl(check, 'admin.url', draft.admin.url)
}

function checkAlert(check: Check, path: string, id: string, alert: Draft<AlertFile>, told: Set<string>): void {
  const { draft } = check
  named(check, `${path}.to`, 'recipient', alert.to, draft.recipients ?? {})
  for (const recipient of alert.to ?? []) if (recipient !== undefined) told.add(recipient)
  for (const kind of ['buyer', 'contract', 'source', 'campaign'] as const)
    named(check, `${path}.${kind}s`, kind, alert[`${kind}s`], draft[`${kind}s`])
  const { on } = alert
  if (on === undefined) return
  const takes = Object.keys(TAKES[on])
  for (const key of Object.keys(alert)) {
    if (['on', 'to', 'quiet_minutes', ...takes].includes(key)) continue
    check.fault(`${path}.${key}`, `means nothing to ${on}, which takes ${takes.join(', ')}: remove it.`)
  }
  if (on === 'low_balance') checkBalances(check, path, alert)
  if (on === 'source_silent') checkSilence(check, path, id, alert)
}

function named(
  check: Check,
  path: string,
  what: string,
  ids: Draft<string[]> | undefined,
  group: object | undefined,
): void {
  const list = ids as readonly (string | undefined)[] | undefined
  list?.forEach((id, at) => {
    if (id === undefined) return
    checkReference(check, `${path}[${at}]`, what, id, group)
    if (list.indexOf(id) !== at) check.fault(`${path}[${at}]`, `"${id}" stands in the list already: remove it.`)
  })
}

/** Whoever is named must pay in advance, and have a threshold. */
function checkBalances(check: Check, path: string, { buyers, below }: Draft<AlertFile>): void {
  buyers?.forEach((id, at) => {
    const buyer = check.draft.buyers?.[id ?? '']
    if (!buyer || check.broken(`buyers.${id}`)) return
    if (buyer.balance === undefined)
      check.fault(`${path}.buyers[${at}]`, `"${id}" does not pay in advance: give it a balance, or take it out.`)
    else if (buyer.balance.low === undefined && below === undefined)
      check.fault(
        `${path}.buyers[${at}]`,
        `"${id}" has no balance.low: give it one, or say here what it must not fall below.`,
      )
  })
}

function checkSilence(check: Check, path: string, id: string, alert: Draft<AlertFile>): void {
  const { minutes, hours, zone, least } = alert
  if (minutes !== undefined && (minutes < 1 || minutes > SILENT_MOST))
    check.fault(`${path}.minutes`, `takes 1 to ${SILENT_MOST}, a day.`)
  if (hours === undefined) {
    if (zone !== undefined && !check.broken(`${path}.hours`))
      check.fault(`${path}.zone`, 'says whose clock the hours are by, and there are none: add hours, or remove it.')
    return
  }
  if (zone === undefined && !check.broken(`${path}.zone`))
    check.fault(`${path}.zone`, 'is missing: say by whose clock the hours are, such as America/Chicago.')
  if (least !== undefined)
    check.fault(`${path}.least`, 'says how many leads usually come, and hours say when they must: keep one of them.')
  check.made.expected.set(id, readSchedule(check, path, { hours, ...(zone ? { zone } : {}) } as never, 'UTC'))
}

function checkRecipient(check: Check, path: string, { email, webhook }: Draft<RecipientFile>): void {
  if ((email === undefined) === (webhook === undefined) && !check.broken(path))
    check.fault(path, 'takes either email or webhook, one of them.')
  if (email !== undefined && check.draft.mail === undefined && !check.broken('mail'))
    check.fault(`${path}.email`, 'needs a mail server: say which under mail: {url, from}.')
  if (webhook?.url !== undefined) checkUrl(check, `${path}.webhook.url`, webhook.url)
}

export function buildAlert(id: string, alert: AlertFile, { expected }: Made): Alert {
  const { on, to, below, quiet_minutes: quiet } = alert
  const takes = TAKES[on]
  const some = (ids: readonly string[] | undefined) => (ids === undefined ? null : new Set(ids))
  const number = (key: 'share' | 'factor' | 'least' | 'minutes') => alert[key] ?? takes[key] ?? null
  return {
    ...{ id, on, to },
    ...{ buyers: some(alert.buyers), contracts: some(alert.contracts) },
    ...{ sources: some(alert.sources), campaigns: some(alert.campaigns) },
    below: below === undefined ? null : parseMoney(below)!,
    share: number('share') ?? 0,
    factor: number('factor') ?? 1,
    least: number('least') ?? 1,
    // Neither a number nor an age: one is enough.
    count: alert.count ?? (on === 'doubts_open' && alert.minutes === undefined ? 1 : null),
    minutes: number('minutes'),
    hours: expected.get(id) ?? null,
    quietMs: ms(60_000 * (quiet ?? QUIET_MINUTES[on] ?? 0)),
  }
}

export function buildRecipient({ email, webhook }: RecipientFile, { mail }: ConfigFile): Recipient {
  return email
    ? { kind: 'email', to: email, server: mailServer(mail!) }
    : { kind: 'webhook', url: webhook!.url, secrets: webhook!.secrets ?? [] }
}

const mailServer = ({ url, from, auth, tls }: MailFile): MailServer => ({
  ...{ url, from },
  login: auth?.basic ?? null,
  ca: tls?.ca ?? null,
})
