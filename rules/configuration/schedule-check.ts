/** Checks the schedules and pauses of buyers and contracts, and reads them. */
import { firstInstant } from '../calendar.ts'
import { DAY_MS, zoneOf } from '../offsets.ts'
import { dayNumber, type OpenSpan, type Schedule } from '../schedule.ts'
import { type WallMs, wallMs } from '../units.ts'
import { canonicalJson } from './canonical.ts'
import { type Check, idsOf } from './check.ts'
import type { BuyerFile, ContractFile, Draft, PauseFile, ScheduleFile } from './schema.ts'
import { isZone } from './zones.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const DAY_MINUTES = 1440

/** Equal schedules become one object. */
type Known = Map<string, Schedule>

/** Fills `made.schedules` and `made.pausedUntil` by path: `buyers.acme`, `contracts.acme-solar`. */
export function checkSchedules(check: Check): void {
  const { buyers, contracts } = check.draft
  const known: Known = new Map()
  for (const id of idsOf(buyers)) checkOne(check, `buyers.${id}`, buyers![id] ?? {}, buyers![id]?.zone, known)
  for (const id of idsOf(contracts)) {
    const contract = contracts![id] ?? {}
    const buyer = buyers?.[contract.buyer ?? '']
    checkOne(check, `contracts.${id}`, contract, buyer?.zone, known)
    checkQueue(check, `contracts.${id}`, contract, buyer)
  }
}

function checkQueue(
  check: Check,
  path: string,
  contract: Draft<ContractFile>,
  buyer: Draft<BuyerFile> | undefined,
): void {
  const queues = contract.when_closed === 'queue'
  const isOpenAlways = contract.schedule === undefined && buyer?.schedule === undefined
  if (queues && isOpenAlways && buyer && !check.broken(`${path}.schedule`)) {
    check.fault(`${path}.when_closed`, 'is queue, and the contract is never closed: give it or its buyer a schedule.')
  }
  if (!queues && contract.queue_for_ms !== undefined && !check.broken(`${path}.when_closed`)) {
    check.fault(`${path}.queue_for_ms`, 'says how long leads may wait, and none waits: say "when_closed: queue" too.')
  }
}

function checkOne(
  check: Check,
  path: string,
  { schedule, pause }: Pick<Draft<BuyerFile>, 'schedule' | 'pause'>,
  buyerZone: string | undefined,
  known: Known,
): void {
  const zone = buyerZone !== undefined && isZone(buyerZone) ? buyerZone : 'UTC'
  if (schedule !== undefined)
    check.made.schedules.set(path, readSchedule(check, `${path}.schedule`, schedule, zone, known))
  const until = pause === undefined ? null : readPause(check, `${path}.pause`, pause, zone)
  if (until !== null) check.made.pausedUntil.set(path, until)
}

/** `known`: the schedules of the configuration so far. */
export function readSchedule(
  check: Check,
  path: string,
  file: Draft<ScheduleFile>,
  buyerZone: string,
  known: Known = new Map(),
): Schedule {
  const own = file.zone
  if (own !== undefined && !isZone(own)) {
    check.fault(`${path}.zone`, `"${own}" is no IANA time zone: write it as America/Chicago, or UTC.`)
  }
  const from = readDate(check, `${path}.from`, file.from)
  const to = readDate(check, `${path}.to`, file.to)
  if (from !== null && to !== null && to < from) {
    check.fault(`${path}.to`, `"${file.to}" is before from ("${file.from}"), so it would never be open: swap them.`)
  }
  const closed = file.closed?.map((date, at) => readDate(check, `${path}.closed[${at}]`, date)) ?? []
  const schedule: Schedule = {
    zone: own !== undefined && isZone(own) ? own : buyerZone,
    hours: file.hours === undefined ? null : readHours(check, `${path}.hours`, file.hours),
    closed: new Set(closed.filter((day) => day !== null)),
    from,
    to,
  }
  const key = canonicalJson({ ...schedule, closed: [...schedule.closed].sort() })
  const before = known.get(key) ?? schedule
  known.set(key, before)
  return before
}

function readDate(check: Check, path: string, date: string | undefined): number | null {
  if (date === undefined) return null
  const day = dayNumber(date)
  if (day === null) check.fault(path, `"${date}" is no date: write it as 2026-12-25.`)
  return day
}

function readHours(check: Check, path: string, file: NonNullable<Draft<ScheduleFile>['hours']>): OpenSpan[][] {
  const hours: OpenSpan[][] = DAYS.map(() => [])
  const named = new Map<number, string>()
  for (const [days, texts] of Object.entries(file)) {
    const here = /^[\w-]+$/.test(days) ? `${path}.${days}` : `${path}[${JSON.stringify(days)}]`
    const spans = texts?.flatMap((text, at) => readSpan(check, `${here}[${at}]`, text) ?? []) ?? []
    for (const day of readDays(check, here, days)) {
      const before = named.get(day)
      if (before !== undefined) check.fault(here, `${DAYS[day]} stands in "${before}" already: name each day once.`)
      named.set(day, days)
      hours[day] = spans
    }
  }
  if (named.size === 0 && !check.broken(path))
    check.fault(path, 'names no day, so it would never be open: remove the key to be open all day.')
  return hours
}

/** `mon`, or `mon-fri`; `sat-mon` goes over the end of the week. */
function readDays(check: Check, path: string, days: string): number[] {
  const [first, last] = days.split('-').map((day) => DAYS.indexOf(day)) as [number, number?]
  if (first < 0 || last === -1 || days.split('-').length > 2) {
    check.fault(path, 'is no day: write sun, mon, tue, wed, thu, fri or sat, or two of them such as mon-fri.')
    return []
  }
  const count = last === undefined ? 1 : ((last - first + 7) % 7) + 1
  return Array.from({ length: count }, (_, nth) => (first + nth) % 7)
}

function readSpan(check: Check, path: string, text: string | undefined): OpenSpan | null {
  if (text === undefined) return null
  const [, startHour, startMinute, endHour, endMinute] = /^(\d{1,2}):([0-5]\d)-(\d{1,2}):([0-5]\d)$/.exec(text) ?? []
  const start = Number(startHour) * 60 + Number(startMinute)
  const end = Number(endHour) * 60 + Number(endMinute)
  if (!(start < DAY_MINUTES && end <= DAY_MINUTES) || start === end) {
    check.fault(path, `"${text}" is no span of hours: write it as "9:00-17:30", "18:00-2:00" or "0:00-24:00".`)
    return null
  }
  return { start, end: end < start ? end + DAY_MINUTES : end }
}

const MOMENT = /^(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?$/

/** With an offset it is a moment anywhere; without one it is the zone's clock. */
function readPause(check: Check, path: string, { until }: Draft<PauseFile>, zone: string): WallMs | null {
  if (until === undefined) return null
  const [, date, hour, minute, second = '00', offset] = MOMENT.exec(until) ?? []
  const day = date === undefined ? null : dayNumber(date)
  if (day === null || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) {
    check.fault(
      `${path}.until`,
      `"${until}" is no moment: write it as 2026-03-05T09:00 (the buyer's clock), or with Z or -06:00 behind.`,
    )
    return null
  }
  if (offset !== undefined) return wallMs(Date.parse(`${date}T${hour}:${minute}:${second}${offset}`))
  const local = day * DAY_MS + (Number(hour) * 3_600 + Number(minute) * 60 + Number(second)) * 1_000
  return wallMs(firstInstant(zoneOf(zone), local))
}
