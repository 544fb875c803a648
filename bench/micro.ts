/** Measures single steps of the rules on the hot path, in microseconds of one core. */
import { parseLead } from '../rules/lead.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { eligibility } from './eligibility.ts'
import { exchanges } from './exchanges.ts'
import { templates } from './templates.ts'
import { microsPer } from './timing.ts'

const SOLAR = VERTICALS.get('solar')!

/** By name as the command line takes it; each gives its figures by name. */
export const MICRO: Readonly<Record<string, (batchMs: number) => Readonly<Record<string, number>>>> = {
  eligibility,
  exchanges,
  parse: parsing,
  templates,
}

/** Raw fields to a Lead, by every field of the vertical. */
function parsing(batchMs: number): Readonly<Record<string, number>> {
  const raw = Object.fromEntries(SOLAR.fields.map(({ name, example }) => [name, example]))
  const now = Date.now()
  return { parse_lead_us: microsPer(batchMs, () => parseLead(SOLAR, raw, now)) }
}
