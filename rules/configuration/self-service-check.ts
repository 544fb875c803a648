/** Checks what buyers may change by themselves: bounds between which something lies, and money that is money. */
import { boundsOf, COUNT_CAPS, type SelfServiceFile, SPEND_CAPS } from '../self-service.ts'
import type { Check } from './check.ts'

export function checkSelfService(check: Check, path: string, file: SelfServiceFile | undefined): void {
  const caps = file?.caps
  if (caps === undefined) return
  const spend = (caps['spend'] ?? {}) as typeof caps
  const named = [
    ...COUNT_CAPS.map((name) => [`${path}.caps.${name}`, caps[name]] as const),
    ...SPEND_CAPS.map((name) => [`${path}.caps.spend.${name}`, spend[name]] as const),
  ]
  for (const [here, bounds] of named) {
    if (bounds === undefined || check.broken(here)) continue
    const { min, max } = boundsOf(bounds)
    if (min !== null && max !== null && min > max)
      check.fault(here, 'has a min over its max, so no cap would do: swap them.')
  }
}
