/** What operators are told of: the kinds of alerts, when each is due, and whom it is told to. */
import { type Schedule, scheduleAt } from './schedule.ts'
import { type Micros, type Ms, type WallMs, wallMs } from './units.ts'

/**
 * low_balance: a prepaid buyer has less left than a threshold · cap_reached: a cap is used up (or a share of it) ·
 * breaker_open: a buyer's server is left alone · reject_rate_doubled: a contract refuses more of its posts than it did ·
 * source_silent: no lead came in its usual hours · doubts_open: posts whose outcome nobody knows · outbox_stuck: postbacks
 * or alerts are not heard · price_cuts: a buyer pays less than it bid.
 */
export const ALERT_KINDS = [
  'low_balance',
  'cap_reached',
  'breaker_open',
  'reject_rate_doubled',
  'source_silent',
  'doubts_open',
  'outbox_stuck',
  'price_cuts',
] as const
export type AlertKind = (typeof ALERT_KINDS)[number]

/** Whose things an alert watches; null: everybody's. */
export interface Watched {
  readonly buyers: ReadonlySet<string> | null
  readonly contracts: ReadonlySet<string> | null
  readonly sources: ReadonlySet<string> | null
  readonly campaigns: ReadonlySet<string> | null
}

/** One rule of the configuration. What its kind has no use for is at its default. */
export interface Alert extends Watched {
  readonly id: string
  readonly on: AlertKind
  /** Recipients; none: it is only kept. */
  readonly to: readonly string[]
  /** Of a balance; null: the buyer's own threshold. */
  readonly below: Micros | null
  readonly share: number
  readonly factor: number
  /** Fewer leads, posts or sales prove nothing. */
  readonly least: number
  /** Of open doubts; null: their number says nothing. */
  readonly count: number | null
  readonly minutes: number | null
  /** When a source is expected to send; null: when it usually does. */
  readonly hours: Schedule | null
  /** What it finds must be gone for so long before it counts as ended. */
  readonly quietMs: Ms
}

export type Recipient =
  | { readonly kind: 'email'; readonly to: readonly string[]; readonly server: MailServer }
  | { readonly kind: 'webhook'; readonly url: string; readonly secrets: readonly string[] }

/** By which letters to operators leave. */
export interface MailServer {
  readonly url: string
  readonly from: string
  readonly login: { readonly user: string; readonly password: string } | null
  /** The certificate authorities that count; null: the usual ones. */
  readonly ca: string | null
}

/** Something that an alert is on. It begins an event; the event ends where it is not found any more. */
export interface Finding {
  /** `buyer acme`. */
  readonly subject: string
  /** What tells two events of one subject apart: the cap and its window, the server. */
  readonly episode: string
  readonly facts: Facts
}

/** Never anything of a lead. */
export type Facts = Readonly<Record<string, string | number>>

/** Posts of a contract, and how many of them were refused. */
export interface Posts {
  readonly posts: number
  readonly rejected: number
}

/** Whether it refuses a multiple of what it used to, among enough posts now and before. */
export function hasRejectRateRisen({ factor, share, least }: Alert, now: Posts, before: Posts): boolean {
  if (now.posts < least || before.posts < least) return false
  const rate = now.rejected / now.posts
  return rate >= share && rate >= (factor * before.rejected) / before.posts
}

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** `usual`: how many leads usually come in the hour that begins then. True where silence until now means something. */
export function isSilenceOdd({ hours, minutes, least }: Alert, now: WallMs, usual: (hour: number) => number): boolean {
  const from = now - minutes! * MINUTE_MS
  if (hours !== null) return wasOpen(hours, wallMs(from), now)
  let expected = 0
  for (let hour = Math.floor(from / HOUR_MS) * HOUR_MS; hour < now; hour += HOUR_MS) {
    const part = Math.min(now, hour + HOUR_MS) - Math.max(from, hour)
    expected += (usual(hour) * part) / HOUR_MS
  }
  return expected >= least
}

function wasOpen(schedule: Schedule, from: WallMs, to: WallMs): boolean {
  for (let moment = from; moment <= to; ) {
    const { open, until } = scheduleAt(schedule, moment)
    if (!open) return false
    moment = until
  }
  return true
}
