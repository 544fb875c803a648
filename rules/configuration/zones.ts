/** Which names of time zones a configuration may use. */
import { IANAZone } from 'luxon'

/** Asking whether a zone exists costs a tenth of a millisecond. */
const KNOWN_ZONES = new Set<string>()

/** Abbreviations such as EST are fixed offsets that know no summer: only Area/City and UTC are taken. */
export function isZone(zone: string): boolean {
  if (zone === 'UTC' || KNOWN_ZONES.has(zone)) return true
  if (!/^[A-Za-z_]+\//.test(zone) || !IANAZone.isValidZone(zone)) return false
  KNOWN_ZONES.add(zone)
  return true
}
