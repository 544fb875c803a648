import { describe, expect, it } from 'vitest'
import type { LogLevel } from '../engine/env.ts'
import { createLog, type Log } from '../engine/log.ts'

function logTo(level: LogLevel): { log: Log; lines: () => Record<string, unknown>[] } {
  const written: string[] = []
  const log = createLog(level, { write: (line) => void written.push(line) })
  return { log, lines: () => written.map((line) => JSON.parse(line)) }
}

describe('the log', () => {
  it('writes one JSON line for an event, with the fields listed for it', () => {
    const { log, lines } = logTo('info')
    log('worker_ended', { worker: 1, pid: 42, code: null, signal: 'SIGKILL' })
    expect(lines()).toEqual([
      {
        level: 40,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        pid: 42,
        event: 'worker_ended',
        worker: 1,
        code: null,
        signal: 'SIGKILL',
      },
    ])
  })

  it('drops every field that is not listed, whoever passes it', () => {
    const { log, lines } = logTo('info')
    log('ready', { ms: 7, phone: '5125550100', lead: { email: 'a@b.c' } } as { ms: number })
    expect(JSON.stringify(lines())).not.toMatch(/512|a@b/)
    expect(lines()[0]).toMatchObject({ event: 'ready', ms: 7 })
  })

  it('tells of a fault its name, code and place, and never its message', () => {
    const { log, lines } = logTo('info')
    const cause = Object.assign(new RangeError('Key (phone)=(5125550100) already exists'), { code: '23505' })
    log('request_failed', { fault: new TypeError('no digit in "5125550100"\n    at 5125550100', { cause }) })
    log('request_failed', { fault: 'phone 5125550100' })
    const [first, second] = lines()
    expect(first).toMatchObject({
      level: 50,
      fault: { name: 'TypeError', cause: { name: 'RangeError', code: '23505' } },
    })
    expect((first!['fault'] as { at: string[] }).at.join()).toContain('log.test.ts')
    expect(second).toMatchObject({ fault: { name: 'string' } })
    expect(JSON.stringify(lines())).not.toMatch(/Key|no digit|5125550100/)
  })

  it('keeps to its level, and cuts long texts', () => {
    const { log, lines } = logTo('warn')
    log('note', { text: 'unseen' })
    log('warning', { text: 'x'.repeat(10_000) })
    expect(lines()).toHaveLength(1)
    expect(lines()[0]!['text']).toHaveLength(4_000)
  })
})
