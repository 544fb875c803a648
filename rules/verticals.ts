/** The verticals as data: which fields a lead of each has, which are required, which a ping may show. */
import { AUTO_INSURANCE } from './verticals/auto-insurance.ts'
import { EDUCATION } from './verticals/education.ts'
import { HEALTH_INSURANCE, MEDICARE } from './verticals/health.ts'
import { HOME_SERVICES } from './verticals/home-services.ts'
import { LEGAL } from './verticals/legal.ts'
import { MORTGAGE } from './verticals/mortgage.ts'
import { PERSONAL_LOAN } from './verticals/personal-loan.ts'
import type { Vertical } from './verticals/shared.ts'
import { SOLAR } from './verticals/solar.ts'

export { type Derivation, TRACKING_FIELDS, type Vertical, type VerticalField } from './verticals/shared.ts'

export const VERTICALS: ReadonlyMap<string, Vertical> = new Map(
  [AUTO_INSURANCE, HEALTH_INSURANCE, MEDICARE, SOLAR, HOME_SERVICES, MORTGAGE, PERSONAL_LOAN, LEGAL, EDUCATION].map(
    (vertical) => [vertical.id, vertical],
  ),
)
