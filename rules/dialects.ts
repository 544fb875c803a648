/** The dialects that sources may keep speaking when they move: by the name that stands in their addresses. */
import { BOBERDOO } from './dialects/boberdoo.ts'
import type { Dialect } from './dialects/dialect.ts'
import { LEAD_CONDUIT } from './dialects/leadconduit.ts'
import { LEAD_PROSPER } from './dialects/leadprosper.ts'
import { LEADS_PEDIA } from './dialects/leadspedia.ts'

export type { Dialect, Format, Heard, Raw, Said, Spoken } from './dialects/dialect.ts'

export const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ['leadprosper', LEAD_PROSPER],
  ['leadspedia', LEADS_PEDIA],
  ['boberdoo', BOBERDOO],
  ['leadconduit', LEAD_CONDUIT],
])
