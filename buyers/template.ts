/** Compiles a contract's ping and post into logic-less templates over JSON: values are rendered once per lead, joined once per contract. */
import { CONSENT_FIELDS } from '../rules/fields.ts'
import { formatMoney } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { PostFacts, WireLead } from './adapter.ts'

export type PingTemplate = (wire: WireLead) => string
export type PostTemplate = (wire: WireLead, facts: PostFacts) => string

const SUB_ID = /^(?:sub[1-5]|click_id)$/
/** Parts of a body that several contracts share lie in the lead's fragments under names that no field can have. */
const ENVELOPE = ':envelope'
const ALL_FIELDS = ':*'

/** `{"ping_id","contract","campaign","source","test","fields"}`, and `consent` and `subs` where named fields of the kind are there. */
export function compilePing(contract: Contract): PingTemplate {
  const names = canonical(contract.delivery.pingFields)
  const key = namesKey(names)
  const mine = `:${inner(contract.id)}","contract":${JSON.stringify(contract.id)}`
  return (wire) => `{"ping_id":"${wire.id}${mine}${envelope(wire)}${sections(wire, key, names)}}`
}

/** As the ping, with `lead_id`, `price` (decimal string) and `buyer_reference` (the buyer's own id from its bid, or null). */
export function compilePost(contract: Contract): PostTemplate {
  const { postFields } = contract.delivery
  const names = postFields === null ? null : canonical(postFields)
  const key = names === null ? ALL_FIELDS : namesKey(names)
  const mine = `","contract":${JSON.stringify(contract.id)}`
  return (wire, facts) =>
    `{"lead_id":"${wire.id}${mine}${envelope(wire)},"price":"${formatMoney(facts.price)}","buyer_reference":${JSON.stringify(
      facts.buyerReference,
    )}${sections(wire, key, names)}}`
}

/** Sorted and without repeats, so that contracts that name the same fields share one rendering. */
function canonical(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort()
}

function namesKey(names: readonly string[]): string {
  return `:${names.join(',')}`
}

function inner(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function envelope(wire: WireLead): string {
  const known = wire.fragments.get(ENVELOPE)
  if (known !== undefined) return known
  const text = `,"campaign":${JSON.stringify(wire.campaign)},"source":${JSON.stringify(wire.sourcePseudonym)},"test":${wire.test}`
  wire.fragments.set(ENVELOPE, text)
  return text
}

/** `,"fields":{...},"consent":{...},"subs":{...}` of the named fields that the lead has. `names` null: all of its fields, no sub-ids. */
function sections(wire: WireLead, key: string, names: readonly string[] | null): string {
  const known = wire.fragments.get(key)
  if (known !== undefined) return known
  const fields: string[] = []
  const consent: string[] = []
  const subs: string[] = []
  for (const name of names ?? wire.lead.values.keys()) {
    const text = fragment(wire, name)
    if (text === '') continue
    if (CONSENT_FIELDS.has(name)) consent.push(text)
    else if (SUB_ID.test(name)) subs.push(text)
    else fields.push(text)
  }
  const text = `,"fields":{${fields.join(',')}}${section('consent', consent)}${section('subs', subs)}`
  wire.fragments.set(key, text)
  return text
}

function section(name: string, fragments: readonly string[]): string {
  return fragments.length === 0 ? '' : `,"${name}":{${fragments.join(',')}}`
}

/** `"name":value` as JSON, or '' where the lead does not have it. */
function fragment(wire: WireLead, name: string): string {
  const known = wire.fragments.get(name)
  if (known !== undefined) return known
  const value =
    wire.lead.values.get(name)?.normal ?? (Object.hasOwn(wire.lead.subs, name) ? wire.lead.subs[name] : null)
  const text = value == null ? '' : `${JSON.stringify(name)}:${JSON.stringify(value)}`
  wire.fragments.set(name, text)
  return text
}
