/** Checks what a contract's delivery means, and reads it into the data that the snapshot has. */
import { isAddress, mayBeBuyers, readRange } from '../addresses.ts'
import { checkHeaders, isMail, readMessage, UNREAD } from '../delivery/message.ts'
import type { Delivery, Tls } from '../delivery.ts'
import type { Vertical } from '../verticals.ts'
import { type Check, checkField } from './check.ts'
import type { DeliveryFile } from './delivery-schema.ts'
import type { Draft } from './schema.ts'

/** What the check of a delivery must know of its contract. */
export interface Deliverer {
  /** The fields of its campaign; undefined where that has faults. */
  readonly vertical: Vertical | undefined
  readonly pinged: boolean
}

/** The delivery as it was read; it means nothing where the check heard of faults. */
export function checkDelivery(
  check: Check,
  path: string,
  delivery: Draft<DeliveryFile>,
  { vertical, pinged }: Deliverer,
): Delivery {
  if (delivery.ping_url !== undefined) checkUrl(check, `${path}.ping_url`, delivery.ping_url)
  if (delivery.post_url !== undefined) checkUrl(check, `${path}.post_url`, delivery.post_url, [...HTTP, ...SMTP])
  checkTestUrls(check, path, delivery)
  checkHeaders(check, `${path}.headers`, delivery.headers ?? {})
  checkTables(check, `${path}.tables`, delivery.tables)
  if (vertical) {
    checkFields(check, `${path}.ping_fields`, delivery.ping_fields, vertical)
    checkFields(check, `${path}.post_fields`, delivery.post_fields, vertical)
    checkPingFields(check, `${path}.ping_fields`, delivery.ping_fields ?? [], vertical)
  }
  const isRead = (kind: 'ping' | 'post') =>
    vertical !== undefined && !(kind === 'ping' && delivery.ping_url === undefined)
  if (delivery.ping !== undefined && delivery.ping_url === undefined && !check.broken(`${path}.ping_url`))
    check.fault(`${path}.ping`, 'says how a ping looks, and ping_url is missing: say where it goes, or remove it.')
  const read = (kind: 'ping' | 'post') =>
    isRead(kind) ? readMessage({ check, kind, delivery, vertical: vertical!, path }) : UNREAD
  const ping = read('ping')
  const post = read('post')
  const pingFields = [...new Set([...((delivery.ping_fields ?? []) as readonly string[]), ...ping.used])]
  const silent = pingFields.length === 0 && !check.broken(`${path}.ping_fields`) && !check.broken(`${path}.ping`)
  if (delivery.ping_url !== undefined && pinged && silent) {
    check.warn(`${path}.ping_fields`, 'names no field, so the ping says nothing about the lead.')
  }
  return {
    pingUrl: delivery.ping_url ?? null,
    postUrl: delivery.post_url ?? '',
    testPingUrl: delivery.test_ping_url ?? null,
    testUrl: delivery.test_url ?? null,
    tls: tlsOf(check, `${path}.tls`, delivery),
    ping: ping.message,
    post: post.message,
    status: statusOf(check, path, delivery, vertical),
    checks: [...new Set([...ping.checks, ...post.checks])],
    pingFields,
    postFields: (delivery.post_fields as readonly string[] | undefined) ?? null,
    secrets: (delivery.secrets ?? []) as readonly string[],
  }
}

function checkTestUrls(check: Check, path: string, delivery: Draft<DeliveryFile>): void {
  if (delivery.post_url === undefined && !check.broken(`${path}.post_url`))
    check.fault(`${path}.post_url`, 'is missing: give an absolute http or https address.')
  if (delivery.test_ping_url !== undefined) checkUrl(check, `${path}.test_ping_url`, delivery.test_ping_url)
  if (delivery.test_ping_url !== undefined && delivery.ping_url === undefined)
    check.fault(`${path}.test_ping_url`, 'is where a trial pings, and the contract has no ping_url: remove it.')
  if (delivery.test_url === undefined) return
  const schemes = isMail(delivery.post_url) ? SMTP : HTTP
  checkUrl(check, `${path}.test_url`, delivery.test_url, schemes)
}

/** What names the lead and the buyer's own id of it, where the contract does not say how it asks. */
const ASKED = { lead_id: '{lead_id}', contract: '{contract}', buyer_reference: '{buyer_reference?}' }

