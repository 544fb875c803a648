/** Checks one message of a delivery, ping or post, and reads it into data: address, headers, proof of the sender, body, reply. */
import type { Check } from '../configuration/check.ts'
import type { AttachFile, AuthFile, DeliveryFile, MessageFile } from '../configuration/delivery-schema.ts'
import type { Draft } from '../configuration/schema.ts'
import type { Auth, MailTable, Message } from '../delivery.ts'
import { PLAIN } from '../delivery.ts'
import type { Vertical } from '../verticals.ts'
import { type Format, readMap, SPREAD } from './map.ts'
import { type Names, namesOf } from './names.ts'
import { type Fact, readText, type Text } from './placeholder.ts'
import { readReply } from './reply.ts'

export interface Readable {
  readonly check: Check
  readonly kind: 'ping' | 'post'
  readonly delivery: Draft<DeliveryFile>
  readonly vertical: Vertical
  /** Of the delivery. */
  readonly path: string
}

export interface ReadMessage {
  readonly message: Message
  /** Fields of the lead that the message names itself, beside those of our own shape. */
  readonly used: readonly string[]
  /** Checks whose outputs it names. */
  readonly checks: readonly string[]
  /** What else it names. */
  readonly facts: readonly Fact[]
}

/** Where there are faults, of which the check has heard, the message means nothing. */
export function readMessage(readable: Readable): ReadMessage {
  const { check, kind, delivery, vertical } = readable
  const file: Draft<MessageFile> = delivery[kind] ?? {}
  const path = `${readable.path}.${kind}`
  const names = namesOf(check, kind, delivery, vertical)
  const format = file.format ?? 'json'
  const body = file.body === undefined ? null : readMap(names, `${path}.body`, format, file.body)
  if (file.body === undefined) checkOwnShape(check, path, file)
  else checkMapped(check, readable, kind)
  const message: Message = {
    method: methodOf(check, path, file, format),
    query: readPairs(names, `${path}.query`, file.query),
    headers: headersOf(readable, names, path, file),
    auth: authOf(readable, names, path, file),
    format,
    soap: { version: file.soap?.version ?? '1.1', action: file.soap?.action ?? null },
    body,
    mail: mailOf(readable, names, path, file),
    reply: file.reply === undefined ? null : replyOf(check, path, file.reply),
  }
  if (file.soap !== undefined && format !== 'soap') check.fault(`${path}.soap`, 'belongs to format: soap. Remove it.')
  if (kind === 'post' && format === 'query' && names.used.size > 0)
    check.warn(`${path}.format`, 'puts the person into an address, which servers write into their logs: prefer form.')
  return { message, used: [...names.used], checks: [...names.checks], facts: [...names.facts] }
}

export const isMail = (url: string | undefined): boolean => url !== undefined && /^smtps?:/i.test(url)

/** A post to a mail server is a text, and nothing of HTTP. */
function mailOf(
  { check, kind, delivery, path: above }: Readable,
  names: Names,
  path: string,
  file: Draft<MessageFile>,
): Message['mail'] {
  const byMail = kind === 'post' && isMail(delivery.post_url)
  if (!byMail && file.mail !== undefined)
    check.fault(`${path}.mail`, 'belongs to a post whose post_url is smtp: or smtps:. Remove it.')
  if (!byMail) return null
  if (file.mail === undefined && !check.broken(`${path}.mail`))
    check.fault(`${path}.mail`, 'is missing: post_url is a mail server, so say from, to and subject.')
  if (file.format !== 'text') check.fault(`${path}.format`, 'must be text: that is what a mail holds.')
  for (const key of ['method', 'query', 'headers', 'reply'] as const)
    if (file[key] !== undefined) check.fault(`${path}.${key}`, 'means nothing in a mail: remove it.')
  const auth = file.auth ?? delivery.auth
  if (auth !== undefined && !('basic' in auth || 'none' in auth))
    check.fault(`${file.auth ? path : above}.auth`, 'must be basic: a mail server takes a user and a password.')
  if (file.mail?.subject === undefined || file.mail.from === undefined) return null
  const subject = readText(names, `${path}.mail.subject`, file.mail.subject)
  const to = file.mail.to?.flatMap((one) => one ?? []) ?? []
  const attach =
    file.mail.attach === undefined ? null : readAttach(check, names, `${path}.mail.attach`, file.mail.attach)
  return subject && { from: file.mail.from, to, replyTo: file.mail.reply_to ?? null, subject, attach }
}

