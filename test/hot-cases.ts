/** Cases of caps as lines that a person can read, and what plays them against any hot store. */

import type { HotStore } from '../engine/store/port.ts'
import { Caps, type CommitAnswer, type HoldAnswer, type PlaceGroup, type PostingAnswer } from '../rules/caps.ts'
import { wallMs } from '../rules/units.ts'

export type CapsStore = Pick<
  HotStore,
  'setEpoch' | 'hold' | 'posting' | 'commit' | 'release' | 'tokenState' | 'restore' | 'dump' | 'paidIn' | 'usage'
>

/** The model itself in the port's clothes. */
export function modelStore(): CapsStore {
  const caps = new Caps()
  let epoch = 0
  return {
    setEpoch: (to) => {
      epoch = to
    },
    hold: async (token, groups, now) => caps.hold(epoch, token, groups, now),
    posting: async (token, groups, now) => caps.posting(epoch, token, groups, now),
    commit: async (token, groups, now) => caps.commit(epoch, token, groups, now),
    release: async (token, groups, now) => caps.release(epoch, token, groups, now),
    tokenState: async (token, groups) => caps.tokenState(token, groups),
    restore: async (image) => {
      caps.restore(image)
      epoch = image.epoch
    },
    dump: async () => ({ epoch, ...caps.dump() }),
    paidIn: async (tag, key, seq, total) => void caps.paidIn(epoch, tag, key, { seq, total }),
    usage: async (wanted) => caps.usage(wanted),
  }
}

/**
 * Steps are `<ms> <call> <token> <places> -> <answer>`; each story begins under epoch 1 with the tags acme, bolt and demo open.
 *
 * A place is `<tag>.<name>`, then in any order: `<9` its limit (default 1), `=5` its amount (1), `@2` its version (1),
 * `!9000` when it may be forgotten (never), `~2` how many buckets of its rolling window count before it, `^3`
 * how much of a paced cap may be used for now. The name `now` is a concurrency place, `balance` a prepaid one: `paid` takes the entry's number and the total. `counts` lists what is used.
 * `restore` takes the epoch, then `committed` and `posting <token>` with their places. `epoch` sets the process's epoch.
 */
export interface CapsCase {
  readonly why: string
  readonly steps: readonly string[]
}

