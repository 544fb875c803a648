/** Stars out a contract's credentials where people read what was sent to its buyer. */
import { queryCredentials } from '../rules/configuration/secrets.ts'
import type { Contract } from '../rules/version.ts'

export type Hide = (text: string) => string

/** Where credentials may stand. */
type Told = {
  readonly delivery: Pick<
    Contract['delivery'],
    'pingUrl' | 'postUrl' | 'testPingUrl' | 'testUrl' | 'secrets' | 'ping' | 'post'
  >
}

/** Stars out every secret of the delivery, as it is and as it is written in addresses, logins and JSON. */
export function hiding(contract: Told): Hide {
  const forms = longestFirst(formsOf(contract))
  return (text) => forms.reduce((shown, form) => shown.replaceAll(form, STARS), text)
}

/** Stars secrets out between two places of a buffer, and says where the text ends then. A star-out may be a byte longer than its secret. */
export type HideBytes = (text: Buffer, from: number, end: number) => number

const HIDING_BYTES = new WeakMap<Contract, HideBytes | null>()

/** The same in bytes; null where there is nothing to hide. */
export function hidingBytes(contract: Contract): HideBytes | null {
  const known = HIDING_BYTES.get(contract)
  if (known !== undefined) return known
  const forms = longestFirst(formsOf(contract)).map((form) => Buffer.from(form, 'utf8'))
  const made = forms.length === 0 ? null : replacingBytes(forms)
  HIDING_BYTES.set(contract, made)
  return made
}

function replacingBytes(forms: readonly Buffer[]): HideBytes {
  return (text, from, given) => {
    let end = given
    for (const form of forms) {
      let at = text.subarray(from, end).indexOf(form)
      while (at >= 0) {
        const place = from + at
        text.copyWithin(place + STARS.length, place + form.length, end)
        text.write(STARS, place, 'latin1')
        end += STARS.length - form.length
        at = text.subarray(from, end).indexOf(form, at + STARS.length)
      }
    }
    return end
  }
}

const STARS = '*****'

const longestFirst = (forms: readonly string[]): readonly string[] =>
  [...new Set(forms)].sort((a, b) => b.length - a.length)

function formsOf({ delivery }: Told): readonly string[] {
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
