/** What a log line may hold, and what it must not. */
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
    log('worker_ended', { worker: 1, child: 42, code: null, signal: 'SIGKILL' })
    expect(lines()).toEqual([
      {
        level: 40,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        pid: process.pid,
        child: 42,
        event: 'worker_ended',
        worker: 1,
        code: null,
        signal: 'SIGKILL',
      },
    ])
  })

  it('drops every field that is not listed, whoever passes it', () => {
    const { log, lines } = logTo('info')
    log('note', { text: 'up', phone: '5125550100', lead: { email: 'a@b.c' } } as { text: string })
    expect(JSON.stringify(lines())).not.toMatch(/5125550100|a@b/)
    expect(lines()[0]).toMatchObject({ event: 'note', text: 'up' })
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
    const warnings = logTo('warn')
    warnings.log('note', { text: 'unseen' })
    warnings.log('worker_delayed', { worker: 1, ms: 100 })
    expect(warnings.lines()).toMatchObject([{ event: 'worker_delayed' }])
    const notes = logTo('info')
    notes.log('note', { text: 'x'.repeat(10_000) })
    expect(notes.lines()[0]!['text']).toHaveLength(4_000)
  })
})
