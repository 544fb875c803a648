/** The naive oracle of reports: reads rows of the ledger and traces one by one, and adds up what it finds. */
import type { LiveLead } from '../engine/live.ts'
import type { LedgerKit } from './ledger-kit.ts'
import type { Cast } from './world/cast.ts'

export interface Played {
  readonly leadId: string
  readonly cast: Cast
  readonly lead: LiveLead
  /** Of what it said, what reports are by. */
  readonly said: Readonly<Record<string, string | undefined>>
  readonly isOffer: boolean
  readonly isTest: boolean
}

/** So much of one thing, of a lead or of one of its seats. */
export interface Fact {
  readonly of: Readonly<Record<string, string>>
  readonly what: string
  readonly n: number
}

interface Intent {
  readonly contract: string
  readonly buyer: string
  readonly state: string
  readonly bid: number
  readonly price: number
  readonly reason: string | null
  readonly doubt: string | null
}

type Row = readonly [string, number, number, number | string | null, ...unknown[]]
const SEAT = ['tier', 'buyer', 'contract']
const NEVER_LEFT = /^(throttle|breaker|queue_full)/

export async function factsOf(kit: LedgerKit, played: readonly Played[]): Promise<Fact[]> {
  const facts: Fact[] = []
  for (const one of played) if (!one.isTest) facts.push(...(await factsOfOne(kit, one)))
  return facts
}

async function factsOfOne(kit: LedgerKit, { leadId, cast, lead, said, isOffer }: Played): Promise<Fact[]> {
  const { campaign, source } = cast
  const subs = Object.fromEntries(['sub1', 'sub2', 'sub3', 'sub4', 'sub5'].map((sub) => [sub, said[sub] ?? '']))
  const of = {
    ...{
      campaign: campaign.id,
      source: source.id,
      vertical: campaign.vertical.id,
      state: said['state'] ?? '',
      ...subs,
    },
    currency: campaign.currency,
  }
  const facts: Fact[] = []
  const add = (what: string, n = 1) => facts.push({ of, what, n })
  const seat = (contract: string) => {
    const { buyer, tier } = campaign.contracts.find(({ id }) => id === contract)!
    const place = { ...of, tier: campaign.tiers[tier]!.name, buyer: buyer.id, contract }
    return (what: string, n = 1) => facts.push({ of: place, what, n })
  }
  if (isOffer) {
    add('offers')
    const [offer] = await kit.ask<{ bids: object[]; trace: string }>('select bids, trace from offers where id = $1', [
      leadId,
    ])
    if (offer!.bids.length > 0) add('offered')
    seatFacts(JSON.parse(offer!.trace).rows, lead, seat)
    return facts
  }
  const [stored] = await kit.ask<{ status: string | null; trace: string | null }>(
    'select status, trace from leads where id = $1',
    [leadId],
  )
  add('valid')
  if (stored!.status !== null) add(stored!.status)
  if (stored!.trace) seatFacts(JSON.parse(stored!.trace).rows, lead, seat)
  const intents = await kit.ask<Intent>('select * from intents where lead_id = $1', [leadId])
  for (const intent of intents) intentFacts(intent, seat(intent.contract))
  const entries = await kit.ask<{ copy: number; cause: string; account: string; amount: number }>(
    'select * from entries where lead_id = $1',
    [leadId],
  )
  for (const { copy, cause, account, amount } of entries) {
    const buyer = intents.find(
      ({ state, copy: own }: Intent & { copy?: number }) => state === 'accepted' && own === copy,
    )
    const put = buyer ? seat(buyer.contract) : add
    if (account.startsWith('check:')) add('check_cost', amount)
    if (account.startsWith('source:')) put('payout', amount)
    if (account.startsWith('buyer:')) put('revenue', -amount)
    if (account.startsWith('buyer:') && cause === 'return') {
      put('returns')
      put('returned', amount)
    }
  }
  const stages = await kit.ask<Disposed>('select * from dispositions where lead_id = $1 order by status', [leadId])
  for (const contract of new Set(stages.map((one) => one.contract)))
    disposedFacts(
      stages.filter((one) => one.contract === contract),
      seat(contract),
    )
  return facts
}

