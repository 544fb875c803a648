/** An earlier lead of a person, as far as somebody's duplicates depend on it, and the short text that the hot store keeps of it. */
import type { WallMs } from './units.ts'

/** How far a lead came: 1 received, 2 shown to a buyer (by a ping or a post), 3 sold or in doubt. */
export type Level = 1 | 2 | 3
export const LEVELS = { received: 1, pinged: 2, sold: 3 } as const satisfies Record<string, Level>

export interface Sighting {
  readonly leadId: string
  readonly campaign: string
  readonly level: Level
  /** Ids of the buyers who bought it, or may have. */
  readonly sold: readonly string[]
  /** Ids of the buyers who were shown it, where anybody's rule counts that; `EVERYONE` where nobody knows. */
  readonly asked: readonly string[]
  /** When it was decided. */
  readonly at: WallMs
  /** How long it may matter: the longest window of the vertical. */
  readonly keepMs: number
}

/** Stands for all buyers: the engine that knew whom it had asked died, and in doubt a buyer had the lead. */
export const EVERYONE = '*'

/** A sighting as it is read back: ids are codes. `lead` is the lead's tail, `at` in whole minutes. */
export interface Seen {
  readonly lead: string
  readonly at: number
  readonly level: Level
  readonly campaign: string
  readonly sold: readonly string[]
  readonly asked: readonly string[]
}

const MINUTE_MS = 60_000
const [LEAD, AT, CODE] = [8, 5, 5]
/** Sightings of one fingerprint; beyond them the oldest go. Buyers who were asked; beyond them it is `EVERYONE`. */
const MOST_SIGHTINGS = 32
const MOST_ASKED = 100
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const LEVEL_LETTERS = 'rps'

/**
 * `<lead><minute><level><campaign><buyers who bought>[/<buyers who were asked>]`: the last 8 characters of the lead's id,
 * the minute since the Unix epoch in 5 digits of base 36, one of r, p, s, and 5 characters for each id. 24 characters for
 * a lead with one sale. Several stand behind one another, joined by `;`.
 */
export function sightingText({ leadId, campaign, level, sold, asked, at }: Sighting): string {
  const minute = Math.ceil(at / MINUTE_MS)
    .toString(36)
    .padStart(AT, '0')
  const shown = asked.length > MOST_ASKED ? [EVERYONE] : asked
  const beside = shown.length === 0 ? '' : `/${codesOf(shown)}`
  return `${leadTail(leadId)}${minute}${LEVEL_LETTERS[level - 1]}${codeOf(campaign)}${codesOf(sold)}${beside}`
}

/** The text without what is older than the minute `oldest` and without the lead's own sightings, and with `fresh` behind. */
export function resighted(text: string, leadId: string, fresh: string | null, oldest: number): string {
  const kept =
    text === '' ? [] : text.split(';').filter((one) => isOf(one, oldest) && !one.startsWith(leadTail(leadId)))
  if (fresh !== null) kept.push(fresh)
  return kept.slice(-MOST_SIGHTINGS).join(';')
}

export function readSightings(text: string): Seen[] {
  if (text === '') return []
  return text.split(';').map((one) => {
    const slash = one.indexOf('/')
    const end = slash < 0 ? one.length : slash
    const head = LEAD + AT + 1 + CODE
    return {
      lead: one.slice(0, LEAD),
      at: Number.parseInt(one.slice(LEAD, LEAD + AT), 36),
      level: (LEVEL_LETTERS.indexOf(one[LEAD + AT]!) + 1) as Level,
      campaign: one.slice(LEAD + AT + 1, head),
      sold: cut(one.slice(head, end)),
      asked: cut(one.slice(end + 1)),
    }
  })
}

/** The minute before which nothing counts that is kept for so long. */
export const oldestMinute = (now: WallMs, keepMs: number): number =>
  Math.max(0, Math.floor((now - keepMs) / MINUTE_MS) + 1)

/** What tells a lead from the others of one person: the last characters of its id. */
export const leadTail = (leadId: string): string => leadId.slice(-LEAD).padStart(LEAD, '0')

/** Five characters (30 bits of FNV-1a) that stand for an id; the checks refuse two ids with one code. */
export function codeOf(id: string): string {
  if (id === EVERYONE) return '*****'
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193)
  let code = ''
  for (let digit = 0; digit < CODE; digit++, hash >>>= 6) code += DIGITS[hash & 63]
  return code
}

const codesOf = (ids: readonly string[]): string => ids.map(codeOf).join('')

const isOf = (one: string, oldest: number): boolean => Number.parseInt(one.slice(LEAD, LEAD + AT), 36) >= oldest

function cut(codes: string): string[] {
  const cuts: string[] = []
  for (let at = 0; at < codes.length; at += CODE) cuts.push(codes.slice(at, at + CODE))
  return cuts
}
