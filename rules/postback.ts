/** What a source's postback may say: the macros of its address, and what stands for each. */
import { formatMoney, type Micros } from './units.ts'

export const POSTBACK_EVENTS = ['sold', 'resolved', 'returned', 'adjusted'] as const
export type PostbackEvent = (typeof POSTBACK_EVENTS)[number]

/** How one source hears of one campaign's leads. */
export interface Postback {
  readonly url: string
  readonly method: 'GET' | 'POST'
  /** Standard Webhooks signing secrets; none: unsigned. */
  readonly secrets: readonly string[]
  readonly events: ReadonlySet<PostbackEvent>
}

/** One thing that happened to a lead, as its source may know it. */
export interface PostbackFacts {
  /** The same however often it is sent. */
  readonly eventId: string
  readonly event: PostbackEvent
  readonly at: number
  readonly leadId: string
  readonly leadRef: string | null
  readonly status: string
  readonly payout: Micros
  readonly currency: string
  /** `sub1`..`sub5` and `click_id`, those that came with the lead. */
  readonly subs: Readonly<Record<string, string>>
}

const SUBS = ['click_id', 'sub1', 'sub2', 'sub3', 'sub4', 'sub5'] as const
/** Words that may stand in braces. */
export const MACROS = [
  'lead_id',
  'lead_ref',
  'click_id',
  'payout',
  'currency',
  'status',
  'event',
  'event_id',
  'sub1',
  'sub2',
  'sub3',
  'sub4',
  'sub5',
] as const

const MACRO = /\{([a-z0-9_]*)\}/g

/** Every word that stands in braces. */
export const macrosIn = (url: string): string[] => [...url.matchAll(MACRO)].map((match) => match[1]!)

/** The address with its macros filled in, each value encoded so that it stays one value. What is not known is empty. */
export function filledIn(url: string, facts: PostbackFacts): string {
  const values = postbackFields(facts)
  return url.replace(MACRO, (_, name: string) => encodeURIComponent(values[name] ?? ''))
}

/** The facts by the names that the wire has for them. */
export function postbackFields(facts: PostbackFacts): Record<string, string> {
  const { eventId, event, at, leadId, leadRef, status, payout, currency, subs } = facts
  const fields: Record<string, string> = {
    event_id: eventId,
    event,
    at: new Date(at).toISOString(),
    lead_id: leadId,
    status,
    payout: formatMoney(payout),
    currency,
  }
  if (leadRef !== null) fields['lead_ref'] = leadRef
  for (const name of SUBS) if (subs[name] !== undefined) fields[name] = subs[name]
  return fields
}
