/** What buyers may change by themselves, and what is made of what they say became of their leads. */
import { describe, expect, it } from 'vitest'
import { standingOf } from '../rules/dispositions.ts'
import { capFaults, NO_SELF_SERVICE, selfServiceOf } from '../rules/self-service.ts'
import { formatMoney } from '../rules/units.ts'
import { compileVersion } from '../rules/version.ts'
import { sha256 } from './admin-kit/configs.ts'
import { portalConfig } from './portal-kit.ts'

describe('self-service', () => {
  const buyer = { pause: true, caps: { day: { min: 10, max: 100 }, spend: { day: { max: '500.00' } } } }
  const faults = (caps: Parameters<typeof capFaults>[0], allowed = selfServiceOf(buyer)) =>
    capFaults(caps, allowed, formatMoney).map(({ path, message }) => `${path} ${message}`)

  it('is what the contract says, and where it is silent what its buyer does', () => {
    expect(selfServiceOf()).toBe(NO_SELF_SERVICE)
    expect(selfServiceOf(buyer, { pause: false })).toMatchObject({ pause: false, caps: selfServiceOf(buyer).caps })
    const own = selfServiceOf(buyer, { caps: { hour: {} } })
    expect([own.pause, [...own.caps]]).toEqual([true, [['hour', { min: null, max: null }]]])
  })

  it('lets caps go as far as their bounds, which belong to them', () => {
    expect(faults({ day: 10, spend: { day: '500.00' } })).toEqual([])
    expect(faults({ day: 9 })).toEqual(['caps.day may not be under 10.'])
    expect(faults({ day: 101 })).toEqual(['caps.day may not be over 100.'])
    expect(faults({ day: null, spend: { day: null } })).toEqual([
      'caps.day may not be taken away: give at most 100.',
      'caps.spend.day may not be taken away: give at most 500.00.',
    ])
    expect(faults({ hour: null }, selfServiceOf({ caps: { hour: { min: 3 } } }))).toEqual([])
    expect(faults({ month: 5, spend: { month: '1.00' } })).toEqual([
      'caps.month is for your operator to change.',
      'caps.spend.month is for your operator to change.',
    ])
    expect(faults({ day: 50 }, NO_SELF_SERVICE)).toEqual(['caps.day is for your operator to change.'])
  })

  it('and keys of buyers are part of the version', () => {
    const compiled = compileVersion(portalConfig(), 1)
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
    const { buyerKeys, campaigns } = compiled.snapshot
    expect([...buyerKeys]).toEqual([
      [sha256('acme'), 'acme'],
      [sha256('bolt'), 'bolt'],
    ])
    const [acme, bolt] = campaigns.get('solar')!.contracts
    expect(acme!.selfService).toMatchObject({ pause: true })
    expect(bolt!.selfService).toBe(NO_SELF_SERVICE)
  })
})

describe('a standing', () => {
  const said = (...stages: (readonly [string, number?])[]) =>
    standingOf(stages.map(([status, value]) => ({ status, value: value ?? null })))

  it('counts who was spoken with, what became business, and what that was worth', () => {
    expect(said()).toEqual({ contacted: false, converted: false, revenue: 0 })
    expect(said(['attempted'], ['not_reached'], ['bad_contact'])).toMatchObject({ contacted: false })
    expect(said(['not_interested'])).toEqual({ contacted: true, converted: false, revenue: 0 })
    expect(said(['appointment', 5])).toEqual({ contacted: true, converted: false, revenue: 0 })
    expect(said(['funded', 7], ['sold', 9])).toEqual({ contacted: true, converted: true, revenue: 7 })
    expect(said(['sold', 9], ['funded'])).toEqual({ contacted: true, converted: true, revenue: 9 })
  })
})