export const CAPS_CASES: readonly CapsCase[] = [
  {
    why: 'A hold takes a place, and the next one hears which cap is full.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '0 hold t2 acme.day -> FULL acme.day',
      '0 counts acme.day=1',
      '0 state t2 acme.day -> null',
    ],
  },
  {
    why: 'A repeated hold answers HELD and takes nothing again.',
    steps: ['0 hold t1 acme.day<2 -> HELD', '5 hold t1 acme.day<2 -> HELD', '5 counts acme.day=1'],
  },
  {
    why: 'A hold delayed beyond its posting still answers HELD, and the posting keeps its place.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '1 posting t1 acme.day -> POSTING',
      '2 hold t1 acme.day -> HELD',
      '2 state t1 acme.day -> posting',
      '2 counts acme.day=1',
    ],
  },
  {
    why: 'All or none: where the second cap is full, the first is not taken.',
    steps: [
      '0 hold t1 acme.day<5 acme.hour<1 -> HELD',
      '0 hold t2 acme.day<5 acme.hour<1 -> FULL acme.hour',
      '0 counts acme.day=1 acme.hour=1',
    ],
  },
  {
    why: 'Of two full caps the first in order is named.',
    steps: [
      '0 hold t1 acme.week acme.day -> HELD',
      '0 hold t2 acme.hour acme.week acme.day -> FULL acme.week',
      '0 hold t3 acme.day acme.week -> FULL acme.day',
    ],
  },
  {
    why: 'Over several tags a full cap gives the earlier tags back, and their tombstones stop a delayed repetition.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '0 hold t2 demo.day<9 acme.day -> FULL acme.day',
      '0 counts demo.day=0 acme.day=1',
      '0 release t1 acme.day -> RELEASED',
      '0 hold t2 demo.day<9 acme.day -> GONE',
      '0 counts demo.day=0 acme.day=0',
    ],
  },
  {
    why: 'A released place is free for the next one, and is given back once.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '1 release t1 acme.day -> RELEASED',
      '2 release t1 acme.day -> RELEASED',
      '3 counts acme.day=0',
      '4 hold t2 acme.day -> HELD',
    ],
  },
  {
    why: 'A release that overtakes its hold leaves a tombstone: the hold takes nothing.',
    steps: [
      '0 release t1 acme.day -> RELEASED',
      '1 hold t1 acme.day -> GONE',
      '1 state t1 acme.day -> released',
      '1 counts',
    ],
  },
  {
    why: 'A tombstone is forgotten after ten minutes.',
    steps: ['0 release t1 acme.day -> RELEASED', '599999 hold t1 acme.day -> GONE', '600000 hold t1 acme.day -> HELD'],
  },
  {
    why: 'Posting and commit of a token that nobody knows change nothing.',
    steps: [
      '0 posting t1 acme.day -> GONE',
      '0 commit t1 acme.day -> UNKNOWN',
      '0 state t1 acme.day -> null',
      '0 hold t1 acme.day -> HELD',
    ],
  },
  {
    why: 'A sale keeps its place; the release that comes after it changes nothing.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '1 posting t1 acme.day -> POSTING',
      '2 commit t1 acme.day -> COMMITTED',
      '3 commit t1 acme.day -> COMMITTED',
      '4 release t1 acme.day -> RELEASED',
      '5 state t1 acme.day -> committed',
      '5 counts acme.day=1',
      '6 hold t1 acme.day<9 -> GONE',
      '6 posting t1 acme.day -> GONE',
    ],
  },
  {
    why: 'A commit after the release changes nothing.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '1 posting t1 acme.day -> POSTING',
      '2 release t1 acme.day -> RELEASED',
      '3 commit t1 acme.day -> UNKNOWN',
      '3 counts acme.day=0',
    ],
  },
  {
    why: 'A committed token is forgotten after ten minutes; what it counted stays.',
    steps: [
      '0 hold t1 acme.day<5 -> HELD',
      '0 posting t1 acme.day -> POSTING',
      '0 commit t1 acme.day -> COMMITTED',
      '600000 hold t2 acme.day<5 -> HELD',
      '600000 state t1 acme.day -> null',
      '600000 counts acme.day=2',
    ],
  },
  {
    why: 'A hold that nobody turns into a post lapses with its lease; the next hold sweeps it away.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '14999 hold t2 acme.day -> FULL acme.day',
      '15000 hold t2 acme.day -> HELD',
      '15000 counts acme.day=1',
      '15000 state t1 acme.day -> released',
    ],
  },
  {
    why: 'Posting comes too late for an expired hold, which gives its place back at once.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '15000 posting t1 acme.day -> GONE',
      '15000 counts acme.day=0',
      '15001 hold t1 acme.day -> GONE',
    ],
  },
  {
    why: 'A commit without posting is a commit; after the lease it is not.',
    steps: [
      '0 hold t1 acme.day<2 -> HELD',
      '0 hold t2 acme.day<2 -> HELD',
      '14999 commit t1 acme.day -> COMMITTED',
      '15000 commit t2 acme.day -> UNKNOWN',
      '15000 counts acme.day=1',
    ],
  },
  {
    why: 'A posting entry has no lease: it keeps its place for days, until somebody settles it.',
    steps: [
      '0 hold t1 acme.day -> HELD',
      '14999 posting t1 acme.day -> POSTING',
      '259200000 hold t2 acme.day -> FULL acme.day',
      '259200000 posting t1 acme.day -> POSTING',
      '259200000 release t1 acme.day -> RELEASED',
      '259200000 hold t2 acme.day -> HELD',
    ],
  },
  {
    why: 'A concurrency place returns with the sale, a count does not, and neither returns twice.',
    steps: [
      '0 hold t1 acme.day<9 acme.now -> HELD',
      '0 hold t2 acme.day<9 acme.now -> FULL acme.now',
      '0 posting t1 acme.day -> POSTING',
      '1 commit t1 acme.day -> COMMITTED',
      '2 commit t1 acme.day -> COMMITTED',
      '2 counts acme.day=1 acme.now=0',
      '3 hold t2 acme.day<9 acme.now -> HELD',
    ],
  },
  {
    why: 'Spend counts micros, to the last one, far beyond what a float of Lua prints.',
    steps: [
      '0 hold t1 acme.spend<9007199254740991=9007199254740990 -> HELD',
      '0 hold t2 acme.spend<9007199254740991=2 -> FULL acme.spend',
      '0 hold t3 acme.spend<9007199254740991=1 -> HELD',
      '0 counts acme.spend=9007199254740991',
      '0 release t1 acme.spend -> RELEASED',
      '0 counts acme.spend=1',
    ],
  },
  {
    why: 'A free lead spends nothing, and gives nothing back.',
    steps: [
      '0 hold t1 acme.spend<5=0 -> HELD',
      '0 counts acme.spend=0',
      '0 release t1 acme.spend -> RELEASED',
      '0 counts acme.spend=0',
    ],
  },
  {
    why: 'A limit of nothing sells nothing.',
    steps: ['0 hold t1 acme.day<0 -> FULL acme.day', '0 counts'],
  },
  {
    why: 'The limit of the highest version wins, whoever asks, in both directions.',
    steps: [
      '0 hold t1 acme.day<2@1 -> HELD',
      '0 hold t2 acme.day<1@2 -> FULL acme.day',
      '0 hold t3 acme.day<2@1 -> FULL acme.day',
      '0 hold t4 acme.day<3@3 -> HELD',
      '0 hold t5 acme.day<1@2 -> HELD',
      '0 hold t6 acme.day<9@2 -> FULL acme.day',
      '0 counts acme.day=3',
    ],
  },
  {
    why: 'A lower limit that finds more used than it allows sells nothing until it fits again.',
    steps: [
      '0 hold t1 acme.day<3 -> HELD',
      '0 hold t2 acme.day<3 -> HELD',
      '0 hold t3 acme.day<1@2 -> FULL acme.day',
      '0 release t1 acme.day -> RELEASED',
      '0 hold t4 acme.day<1@2 -> FULL acme.day',
      '0 release t2 acme.day -> RELEASED',
      '0 hold t5 acme.day<1@2 -> HELD',
    ],
  },
  {
    why: 'A window that is long over is forgotten, with its limit; a late release of it does nothing.',
    steps: [
      '0 hold t1 acme.day<2!100000 acme.total<9 -> HELD',
      '0 posting t1 acme.day -> POSTING',
      '99999 hold t2 acme.day<2!100000 acme.total<9 -> HELD',
      '100000 hold t3 acme.other<9 -> HELD',
      '100000 counts acme.total=2 acme.other=1',
      '100001 release t1 acme.day -> RELEASED',
      '100001 counts acme.total=1 acme.other=1',
    ],
  },
  {
    why: 'Nothing is held in a window that is long over.',
    steps: [
      '100000 hold t1 acme.total<9 acme.day<2!100000 -> GONE',
      '100000 counts',
      '100000 state t1 acme.day -> null',
    ],
  },
  {
    why: 'A tag that was not opened is cold, and so is every tag under another epoch.',
    steps: [
      '0 hold t1 crane.day -> COLD',
      '0 posting t1 crane.day -> COLD',
      '0 commit t1 crane.day -> COLD',
      '0 release t1 crane.day -> COLD',
      '0 hold t1 acme.day -> HELD',
      'epoch 2',
      '0 hold t2 acme.day<9 -> COLD',
      '0 posting t1 acme.day -> COLD',
      '0 commit t1 acme.day -> COLD',
      '0 release t1 acme.day -> COLD',
      'epoch 1',
      '0 counts acme.day=1',
    ],
  },
  {
    why: 'A hold that finds one of its tags cold leaves nothing in the others.',
    steps: ['0 hold t1 demo.day crane.day -> COLD', '0 counts demo.day=0', '0 hold t2 demo.day -> HELD'],
  },
  {
    why: 'A rebuild installs what is committed and what is being posted, and nothing of before.',
    steps: [
      '0 hold t1 acme.day<9 -> HELD',
      '0 hold t2 bolt.day<9 -> HELD',
      'restore 2 committed acme.day<4=2 posting t3 acme.day<4=1 acme.now<2',
      '0 counts acme.day=3 acme.now=1',
      '0 state t1 acme.day -> null',
      '0 state t3 acme.day -> posting',
      '0 hold t4 acme.day<4 -> HELD',
      '0 hold t5 acme.day<4 -> FULL acme.day',
      '1 commit t3 acme.day -> COMMITTED',
      '1 release t4 acme.day -> RELEASED',
      '1 counts acme.day=3 acme.now=0',
      '1 posting t2 bolt.day -> GONE',
    ],
  },
  {
    why: 'A restored limit is known with its version.',
    steps: [
      'restore 2 committed acme.day<2@7=2',
      '0 hold t1 acme.day<9@6 -> FULL acme.day',
      '0 hold t1 acme.day<9@8 -> HELD',
    ],
  },
  {
    why: 'A rolling window counts its buckets together; what has left it makes room.',
    steps: [
      '0 hold t1 acme.5m:10~2<2 -> HELD',
      '0 hold t2 acme.5m:11~2<2 -> HELD',
      '0 hold t3 acme.5m:12~2<2 -> FULL acme.5m:12',
      '0 hold t4 acme.5m:13~2<2 -> HELD',
      '0 counts acme.5m:10=1 acme.5m:11=1 acme.5m:13=1',
    ],
  },
  {
    why: 'A hold that a slow network brings late still counts the bucket after its own.',
    steps: ['0 hold t1 acme.5m:11~2<1 -> HELD', '0 hold t2 acme.5m:10~2<1 -> FULL acme.5m:10'],
  },
  {
    why: 'A new limit of a rolling window counts in every bucket at once, the lower as the higher one.',
    steps: [
      '0 hold t1 acme.5m:10~2<3 -> HELD',
      '0 hold t2 acme.5m:11~2<1@2 -> FULL acme.5m:11',
      '0 hold t3 acme.5m:12~2<3 -> FULL acme.5m:12',
      '0 hold t4 acme.5m:12~2<2@3 -> HELD',
      '0 hold t5 acme.5m:12~2<9@2 -> FULL acme.5m:12',
    ],
  },
  {
    why: 'A bucket is forgotten once no window counts it, and what is released later gives nothing back; the limit stays.',
    steps: [
      '0 hold t1 acme.5m:10~2<1@2!5000 -> HELD',
      '0 posting t1 acme.5m:10~2<1@2!5000 -> POSTING',
      '5000 hold t2 acme.5m:13~2<9!6000 -> HELD',
      '5000 release t1 acme.5m:10 -> RELEASED',
      '5000 hold t3 acme.5m:13~2<9!6000 -> FULL acme.5m:13',
      '5000 counts acme.5m:13=1',
    ],
  },
  {
    why: 'A rolling spend is restored bucket by bucket, with the posts that are open.',
    steps: [
      'restore 2 committed acme.5m:10~2<9=5 acme.5m:11~2<9=2 posting t1 acme.5m:12~2<9=1',
      '0 hold t2 acme.5m:12~2<9=2 -> FULL acme.5m:12',
      '0 hold t3 acme.5m:13~2<9=2 -> HELD',
      '0 release t1 acme.5m:12 -> RELEASED',
      '0 counts acme.5m:10=5 acme.5m:11=2 acme.5m:12=0 acme.5m:13=2',
    ],
  },
  {
    why: 'A paced cap has room, and keeps it for later; a place that returns may be taken at once.',
    steps: [
      '0 hold t1 acme.day<5^2 -> HELD',
      '0 hold t2 acme.day<5^2 -> HELD',
      '0 hold t3 acme.day<5^2 -> PACED acme.day',
      '0 release t1 acme.day -> RELEASED',
      '0 hold t4 acme.day<5^2 -> HELD',
      '0 hold t5 acme.day<5^3 -> HELD',
      '0 counts acme.day=3',
    ],
  },
  {
    why: 'The limit stands above the pace, and of several places the first that refuses is named.',
    steps: [
      '0 hold t1 acme.day<1^9 acme.week<9^9 -> HELD',
      '0 hold t2 acme.day<1^9 acme.week<9^1 -> FULL acme.day',
      '0 hold t3 acme.week<9^1 acme.day<1^9 -> PACED acme.week',
      '0 hold t4 acme.spend<10=9^5 -> HELD',
      '0 hold t5 acme.spend<99=9^9@2 -> PACED acme.spend',
      '0 hold t6 acme.spend<99=9^10@2 -> HELD',
    ],
  },
  {
    why: 'What is paid in raises the limit of a balance, and its credit is the rest.',
    steps: [
      '0 hold t1 acme.balance<10=12 -> FULL acme.balance',
      '0 paid 1 acme.balance=5 -> 5 - 0',
      '0 hold t1 acme.balance<10=12 -> HELD',
      '0 hold t2 acme.balance<10=4 -> FULL acme.balance',
      '0 release t1 acme.balance -> RELEASED',
      '0 hold t3 acme.balance<10=15 -> HELD',
      '0 counts acme.balance=15',
    ],
  },
  {
    why: 'What comes back may be spent again; the windows that its sale used stay used.',
    steps: [
      '0 paid 1 acme.balance=5 -> 5 - 0',
      '0 hold t1 acme.balance<0=5 acme.day<1 -> HELD',
      '0 posting t1 acme.balance<0=5 acme.day<1 -> POSTING',
      '0 commit t1 acme.balance<0=5 acme.day<1 -> COMMITTED',
      '0 hold t2 acme.balance<0=1 -> FULL acme.balance',
      '0 paid 2 acme.balance=10 -> 10 - 5',
      '0 hold t2 acme.balance<0=5 -> HELD',
      '0 hold t3 acme.balance<0=0 acme.day<1 -> FULL acme.day',
      '0 counts acme.balance=10 acme.day=1',
    ],
  },
  {
    why: 'Of two entries the later one counts, whichever comes first; money may be withdrawn again.',
    steps: [
      '0 paid 3 acme.balance=2 -> 2 - 0',
      '0 paid 2 acme.balance=90 -> 2 - 0',
      '0 paid 3 acme.balance=90 -> 2 - 0',
      '0 hold t1 acme.balance<0=3 -> FULL acme.balance',
      '0 hold t1 acme.balance<0=2 -> HELD',
      '0 paid 4 acme.balance=1 -> 1 - 2',
      '0 hold t2 acme.balance<0=0 -> FULL acme.balance',
      '0 hold t2 acme.balance<1@2=0 -> HELD',
    ],
  },
  {
    why: 'A restored counter is forgotten like any other.',
    steps: ['restore 2 committed acme.day<9!5000=2', '5000 hold t1 acme.total -> HELD', '5000 counts acme.total=1'],
  },
]