/** Read as a post is, for its answer is one: accepted, or rejected in the buyer's words. */
function statusOf(
  check: Check,
  path: string,
  delivery: Draft<DeliveryFile>,
  vertical: Vertical | undefined,
): Delivery['status'] {
  const { status_url: url, status } = delivery
  if (status !== undefined && url === undefined && !check.broken(`${path}.status_url`))
    check.fault(`${path}.status`, 'says how to ask, and status_url is missing: say where, or remove it.')
  if (url === undefined) return null
  checkUrl(check, `${path}.status_url`, url)
  if (!vertical) return null
  const asked = { ...delivery, post: { body: ASKED, ...status } } as Draft<DeliveryFile>
  const renamed: Check = {
    ...check,
    fault: (at, text) => check.fault(at.replace(`${path}.post`, `${path}.status`), text),
  }
  return { url, message: readMessage({ check: renamed, kind: 'post', delivery: asked, vertical, path }).message }
}

/** Whether the certificates are any is for `buyers` to say, which can read them. */
export function tlsOf(
  check: Check,
  path: string,
  { tls, ping_url: ping, post_url: post }: Pick<Draft<DeliveryFile>, 'tls' | 'ping_url' | 'post_url'>,
): Tls | null {
  if (tls === undefined) return null
  const { ca = null, cert = null, key = null } = tls
  if ((cert === null) !== (key === null) && !check.broken(path))
    check.fault(path, 'needs cert and key together: one proves nothing without the other.')
  for (const url of [ping, post])
    if (url?.startsWith('http:')) check.fault(path, 'means nothing where an address is plain http: write https.')
  return { ca, cert, key }
}

function checkPingFields(check: Check, path: string, names: Draft<string[]>, vertical: Vertical): void {
  names.forEach((name, at) => {
    const field = vertical.fields.find((one) => one.name === name)
    if (!field || field.ping) return
    const message = `"${name}" may not leave in a ping of the vertical ${vertical.id}: take it out; the post carries it.`
    check.fault(`${path}[${at}]`, message)
  })
}

export function checkTables(check: Check, path: string, tables: Draft<DeliveryFile>['tables']): void {
  for (const [name, table] of Object.entries(tables ?? {})) {
    for (const [word, value] of Object.entries(table ?? {})) {
      if (['string', 'number', 'boolean'].includes(typeof value)) continue
      check.fault(`${path}.${name}[${JSON.stringify(word)}]`, 'takes a text, a number, true or false.')
    }
  }
}

function checkFields(check: Check, path: string, names: Draft<string[]> | undefined, vertical: Vertical): void {
  names?.forEach((name, at) => {
    if (name === undefined) return
    checkField(check, `${path}[${at}]`, name, vertical)
    if (names.indexOf(name) !== at) check.fault(`${path}[${at}]`, `"${name}" stands in the list already: remove it.`)
  })
}

const HTTP = ['http:', 'https:']
const SMTP = ['smtp:', 'smtps:']

export function checkUrl(check: Check, path: string, text: string, schemes: readonly string[] = HTTP): void {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !schemes.includes(url.protocol) || url.hostname === '') {
    const place = /\$\{/.test(text) ? ' It holds a placeholder that nobody filled in.' : ''
    const shown = text.split('?')[0]
    check.fault(path, `"${shown}" is no absolute http or https address, such as https://acme.example/leads.${place}`)
    return
  }
  if (url.username || url.password) {
    check.fault(path, 'holds a user or a password: put them into auth.')
  }
  checkAddress(check, path, url.hostname)
  if (SMTP.includes(url.protocol) && /[^/]/.test(url.pathname + url.search))
    check.fault(path, 'names more than a mail server and its port: remove what follows.')
  if (url.hash) check.fault(path, `"${url.hash}" would never be sent: remove it.`)
  const loopback = /^(127\.|\[::1\]$|localhost$)/.test(url.hostname)
  if (url.protocol === 'http:' && !loopback) check.warn(path, 'is plain http: leads would travel unencrypted.')
}

/** What is written as an address is judged now; what a name leads to, at each connection. */
function checkAddress(check: Check, path: string, host: string): void {
  if (check.broken('network')) return
  const listed = check.draft.network?.allowed_cidrs ?? []
  const allowed = listed.map((cidr) => readRange(cidr ?? '')).filter((range) => range !== null)
  const address = LOCALHOST.test(host) ? '127.0.0.1' : host
  if (!isAddress(address) || mayBeBuyers(address, allowed)) return
  const message = `leads to ${host}, where buyers may not be: if one is there, list its range in network.allowed_cidrs.`
  check.fault(path, message)
}
const LOCALHOST = /(?:^|\.)localhost\.?$/
