/** Where postal codes lie, and which of them lie near one: American ZIP codes and Canadian sortation areas. */
import { readAscending, readNumbers } from '../compact.ts'
import table from './postal-places.json' with { type: 'json' }

/** Hundredths of a degree, a mile at most from the true place. */
const PER_DEGREE = 100
const RADIANS = Math.PI / 180
const EARTH_MILES = 3958.8
export const KILOMETERS_PER_MILE = 1.609344

interface Places {
  readonly codes: readonly string[]
  /** Radians. */
  readonly latitudes: Float64Array
  readonly longitudes: Float64Array
  readonly indexes: ReadonlyMap<string, number>
}

let read: Places | null = null

/** Reads the table when it is asked for the first time, in some 10 ms: most configurations never do. */
function places(): Places {
  if (read) return read
  const codes = [
    ...readAscending(table.us.codes).map((zip) => String(zip).padStart(5, '0')),
    ...(table.ca.codes.match(/.{3}/g) ?? []),
  ]
  const latitudes = new Float64Array(codes.length)
  const longitudes = new Float64Array(codes.length)
  let at = 0
  for (const { steps } of [table.us, table.ca]) {
    const numbers = readNumbers(steps).map(unfolded)
    let [latitude, longitude] = [0, 0]
    for (let step = 0; step < numbers.length; step += 2) {
      latitude += numbers[step]!
      longitude += numbers[step + 1]!
      latitudes[at] = (latitude / PER_DEGREE) * RADIANS
      longitudes[at++] = (longitude / PER_DEGREE) * RADIANS
    }
  }
  read = { codes, latitudes, longitudes, indexes: new Map(codes.map((code, index) => [code, index])) }
  return read
}

/** 0, -1, 1, -2, 2 ... are written as 0, 1, 2, 3, 4 ... */
export const folded = (step: number): number => (step < 0 ? -2 * step - 1 : 2 * step)
const unfolded = (written: number): number => (written % 2 === 0 ? written / 2 : -(written + 1) / 2)

/** The code by which a place is known: a ZIP code itself, a Canadian code's first three characters. */
const placeCode = (postal: string): string => (/^\d/.test(postal) ? postal : postal.slice(0, 3))

/** Codes within so many miles of this one, as the crow flies, itself included; null where nobody knows the place. */
export function codesWithin(postal: string, miles: number): readonly string[] | null {
  const { codes, latitudes, longitudes, indexes } = places()
  const center = indexes.get(placeCode(postal))
  if (center === undefined) return null
  const [latitude, longitude] = [latitudes[center]!, longitudes[center]!]
  const reach = miles / EARTH_MILES
  const near: string[] = []
  for (let at = 0; at < codes.length; at++) {
    if (Math.abs(latitudes[at]! - latitude) > reach) continue
    if (angleBetween(latitude, longitude, latitudes[at]!, longitudes[at]!) <= reach) near.push(codes[at]!)
  }
  return near
}

/** Haversine: exact for neighbours, where the cosine of the angle is too flat. */
function angleBetween(latitude: number, longitude: number, otherLatitude: number, otherLongitude: number): number {
  const height = Math.sin((otherLatitude - latitude) / 2) ** 2
  const width = Math.sin((otherLongitude - longitude) / 2) ** 2
  return 2 * Math.asin(Math.min(1, Math.sqrt(height + Math.cos(latitude) * Math.cos(otherLatitude) * width)))
}