interface Disposed {
  readonly contract: string
  readonly status: string
  readonly value: number | null
}

/** Of a lead that was first sold and then funded, the latter tells what it was worth. */
function disposedFacts(said: readonly Disposed[], put: Put): void {
  put('disposed')
  if (said.some(({ status }) => ['quoted', 'sold', 'funded'].includes(status))) put('contacted')
  const ends = said.filter(({ status }) => status === 'funded' || status === 'sold')
  if (ends.length > 0) put('converted')
  put('disposed_revenue', ends.find(({ value }) => value !== null)?.value ?? 0)
}

type Put = (what: string, n?: number) => unknown

function intentFacts({ state, bid, price, doubt }: Intent, put: Put): void {
  put(state === 'not_sent' ? 'not_sent' : 'posts')
  if (state === 'rejected') put('rejects')
  if (state === 'accepted') put('copies')
  if (state === 'in_doubt') put('in_doubt')
  if (doubt !== null) put('doubts')
  if (state !== 'accepted' || price === bid) return
  put('price_cuts')
  put('price_cut', bid - price)
}

/** For each seat looks through the whole trace. */
function seatFacts(rows: readonly Row[], lead: LiveLead, seat: (contract: string) => Put): void {
  const { campaign, opening, state } = lead
  opening.eligible.forEach((at, position) => {
    const own = rows.flatMap((row, n) => (!row[0].startsWith('>') && row[2] === position ? [{ row, n }] : []))
    const put = seat(campaign.contracts[at]!.id)
    const pingAt = rows.findIndex((row) => row[0] === '>ping' && (row[2] as unknown as number[]).includes(position))
    const postAt = rows.findIndex((row) => row[0] === '>post' && row[1] === position)
    const left = pingAt >= 0 && !own.some(({ row }) => row[0] === 'noBid' && NEVER_LEFT.test(String(row[3])))
    if (left) put('pinged')
    if (rows.some((row) => row[0] === '>hold' && row[1] === position)) put('wins')
    if (left && state.seats[position]!.outcome?.reason === 'ping_timeout') put('ping_timeouts')
    for (const { row } of own) {
      const [what, when, , value] = row
      if (what === 'bid') put('bids')
      if (what === 'bid') put('bid_sum', value as number)
      if (what === 'late' && value !== null) put('late_bids')
      const failed = what === 'noBid' && String(value).startsWith('ping_error')
      if (failed) put('ping_errors')
      const declined = what === 'noBid' && !failed && left && value !== 'ping_timeout'
      if (what === 'bid' || declined || (what === 'late' && value !== null)) put('ping', when - timeAt(rows, pingAt))
      if (what === 'accepted' || what === 'rejected') put('post', when - timeAt(rows, postAt))
    }
  })
}

/** A command happened at the event before it. */
function timeAt(rows: readonly Row[], at: number): number {
  const before = rows.slice(0, at).filter((row) => !row[0].startsWith('>'))
  return before.at(-1)?.[1] ?? 0
}

const money = (amount: number): string => (Math.round(amount) / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, '$1')
const rate = (part: number, of: number) => (of === 0 ? null : Math.round((part / of) * 1e4) / 1e4)

/** Rows in the order of what they are by, and the exact percentiles beside them. */
export function reportFrom(facts: readonly Fact[], by: readonly string[]) {
  const ofSeats = by.some((one) => SEAT.includes(one))
  const hasTimes = !by.some((one) => /^(source|state|sub\d)$/.test(one))
  const groups = new Map<string, Fact[]>()
  for (const fact of facts) {
    if (ofSeats && fact.of['contract'] === undefined) continue
    const key = JSON.stringify([...by, 'currency'].map((name) => fact.of[name]))
    groups.set(key, [...(groups.get(key) ?? []), fact])
  }
  const keys = [...groups.keys()].sort()
  return {
    rows: keys.map((key) => ({
      ...Object.fromEntries([...by, 'currency'].map((name, at) => [name, JSON.parse(key)[at]])),
      ...shownOf(groups.get(key)!, ofSeats),
    })),
    times: keys.map((key) => timesOf(groups.get(key)!, hasTimes)),
  }
}

