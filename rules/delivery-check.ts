/** Checks what a contract's delivery means: its addresses, headers, and the fields that it names. */
import { type Check, checkField } from './config-check.ts'
import type { Draft } from './config-schema.ts'
import type { DeliveryFile } from './delivery-schema.ts'
import type { Vertical } from './verticals.ts'

/** What the check of a delivery must know of its contract. */
export interface Deliverer {
  /** The fields of its campaign; undefined where that has faults. */
  readonly vertical: Vertical | undefined
  readonly pinged: boolean
}

export function checkDelivery(
  check: Check,
  path: string,
  delivery: Draft<DeliveryFile> | undefined,
  { vertical, pinged }: Deliverer,
): void {
  if (delivery?.ping_url !== undefined) checkUrl(check, `${path}.ping_url`, delivery.ping_url)
  if (delivery?.post_url !== undefined) checkUrl(check, `${path}.post_url`, delivery.post_url)
  checkHeaders(check, `${path}.headers`, delivery?.headers ?? {})
  if (vertical) {
    checkFields(check, `${path}.ping_fields`, delivery?.ping_fields, vertical)
    checkFields(check, `${path}.post_fields`, delivery?.post_fields, vertical)
    delivery?.ping_fields?.forEach((name, at) => {
      const field = vertical.fields.find((one) => one.name === name)
      if (field && !field.ping) {
        const message = `"${name}" may not leave in a ping of the vertical ${vertical.id}: take it out; the post carries it.`
        check.fault(`${path}.ping_fields[${at}]`, message)
      }
    })
  }
  const empty = (delivery?.ping_fields ?? []).length === 0 && !check.broken(`${path}.ping_fields`)
  if (delivery?.ping_url !== undefined && pinged && empty) {
    check.warn(`${path}.ping_fields`, 'names no field, so the ping says nothing about the lead.')
  }
}

function checkFields(check: Check, path: string, names: Draft<string[]> | undefined, vertical: Vertical): void {
  names?.forEach((name, at) => {
    if (name === undefined) return
    checkField(check, `${path}[${at}]`, name, vertical)
    if (names.indexOf(name) !== at) check.fault(`${path}[${at}]`, `"${name}" stands in the list already: remove it.`)
  })
}

function checkUrl(check: Check, path: string, text: string): void {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const place = /\$\{/.test(text) ? ' It holds a placeholder that nobody filled in.' : ''
    const shown = text.split('?')[0]
    check.fault(path, `"${shown}" is no absolute http or https address, such as https://acme.example/leads.${place}`)
    return
  }
  if (url.username || url.password) {
    check.fault(path, 'holds a user or a password: put them into an Authorization header.')
  }
  if (url.hash) check.fault(path, `"${url.hash}" would never be sent: remove it.`)
  const loopback = /^(127\.|\[::1\]$|localhost$)/.test(url.hostname)
  if (url.protocol === 'http:' && !loopback) check.warn(path, 'is plain http: leads would travel unencrypted.')
}

/** What frames a message, and what the engine itself says of every request. */
const FRAMING = 'host content-length transfer-encoding connection keep-alive upgrade expect te trailer'.split(' ')
const OWN = 'content-type accept idempotency-key webhook-id webhook-timestamp webhook-signature traceparent'.split(' ')

function checkHeaders(check: Check, path: string, headers: Draft<Record<string, string>>): void {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    const here = /^[\w-]+$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) check.fault(here, 'is no header name: use letters, digits and -.')
    else if (FRAMING.includes(lower) || OWN.includes(lower)) {
      check.fault(here, `${name} is set by the engine and cannot be changed: remove it.`)
    } else if (seen.has(lower)) check.fault(here, 'stands twice, in different letters: remove one.')
    seen.add(lower)
    if (value !== undefined && !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      check.fault(here, 'holds a line break or another character that no header may carry: write it on one line.')
    }
  }
}
