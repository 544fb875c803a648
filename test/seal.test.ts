/** Sealing: what is sealed opens for its own lead alone, keys rotate, and fingerprints stay what they were. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createSealer, keptMasterKeys, readMasterKeys } from '../engine/seal.ts'

const LEAD = '0197a1b2-c3d4-7000-8000-000000000001'
const OTHER = '0197a1b2-c3d4-7000-8000-000000000002'
const [OLD, NEW] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
const sealer = createSealer(new Map([[1, OLD]]))

it('opens what it sealed, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 4_000 }), (text) => {
      expect(sealer.open(LEAD, sealer.seal(LEAD, text))).toBe(text)
    }),
  )
})

it('shows nothing of the text, and seals the same text differently each time', () => {
  const [one, two] = [sealer.seal(LEAD, 'Ada Lovelace'), sealer.seal(LEAD, 'Ada Lovelace')]
  expect(one.sealed).not.toBe(two.sealed)
  expect(one.wrappedKey).not.toBe(two.wrappedKey)
  for (const part of [one.sealed, one.wrappedKey]) expect(Buffer.from(part, 'base64').includes('Ada')).toBe(false)
})

it("does not open as another lead's, with another lead's key, or altered", () => {
  const [mine, its] = [sealer.seal(LEAD, 'mine'), sealer.seal(OTHER, 'its')]
  expect(() => sealer.open(OTHER, mine)).toThrow()
  expect(() => sealer.open(LEAD, { ...mine, wrappedKey: its.wrappedKey })).toThrow()
  for (const part of ['sealed', 'wrappedKey'] as const) {
    const bytes = Buffer.from(mine[part], 'base64')
    for (let at = 0; at < bytes.length; at++) {
      const altered = Buffer.from(bytes)
      altered[at]! ^= 1
      expect(() => sealer.open(LEAD, { ...mine, [part]: altered.toString('base64') })).toThrow()
    }
    expect(() => sealer.open(LEAD, { ...mine, [part]: bytes.subarray(0, 20).toString('base64') })).toThrow()
  }
})

it('seals under the newest master key, opens the older ones, and says which is missing', () => {
  const rotated = createSealer(
    new Map([
      [1, OLD],
      [2, NEW],
    ]),
  )
  const before = sealer.seal(LEAD, 'before')
  const after = rotated.seal(LEAD, 'after')
  expect([before.keyVersion, after.keyVersion]).toEqual([1, 2])
  expect([rotated.open(LEAD, before), rotated.open(LEAD, after)]).toEqual(['before', 'after'])
  expect(() => sealer.open(LEAD, after)).toThrow('master key 2: add it to GAVEL_MASTER_KEY')
  expect(rotated.fingerprint('x')).toBe(sealer.fingerprint('x'))
})

it('takes the keys in any order: the newest seals, the oldest keys the fingerprints', () => {
  const shuffled = createSealer(
    new Map([
      [2, NEW],
      [1, OLD],
    ]),
  )
  expect(shuffled.seal(LEAD, 'x').keyVersion).toBe(2)
  expect(shuffled.fingerprint('x')).toBe(sealer.fingerprint('x'))
})

it('fingerprints are keyed: 43 characters, equal for equal texts, other under another key', () => {
  const print = sealer.fingerprint('+15125550100')
  expect(print).toMatch(/^[\w-]{43}$/)
  expect(sealer.fingerprint('+15125550100')).toBe(print)
  expect(sealer.fingerprint('+15125550101')).not.toBe(print)
  expect(createSealer(new Map([[1, NEW]])).fingerprint('+15125550100')).not.toBe(print)
})

it('reads master keys, and names a fault without the key', () => {
  const [one, two] = [OLD.toString('base64'), NEW.toString('base64')]
  expect(readMasterKeys(one)).toEqual(new Map([[1, OLD]]))
  expect([...readMasterKeys(`2:${two}, 1:${one}`)]).toEqual([
    [1, OLD],
    [2, NEW],
  ])
  for (const wrong of ['', 'secret', `${one.slice(4)}`, `1:${one},1:${two}`, `0x:${one}`]) {
    const read = () => readMasterKeys(wrong)
    expect(read).toThrow('GAVEL_MASTER_KEY')
    if (wrong) expect(read).not.toThrow(wrong)
  }
})

it('makes a key of its own once, for its owner only', () => {
  const dir = mkdtempSync(join(tmpdir(), 'gavelpost-keys-'))
  try {
    const made = keptMasterKeys(join(dir, 'data'))
    expect(keptMasterKeys(join(dir, 'data'))).toEqual(made)
    expect(made.get(1)).toHaveLength(32)
    expect(statSync(join(dir, 'data', 'master.key')).mode & 0o777).toBe(0o600)
  } finally {
    rmSync(dir, { recursive: true })
  }
})
