/** A contract's filter: which leads it buys, compiled to one predicate that names the field it fell on. */
import type { Lead } from './lead.ts'

export interface Filter {
  /** Name of the first field whose condition fell, or null where the lead passes. */
  readonly fallsOn: (lead: Lead) => string | null
}