function shownOf(facts: readonly Fact[], ofSeats: boolean) {
  const sum = (what: string) => facts.reduce((total, fact) => (fact.what === what ? total + fact.n : total), 0)
  const lead = <T>(value: T): T | null => (ofSeats ? null : value)
  const [bids, pinged, posts, revenue, payout, valid] = ['bids', 'pinged', 'posts', 'revenue', 'payout', 'valid'].map(
    sum,
  ) as number[]
  const plain = [
    'ping_timeouts',
    'ping_errors',
    'late_bids',
    'wins',
    'not_sent',
    'rejects',
    'in_doubt',
    'doubts',
    'price_cuts',
    'returns',
    'copies',
    'disposed',
    'contacted',
    'converted',
  ]
  const ofLeads = ['valid', 'invalid', 'offers', 'offered', 'unsold', 'pending', 'expired']
  return {
    ...Object.fromEntries(plain.map((name) => [name, sum(name)])),
    ...Object.fromEntries(ofLeads.map((name) => [name, lead(sum(name))])),
    ...{ bids, pinged, posts, received: lead(valid), duplicates: lead(sum('duplicate')) },
    sold: sum(ofSeats ? 'copies' : 'sold'),
    fill_rate: lead(rate(sum('sold'), valid!)),
    bid_rate: rate(bids!, pinged!),
    average_bid: bids === 0 ? null : money(sum('bid_sum') / bids!),
    reject_rate: rate(sum('rejects'), posts!),
    ...{ price_cut: money(sum('price_cut')), returned: money(sum('returned')) },
    ...{
      revenue: money(revenue!),
      payout: money(payout!),
      margin: money(revenue! - payout! - (ofSeats ? 0 : sum('check_cost'))),
    },
    check_cost: lead(money(sum('check_cost'))),
    contact_rate: rate(sum('contacted'), sum('copies')),
    conversion_rate: rate(sum('converted'), sum('copies')),
    disposed_revenue: money(sum('disposed_revenue')),
    epl: lead(valid === 0 ? null : money(revenue! / valid!)),
  }
}

function timesOf(facts: readonly Fact[], hasTimes: boolean): Record<string, number | null> {
  return Object.fromEntries(
    ['ping', 'post'].flatMap((what) => {
      const all = facts.flatMap((fact) => (fact.what === what ? [fact.n] : [])).sort((a, b) => a - b)
      return [50, 90, 99].map((share) => {
        const exact = all[Math.max(0, Math.ceil((all.length * share) / 100) - 1)]
        return [`${what}_p${share}`, hasTimes ? (exact ?? null) : null]
      })
    }),
  )
}

/** How often which contract refused, lost or was not asked for which reason. */
export async function reasonsIn(kit: LedgerKit, played: readonly Played[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const put = (contract: string, kind: string, reason: string) => {
    const key = `${contract} ${kind} ${reason}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  for (const { leadId, cast, lead, isOffer, isTest } of played) {
    if (isTest) continue
    const nameOf = (at: number) => cast.campaign.contracts[at]!.id
    const rejected = await kit.ask<Intent>("select * from intents where lead_id = $1 and state = 'rejected'", [leadId])
    for (const { contract, reason } of rejected) put(contract, 'rejected', reason!)
    const [stored] = await kit.ask<{ trace: string | null }>('select trace from leads where id = $1', [leadId])
    if (!isOffer && !stored!.trace) continue
    for (const { seat, outcome } of lead.state.seats) {
      if (outcome?.kind === 'lost' || outcome?.kind === 'not_asked')
        put(nameOf(lead.opening.eligible[seat]!), outcome.kind, outcome.reason)
    }
    for (const [reason, seats] of Object.entries(lead.opening.excluded))
      for (const at of seats) put(nameOf(at), 'not_asked', reason)
  }
  return counts
}
