/** The engine's log: JSON lines on stdout, each one of the events listed here, with the fields listed for it and no others. */
import { type DestinationStream, destination, pino } from 'pino'
import type { LogLevel } from './env.ts'

/** Every field that a line may have. None can hold a lead's value, a key or a buyer's reply. */
interface FieldTypes {
  /** Our own words for the operator; never what a source or buyer sent. */
  readonly text: string
  /** Logged as its name, code and place; its message is left out, because messages quote values. */
  readonly fault: unknown
  readonly worker: number
  readonly child: number
  readonly code: number | null
  readonly signal: string | null
  readonly ms: number
}

type Field = keyof FieldTypes

const EVENTS = {
  note: ['info', 'text'],
  warning: ['warn', 'text'],
  draining: ['info', 'signal'],
  fenced: ['fatal', 'text'],
  request_failed: ['error', 'fault'],
  admin_request_failed: ['error', 'fault'],
  unexpected: ['fatal', 'fault'],
  worker_started: ['info', 'worker', 'child'],
  worker_ready: ['info', 'worker', 'child'],
  worker_ended: ['warn', 'worker', 'child', 'code', 'signal'],
  worker_delayed: ['warn', 'worker', 'ms'],
} as const satisfies Record<string, readonly [Exclude<LogLevel, 'silent'>, ...Field[]]>

export type LogEvent = keyof typeof EVENTS
type FieldsOf<E extends LogEvent> = (typeof EVENTS)[E] extends readonly [string, ...infer F extends Field[]]
  ? { readonly [K in F[number]]: FieldTypes[K] }
  : never

export type Log = <E extends LogEvent>(event: E, fields: FieldsOf<E>) => void

const MAX_TEXT = 4_000
const MAX_FRAMES = 8

/** Lines are written at once, so that none is lost at the end of the process. `to`: where they go instead of stdout. */
export function createLog(level: LogLevel, to: DestinationStream = destination({ fd: 1, sync: true })): Log {
  const logger = pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, to)
  return (event, fields) => {
    const [severity, ...allowed] = EVENTS[event] as readonly [Exclude<LogLevel, 'silent'>, ...Field[]]
    const line: Record<string, unknown> = { event }
    for (const name of allowed) line[name] = shown(name, (fields as Partial<FieldTypes>)[name])
    logger[severity](line)
  }
}

function shown(name: Field, value: unknown): unknown {
  if (name === 'fault') return faultOf(value)
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : value
}

/** What a fault tells without its message: `{name, code, at, cause}`. */
function faultOf(fault: unknown): object {
  if (!(fault instanceof Error)) return { name: typeof fault }
  const { code } = fault as { code?: unknown }
  const { message, stack = '' } = fault
  const frames = stack.slice(stack.indexOf(message) + message.length).match(/^ {4}at .*$/gm) ?? []
  return {
    name: fault.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    at: frames.slice(0, MAX_FRAMES).map((frame) => frame.trim().slice(3)),
    ...(fault.cause === undefined ? {} : { cause: faultOf(fault.cause) }),
  }
}