const ALL_TAGS = ['acme', 'bolt', 'demo']
export const FRESH_START = { epoch: 1, committed: [], tokens: [], scopes: [], locks: [], sightings: [], tags: ALL_TAGS }

/** Plays a case; calls `expectSame(step, got, wanted)` for each line that says what must come out. */
export async function play(
  { steps }: CapsCase,
  store: CapsStore,
  expectSame: (step: string, got: unknown, wanted: unknown) => void,
): Promise<void> {
  await store.restore(FRESH_START)
  for (const step of steps) {
    const [left = '', wanted = ''] = step.split(' -> ')
    const words = left.split(' ')
    if (words[0] === 'epoch') store.setEpoch(Number(words[1]))
    else if (words[0] === 'restore') await restore(store, words)
    else if (words[1] === 'counts') {
      expectSame(step, (await store.dump()).counters, Object.fromEntries(words.slice(2).map(readCount)))
    } else expectSame(step, await call(store, words), wanted)
  }
}

async function call(store: CapsStore, [at, name, token, ...places]: readonly string[]): Promise<string> {
  const groups = readGroups(places)
  const now = wallMs(Number(at))
  switch (name) {
    case 'hold':
      return shown(await store.hold(token!, groups, now))
    case 'posting':
      return shown(await store.posting(token!, groups, now))
    case 'commit':
      return shown(await store.commit(token!, groups, now))
    case 'release':
      return store.release(token!, groups, now)
    case 'paid': {
      const { tag, places: its } = groups[0]!
      await store.paidIn(tag, its[0]!.key, Number(token), its[0]!.amount)
      const [usage] = await store.usage([{ tag, key: its[0]!.key }])
      return `${usage!.paidIn} - ${usage!.used}`
    }
    case 'state':
      return String(await store.tokenState(token!, groups))
    default:
      throw new Error(`a case has an unknown call "${name}"`)
  }
}

