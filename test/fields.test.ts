/** The field types: every example beside a type holds, nothing unstorable passes, and the tables agree with their sources. */
import fc from 'fast-check'
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import areaCodes from 'us-area-codes/data/codes.json' with { type: 'json' }
import { describe, expect, test } from 'vitest'
import zipcodes from 'zipcodes'
import { statesOfZip, zipIsIn } from '../rules/fields/zips.ts'
import { EXAMPLE_NOW, FIELD_TYPES, type FieldType, readField } from '../rules/fields.ts'

const specOf = (type: FieldType) => type.exampleSpec ?? { type: type.name }
const read = (type: FieldType, raw: string, spec = specOf(type)) => readField(type, spec, raw, { now: EXAMPLE_NOW })

describe.each([...FIELD_TYPES.values()].map((type) => [type.name, type] as const))('%s', (_, type) => {
  test.each(type.good.map(([raw, normal, parts]) => ({ raw, normal, parts })))(
    'reads $raw',
    ({ raw, normal, parts }) => {
      expect(read(type, raw)).toEqual(parts === undefined ? { raw, normal } : { raw, normal, parts })
    },
  )

  test.each(type.bad)('refuses %j as %s', (raw, code) => {
    expect(read(type, raw)).toBe(code)
  })

  test('keeps its examples under other specs', () => {
    for (const { spec, good, bad } of type.elsewhere ?? []) {
      for (const [raw, normal, parts] of good)
        expect(read(type, raw, spec)).toEqual(parts === undefined ? { raw, normal } : { raw, normal, parts })
      for (const [raw, code] of bad) expect([raw, read(type, raw, spec)]).toEqual([raw, code])
    }
  })

  test('reads its own normal form as the same value', () => {
    for (const [raw] of type.good) {
      const once = read(type, raw)
      if (typeof once === 'string') continue
      const again = read(type, String(once.normal))
      expect(again).toMatchObject({ normal: once.normal })
    }
  })

  test('names the parts that it gives', () => {
    for (const [, , parts] of type.good) {
      for (const [part, value] of Object.entries(parts ?? {})) expect(typeof value).toBe(KINDS[type.parts[part]!])
    }
  })

  test('bounds its length and refuses what cannot be stored', () => {
    expect(read(type, '1'.repeat(type.maxLength + 1))).toBe('too_long')
    const [good] = type.good[0]!
    for (const bad of [`${good}\0`.slice(-type.maxLength), `\0${good}`.slice(0, type.maxLength), '\ud83c', 'a\udc00']) {
      expect(read(type, bad)).toBe('bad_characters')
    }
  })

  test('answers for any text, and with a storable value of its kind', () => {
    const shapes = type.good.map(([raw]) => raw)
    const mangled = fc
      .tuple(fc.constantFrom(...shapes), fc.nat(), fc.string({ unit: 'binary', maxLength: 4 }))
      .map(([text, at, insert]) => text.slice(0, at % (text.length + 1)) + insert + text.slice(at % (text.length + 1)))
    const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), mangled).filter((text) => text.trim() !== '')
    fc.assert(
      fc.property(texts, (text) => {
        const value = read(type, text)
        if (typeof value === 'string') {
          expect(value).toMatch(/^[a-z_]+$/)
          return
        }
        expect(value.raw).toBe(text)
        const { normal } = value
        if (typeof normal === 'string')
          expect(normal.isWellFormed() && !normal.includes('\0') && normal !== '').toBe(true)
        else expect(Number.isNaN(normal)).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})

const KINDS = { text: 'string', number: 'number', boolean: 'boolean' } as const

test('every ZIP code of the United States is in its state by the table of prefixes', () => {
  const known = Object.values(zipcodes.codes).filter(({ country }) => country === 'US')
  expect(known.length).toBeGreaterThan(42_000)
  expect(known.filter(({ zip, state }) => !zipIsIn(zip, state))).toEqual([])
})

test('a ZIP code is not in another state, unless the mail crosses the line there', () => {
  expect(zipIsIn('78701', 'CA')).toBe(false)
  expect(zipIsIn('42223', 'TN')).toBe(true)
  expect(zipIsIn('42224', 'TN')).toBe(false)
  expect(statesOfZip('00000')).toEqual([])
})

test('phones are read in every area code of the States, unless their exchange begins with 0 or 1', () => {
  const phone = FIELD_TYPES.get('phone')!
  const areas = Object.entries(areaCodes).filter(
    ([area, place]) => STATE.test(zipcodes.states.full[place.toUpperCase()] ?? '') && area !== UNASSIGNED,
  )
  expect(areas.length).toBeGreaterThan(280)
  for (const [area] of areas) {
    expect(read(phone, `(${area}) 234-0199`)).toMatchObject({
      normal: `+1${area}2340199`,
      parts: { country: 'US', area },
    })
    expect(read(phone, `${area}1340199`)).toBe('not_a_phone')
    expect(read(phone, `${area}0340199`)).toBe('not_a_phone')
  }
})

test('the short way of reading an American phone agrees with the library, area by area', () => {
  const phone = FIELD_TYPES.get('phone')!
  const differing: string[] = []
  for (let area = 200; area < 1000; area++) {
    for (let exchange = 0; exchange < 1000; exchange++) {
      if (exchange % 11 !== area % 11 && exchange % 100 !== 11) continue
      const number = `${area}${String(exchange).padStart(3, '0')}0199`
      const full = parsePhoneNumberFromString(number, 'US')
      const value = read(phone, number)
      const ours = typeof value === 'string' ? null : `${value.normal} ${value.parts!.country}`
      if (ours !== (full?.isValid() ? `${full.number} ${full.country}` : null)) differing.push(number)
    }
  }
  expect(differing).toEqual([])
})

/** Not a Canadian province, nor a territory of its own numbering plan. */
const STATE = /^(?!AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT|PR|VI|GU|AS|MP)[A-Z]{2}$/
/** Listed for Michigan, and in service nowhere. */
const UNASSIGNED = '679'

test('secrets show their last digits only', () => {
  expect(FIELD_TYPES.get('ssn')!.mask!('123456789')).toBe('*****6789')
  expect(FIELD_TYPES.get('bank_account')!.mask!('1234')).toBe('*****34')
})