/** What bounds the file: a value of a lead is bounded itself. */
const MAX_COLUMNS = 200

/** Without a body of its own the file has every field of the lead under its name. */
function readAttach(
  check: Check,
  names: Names,
  path: string,
  { format, name, body = { lead_id: '{lead_id}', [SPREAD]: 'fields' } }: Draft<AttachFile>,
): MailTable | null {
  if (format === undefined) return null
  const text = readText(names, `${path}.name`, name ?? `lead-{lead_id}.${format}`)
  const map = readMap(names, `${path}.body`, format === 'csv' ? 'form' : 'json', body)
  if (map?.kind !== 'group' || text === null) return null
  for (const [column, node] of map.members)
    if (format === 'csv' && node.kind === 'list')
      check.fault(below(`${path}.body`, column), 'is a list, and a cell holds one text: write {a, b | join:", "}.')
  if (map.members.length > MAX_COLUMNS)
    check.fault(`${path}.body`, `has ${map.members.length} names: at most ${MAX_COLUMNS} make a file.`)
  return { format, name: text, body: map }
}

function checkOwnShape(check: Check, path: string, file: Draft<MessageFile>): void {
  if (check.broken(`${path}.body`) || file.format === undefined || file.format === 'json') return
  check.fault(`${path}.body`, `is missing: our own shape is JSON, so say what the ${file.format} holds.`)
}

function checkMapped(check: Check, { path, delivery }: Readable, kind: 'ping' | 'post'): void {
  const own = kind === 'ping' ? 'ping_fields' : 'post_fields'
  if (delivery[own] === undefined || spreads(delivery[kind]?.body)) return
  check.fault(
    `${path}.${own}`,
    `is for our own shape, and ${kind}.body says what is sent: remove it, or give the body a member "..." for these fields.`,
  )
}

export function spreads(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false
  return Object.hasOwn(body, SPREAD) || Object.values(body).some(spreads)
}

function methodOf(check: Check, path: string, file: Draft<MessageFile>, format: Format): Message['method'] {
  const method = file.method ?? (format === 'query' ? 'GET' : 'POST')
  if (method === 'GET' && format !== 'query')
    check.fault(`${path}.method`, 'is GET, which has no body: say format: query, or leave the method out.')
  return method
}

function replyOf(check: Check, path: string, file: Draft<MessageFile>['reply']): Message['reply'] {
  const reply = readReply(file ?? {}, `${path}.reply`, check.fault)
  if (reply && reply.accept.length === 0 && !check.broken(`${path}.reply`))
    check.fault(
      `${path}.reply.accept`,
      'is missing: say how an acceptance is known, such as {path: status, equals: ok}.',
    )
  return reply
}

function readPairs(
  names: Names,
  path: string,
  pairs: Draft<Record<string, string>> | undefined,
): readonly (readonly [string, Text])[] {
  return Object.entries(pairs ?? {}).flatMap(([name, value]) => {
    const text = value === undefined ? null : readText(names, below(path, name), value)
    return text ? [[name, text] as const] : []
  })
}