const shown = (answer: HoldAnswer | PostingAnswer | CommitAnswer): string => {
  if (typeof answer === 'string') return answer
  if (answer.code !== 'FULL') return answer.code
  return `${answer.paced ? 'PACED' : 'FULL'} ${answer.key.replace(':', '.')}`
}

async function restore(store: CapsStore, words: readonly string[]): Promise<void> {
  const posting = words.indexOf('posting')
  const committed = words.slice(words.indexOf('committed') + 1, posting < 0 ? undefined : posting)
  const tokens =
    posting < 0
      ? []
      : [{ token: words[posting + 1]!, state: 'posting' as const, groups: readGroups(words.slice(posting + 2)) }]
  await store.restore({ ...FRESH_START, epoch: Number(words[1]), committed: readGroups(committed), tokens })
}

const readCount = (text: string): [string, number] => {
  const [place, count] = text.split('=')
  return [place!.replace('.', ':'), Number(count)]
}

/** Places of one tag make one group, in the order in which the tags come. */
function readGroups(words: readonly string[]): PlaceGroup[] {
  const tagOf = (word: string): string => word.slice(0, word.indexOf('.'))
  return [...Map.groupBy(words, tagOf)].map(([tag, places]) => ({ tag, places: places.map(readPlace) }))
}

function readPlace(word: string): PlaceGroup['places'][number] {
  const key = word.split(/[<=@!~^]/, 1)[0]!.replace('.', ':')
  const number = (sign: string, otherwise: number): number =>
    Number(new RegExp(`\\${sign}(\\d+)`).exec(word)?.[1] ?? otherwise)
  return {
    key,
    amount: number('=', 1),
    limit: number('<', 1),
    version: number('@', 1),
    transient: key.endsWith(':now'),
    forgetAt: wallMs(number('!', 0)),
    ...(word.includes('~') ? { behind: number('~', 0) } : {}),
    ...(key.endsWith(':balance') ? { prepaid: true as const } : {}),
    ...(word.includes('^') ? { upTo: number('^', 0) } : {}),
  }
}
