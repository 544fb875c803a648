/** Urgent switches: whom they stop, that every process hears of them, that they end, and that it is written down. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { News } from '../engine/configuration/news.ts'
import {
  liftSwitches,
  Switchboard,
  type SwitchGiven,
  setSwitch,
  switchesOn,
} from '../engine/configuration/switchboard.ts'
import type { Lead } from '../rules/lead.ts'
import { type Switch, Switches } from '../rules/switches.ts'
import { wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import { clock, LedgerKit } from './ledger-kit.ts'

const NOW = wallMs(1_000)
const OFF = { contract: null, buyer: null, campaign: null, source: null, sub: null, value: null, until: null }
const pause = (what: Partial<Switch>): Switch => ({ ...OFF, kind: 'pause', ...what })
const block = (what: Partial<Switch>): Switch => ({ ...OFF, kind: 'block', ...what })
const ACME = { id: 'acme-texas', buyer: { id: 'acme' } } as Contract
const LEAD = { subs: { sub1: 'fraud', sub2: 'ok' } as Record<string, string> } as Lead
const deny = (...on: Switch[]) => new Switches(on).deny(ACME, 'solar', 'mill', LEAD, NOW)

describe('a switch', () => {
  it.each([
    ['none', [], null],
    ['a pause of the contract', [pause({ contract: 'acme-texas' })], 'paused'],
    ['a pause of its buyer', [pause({ buyer: 'acme' })], 'paused'],
    ['a pause of another', [pause({ contract: 'bolt' }), pause({ buyer: 'bolt' })], null],
    ['a pause that has ended', [pause({ buyer: 'acme', until: NOW })], null],
    ['a pause that goes on', [pause({ buyer: 'acme', until: wallMs(1_001) })], 'paused'],
    ['a block of the source for all', [block({ source: 'mill' })], 'blocked_source'],
    ['a block of the source for the buyer', [block({ source: 'mill', buyer: 'acme' })], 'blocked_source'],
    ['a block of the source for another', [block({ source: 'mill', buyer: 'bolt' })], null],
    ['a block of the source elsewhere', [block({ source: 'mill', campaign: 'roofing' })], null],
    ['a block of a sub-id', [block({ sub: 'sub1', value: 'fraud', contract: 'acme-texas' })], 'blocked_sub1'],
    ['a block of a sub-id of another source', [block({ sub: 'sub1', value: 'fraud', source: 'forge' })], null],
    ['a block of another value', [block({ sub: 'sub2', value: 'fraud' })], null],
    ['a block of a sub-id that it lacks', [block({ sub: 'sub3', value: 'fraud' })], null],
    ['a pause of the source', [pause({ source: 'mill' })], null],
  ] as const)('as %s', (_, on, why) => {
    expect(deny(...on)).toBe(why)
  })

  it('of a source stops the source and no other', () => {
    const on = new Switches([pause({ source: 'mill' }), block({ source: 'forge' })])
    expect([on.sourcePaused('mill', NOW), on.sourcePaused('forge', NOW)]).toEqual([true, false])
  })
})

describe('every process', () => {
  let kit: LedgerKit
  beforeAll(async () => {
    kit = await LedgerKit.open()
  })
  afterAll(() => kit.close())
  const OPS = { label: 'ops', role: 'operator' } as const
  const given = (one: Switch): SwitchGiven => ({ ...one, note: 'too many complaints' })

  it('has what is set and what is lifted, hinted at or not', async () => {
    const newses = [60_000, 15].map((everyMs) => new News({ url: kit.url, clock, everyMs }))
    const boards = await Promise.all(
      newses.map(async (news) => {
        const board = new Switchboard(kit.db)
        await board.follow(news)
        return board
      }),
    )
    await newses[0]!.listening()
    const until = async (why: string | null) => {
      const said = () => boards.map((board) => board.now.deny(ACME, 'solar', 'mill', LEAD, wallMs(Date.now())))
      while (said().some((one) => one !== why)) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await until(null)
    const row = await setSwitch(kit.db, OPS, given(block({ sub: 'sub1', value: 'fraud', buyer: 'acme' })))
    await until('blocked_sub1')
    await liftSwitches(kit.db, OPS, { id: row!.id })
    await until(null)
    await setSwitch(kit.db, OPS, given(pause({ contract: 'acme-texas' })))
    await until('paused')
    expect(await liftSwitches(kit.db, OPS, { kind: 'pause', contract: 'acme-texas' })).toBe(1)
    expect(await liftSwitches(kit.db, OPS, { kind: 'pause', contract: 'acme-texas' })).toBe(0)
    await until(null)
    await Promise.all(newses.map((news) => news.stop()))
  })

  it('forgets what has ended, and the audit does not', async () => {
    await setSwitch(kit.db, OPS, given(pause({ buyer: 'bolt', until: wallMs(Date.now() - 1_000) })))
    expect(await switchesOn(kit.db)).toEqual([])
    const rows = await kit.ask<{ action: string; subject: string }>('select action, subject from audit order by id')
    expect(rows).toEqual([
      { action: 'block', subject: 'sub1 = fraud for buyer acme' },
      { action: 'unblock', subject: 'sub1 = fraud for buyer acme' },
      { action: 'pause', subject: 'contract acme-texas' },
      { action: 'resume', subject: 'contract acme-texas' },
      { action: 'pause', subject: 'buyer bolt' },
    ])
  })
})