const below = (path: string, name: string): string =>
  /^[\w-]+$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`

/** The delivery's own, and the message's in the place of those of the same name. */
function headersOf(
  { check, delivery, path: above }: Readable,
  names: Names,
  path: string,
  file: Draft<MessageFile>,
): Message['headers'] {
  checkHeaders(check, `${path}.headers`, file.headers ?? {})
  const own = readPairs(names, `${path}.headers`, file.headers)
  const replaced = new Set(own.map(([name]) => name.toLowerCase()))
  const shared = readPairs(names, `${above}.headers`, delivery.headers)
  return [...shared.filter(([name]) => !replaced.has(name.toLowerCase())), ...own]
}

/** What frames a message, and what the engine itself says of every request. */
const FRAMING = 'host content-length transfer-encoding connection keep-alive upgrade expect te trailer'.split(' ')
const OWN = 'idempotency-key webhook-id webhook-timestamp webhook-signature webhook-callback traceparent'.split(' ')
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

export function checkHeaders(check: Check, path: string, headers: Draft<Record<string, string>>): void {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    const here = below(path, name)
    if (seen.has(lower)) check.fault(here, 'stands twice, in different letters: remove one.')
    else checkHeaderName(check, here, name)
    seen.add(lower)
    if (value !== undefined) checkHeaderValue(check, here, value)
  }
}

function checkHeaderName(check: Check, here: string, name: string): void {
  if (!HEADER_NAME.test(name)) check.fault(here, 'is no header name: use letters, digits and -.')
  else if ([...FRAMING, ...OWN].includes(name.toLowerCase()))
    check.fault(here, `${name} is set by the engine and cannot be changed: remove it.`)
}

function checkHeaderValue(check: Check, here: string, value: string): void {
  if (HEADER_VALUE.test(value)) return
  check.fault(here, 'holds a line break or another character that no header may carry: write it on one line.')
}

function authOf(readable: Readable, names: Names, path: string, file: Draft<MessageFile>): Auth | null {
  const own = file.auth !== undefined
  const auth = (own ? file.auth : readable.delivery.auth) as Draft<AuthFile> | undefined
  const here = own ? `${path}.auth` : `${readable.path}.auth`
  if (auth === undefined || readable.check.broken(here)) return null
  const { check } = readable
  const { basic, bearer, header, query, hmac } = auth as AuthFile
  if (basic) return readBasic(check, here, basic)
  if (bearer !== undefined) {
    checkHeaderValue(check, `${here}.bearer`, bearer)
    return { kind: 'bearer', token: bearer }
  }
  if (header) {
    checkHeaderName(check, `${here}.header.name`, header.name)
    checkHeaderValue(check, `${here}.header.value`, header.value)
    return { kind: 'header', ...header }
  }
  if (query) return { kind: 'query', ...query }
  return hmac ? readHmac(readable, names, `${here}.hmac`, hmac) : null
}

function readBasic(check: Check, here: string, basic: NonNullable<AuthFile['basic']>): Auth {
  if (basic.user.includes(':')) check.warn(`${here}.basic.user`, 'holds a colon, where servers see the end of a user.')
  return { kind: 'basic', ...basic }
}

function readHmac(readable: Readable, names: Names, here: string, hmac: NonNullable<AuthFile['hmac']>): Auth | null {
  const { check, kind, delivery, vertical } = readable
  checkHeaderName(check, `${here}.header`, hmac.header)
  const reader = { ...namesOf(check, kind, delivery, vertical, true), seen: names.seen }
  const signs = readText(reader, `${here}.signs`, hmac.signs ?? '{body}')
  const value = readText(reader, `${here}.value`, hmac.value ?? '{signature}')
  if (value && !value.some((part) => typeof part !== 'string' && namesSigned(part.names, 'signature')))
    check.fault(`${here}.value`, 'does not name {signature}, so the header would prove nothing.')
  if (signs?.some((part) => typeof part !== 'string' && namesSigned(part.names, 'signature')))
    check.fault(`${here}.signs`, 'names {signature}, which is made of it: take it out.')
  if (!signs || !value) return null
  const { secret, algorithm = 'sha256', encoding = 'hex', header } = hmac
  return { kind: 'hmac', hmac: { secret, algorithm, signs, encoding, header, value } }
}

const namesSigned = (names: readonly object[], fact: string): boolean =>
  names.some((name) => 'signed' in name && name.signed === fact)

/** What stands where the fields of the campaign are not known because it has faults. */
export const UNREAD: ReadMessage = { message: PLAIN, used: [], checks: [], facts: [] }
