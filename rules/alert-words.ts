/** An event in words: what happened, where, and what to do. */
import type { AlertKind, Facts } from './alerts.ts'

export interface EventWords {
  /** One sentence that stands alone: a letter's subject. */
  readonly what: string
  readonly todo: string
  /** Paths of the admin plane that show more. */
  readonly see: readonly string[]
}

interface Told {
  readonly subject: string
  readonly facts: Facts
}

const WORDS: Readonly<Record<AlertKind | 'test', (told: Told) => EventWords>> = {
  low_balance: ({ subject, facts: { balance, threshold, currency } }) => ({
    what: `${subject} has ${balance} ${currency} left, less than ${threshold}`,
    todo: 'Ask it to pay in and enter the deposit: once balance and credit are used up, its contracts stop to buy.',
    see: [pathOf(subject)],
  }),
  cap_reached: ({ subject, facts: { cap, used, limit, until } }) => ({
    what: `${subject} has used ${used} of ${limit} of its cap (${cap})`,
    todo: `${until ? `It is free again at ${until}. ` : ''}Raise the cap, or see that others buy meanwhile.`,
    see: ['/admin/v1/caps', pathOf(subject)],
  }),
  breaker_open: ({ subject, facts: { kind, origin, engines, opened } }) => ({
    what: `${subject} is left alone: its server ${origin} fails at ${kind}s`,
    todo: `Engine ${engines} stopped to ask it at ${opened} and probes it by itself. Tell the buyer; pause it where it stays so.`,
    see: ['/admin/v1/status', pathOf(subject)],
  }),
  reject_rate_doubled: ({ subject, facts: { rejected, posts, rate, before } }) => ({
    what: `${subject} refuses ${rate} of its posts, before it were ${before}`,
    todo: `It refused ${rejected} of ${posts}. Look at its reasons: a filter, a field or a key may have changed on its side.`,
    see: [pathOf(subject), '/admin/v1/reports'],
  }),
  source_silent: ({ subject, facts: { minutes, latest } }) => ({
    what: `${subject} has sent no lead for ${minutes} minutes`,
    todo: `${latest ? `Its latest lead came at ${latest}. ` : ''}Ask it whether its forms and its key are as they were.`,
    see: [pathOf(subject)],
  }),
  doubts_open: ({ subject, facts: { count, oldest } }) => ({
    what: `${subject} has posts in doubt (${count}), the oldest since ${oldest}`,
    todo: 'Ask the buyer whether it has these leads, and resolve them: a contract with three of them is not asked any more.',
    see: [pathOf(subject)],
  }),
  outbox_stuck: ({ subject, facts: { count, oldest, failure } }) => ({
    what: `${subject} are not heard (${count}), the oldest since ${oldest}`,
    todo: `The last failure was ${failure || 'none yet'}. They are sent again by themselves for a day: mend the address, or ask whoever it belongs to.`,
    see: [],
  }),
  price_cuts: ({ subject, facts: { cuts, sales, share } }) => ({
    what: `${subject} paid less than it bid for ${cuts} of ${sales} leads (${share})`,
    todo: 'Ask it why; until it is settled its bids are worth less than they say: adjust them, or pause it.',
    see: [pathOf(subject), '/admin/v1/reports'],
  }),
  test: ({ subject }) => ({
    what: `${subject} is tried: nothing has happened`,
    todo: 'Nothing is to be done: what it finds will reach you like this.',
    see: [pathOf(subject)],
  }),
}

/** `kind`: a past one may be of a kind that is no more. */
export function wordsOf(kind: string, told: Told): EventWords {
  const words = Object.hasOwn(WORDS, kind) ? WORDS[kind as keyof typeof WORDS](told) : null
  return words ?? { what: `${told.subject}: ${kind}`, todo: '', see: [] }
}

/** `buyer acme` -> where the admin plane shows it. */
function pathOf(subject: string): string {
  const [kind, id] = subject.split(' ') as [string, string]
  return `/admin/v1/${kind}s/${id}`
}
