/** Stars out a contract's credentials where people read what was sent to its buyer. */
import { queryCredentials } from '../rules/configuration/secrets.ts'
import type { Contract } from '../rules/version.ts'

export type Hide = (text: string) => string

/** Stars out every secret of the delivery, as it is and as it is written in addresses, logins and JSON. */
export function hiding(contract: Contract): Hide {
  return replacing(formsOf(contract))
}

const HIDDEN_BYTES = new WeakMap<Contract, Hide | null>()

/** The same in a text that is one byte a character; null where there is nothing to hide. */
export function hidingBytes(contract: Contract): Hide | null {
  const known = HIDDEN_BYTES.get(contract)
  if (known !== undefined) return known
  const forms = formsOf(contract).map((form) => Buffer.from(form, 'utf8').toString('latin1'))
  const made = forms.length === 0 ? null : replacing(forms)
  HIDDEN_BYTES.set(contract, made)
  return made
}

const STARS = '*****'

function replacing(forms: readonly string[]): Hide {
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length)
  return (text) => {
    let shown = text
    for (const form of longestFirst) if (shown.includes(form)) shown = shown.replaceAll(form, STARS)
    return shown
  }
}

function formsOf({ delivery }: Contract): readonly string[] {
  const { pingUrl, postUrl, testPingUrl, testUrl } = delivery
  const urls = [pingUrl, postUrl, testPingUrl, testUrl].flatMap((url) => (url === null ? [] : queryCredentials(url)))
  const secrets = new Set<string>([...delivery.secrets, ...urls])
  for (const { auth, query, headers, body } of [delivery.ping, delivery.post]) {
    for (const secret of textsUnder(auth, OF_AUTH)) secrets.add(secret)
    for (const secret of textsUnder([query, headers, body], OF_TEXTS)) secrets.add(secret)
    for (const [name, text] of headers) {
      if (HARMLESS.has(name.toLowerCase())) continue
      for (const part of text) if (typeof part === 'string') secrets.add(part)
    }
    if (auth?.kind === 'basic') secrets.add(Buffer.from(`${auth.user}:${auth.password}`, 'utf8').toString('base64'))
  }
  return [...secrets]
    .filter((secret) => secret.length >= SHORTEST)
    .flatMap((one) => [one, encodeURIComponent(one.toWellFormed()), JSON.stringify(one).slice(1, -1)])
}

/** Members of a delivery's data whose texts are secrets. */
const OF_AUTH: ReadonlySet<string> = new Set(['password', 'token', 'secret', 'value'])
const OF_TEXTS: ReadonlySet<string> = new Set(['key'])
/** A shorter one is no secret, and would star out half of a page. */
const SHORTEST = 4
/** Headers whose configured values are nobody's credentials. */
const HARMLESS: ReadonlySet<string> = new Set(['accept', 'accept-language', 'content-type', 'soapaction', 'user-agent'])

function textsUnder(value: unknown, members: ReadonlySet<string>): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item) => textsUnder(item, members))
  return Object.entries(value).flatMap(([key, member]) =>
    typeof member === 'string' ? (members.has(key) ? [member] : []) : textsUnder(member, members),
  )
}
