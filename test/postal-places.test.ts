/** The table of places: it says what its source says, and who is near whom. Run with `-u` to write it anew from the source. */
import { expect, test } from 'vitest'
import zipcodes from 'zipcodes'
import { readAscending, writeNumbers } from '../rules/compact.ts'
import { codesWithin, folded } from '../rules/fields/coordinates.ts'

const SOURCE = 'npm package zipcodes 8.0.0, BSD-3-Clause: places rounded to hundredths of a degree'

interface Place {
  readonly code: string
  readonly latitude: number
  readonly longitude: number
}

const placesOf = (country: string): Place[] =>
  Object.values(zipcodes.codes)
    .filter((place) => place.country === country && (place.latitude !== 0 || place.longitude !== 0))
    .map(({ zip, latitude, longitude }) => ({ code: zip, latitude: Number(latitude), longitude: Number(longitude) }))
    .sort((a, b) => (a.code < b.code ? -1 : 1))

function stepsOf(places: readonly Place[]): string {
  let [latitude, longitude] = [0, 0]
  const steps: number[] = []
  for (const place of places) {
    const [north, east] = [Math.round(place.latitude * 100), Math.round(place.longitude * 100)]
    steps.push(folded(north - latitude), folded(east - longitude))
    latitude = north
    longitude = east
  }
  return writeNumbers(steps)
}

function gapsOf(places: readonly Place[]): string {
  let before = -1
  return writeNumbers(
    places.map(({ code }) => {
      const gap = Number(code) - before - 1
      before = Number(code)
      return gap
    }),
  )
}

const american = placesOf('US')
const canadian = placesOf('Canada')

test('the table is what its source says', async () => {
  const table = {
    source: SOURCE,
    us: { codes: gapsOf(american), steps: stepsOf(american) },
    ca: { codes: canadian.map(({ code }) => code).join(''), steps: stepsOf(canadian) },
  }
  await expect(`${JSON.stringify(table, null, 1)}\n`).toMatchFileSnapshot('../rules/fields/postal-places.json')
  expect(readAscending(table.us.codes)).toEqual(american.map(({ code }) => Number(code)))
})

/** By the law of cosines, in miles: not the formula under test. */
function milesBetween(a: Place, b: Place): number {
  const [north, south] = [(a.latitude * Math.PI) / 180, (b.latitude * Math.PI) / 180]
  const east = ((a.longitude - b.longitude) * Math.PI) / 180
  return (
    3958.8 *
    Math.acos(Math.min(1, Math.sin(north) * Math.sin(south) + Math.cos(north) * Math.cos(south) * Math.cos(east)))
  )
}

test.each(['78701', '10001', '99501', '96813', 'K1A 0B1'])('who is near %s', (code) => {
  const all = [...american, ...canadian]
  const center = all.find((place) => place.code === code.slice(0, code.includes(' ') ? 3 : 5))!
  for (const miles of [0, 5, 25, 300]) {
    const near = new Set(codesWithin(code, miles))
    const wrong = all.filter((place) => {
      const distance = milesBetween(center, place)
      return near.has(place.code) ? distance > miles + 1.5 : distance < miles - 1.5
    })
    expect(wrong).toEqual([])
    expect(near.has(center.code)).toBe(true)
  }
})

test('nobody knows where a code is that nobody has', () => {
  expect(codesWithin('00000', 10)).toBe(null)
  expect(codesWithin('SW1A 1AA', 10)).toBe(null)
})
