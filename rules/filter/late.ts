/** Conditions on what checks find out, which can be asked only when the checks have answered. */
import { type Check, type Condition, conditionOf } from './check.ts'
import type { OutputSubject } from './subject.ts'

type Known = ReadonlyMap<string, OutputSubject>

/** Ids of the checks whose outputs a condition asks about. */
export function checksIn(condition: Condition | null, outputs: Known): readonly string[] {
  if (condition === null || outputs.size === 0) return []
  return [...new Set(condition.checks.flatMap((check) => checksOf(check, outputs)))]
}

function checksOf(check: Check, outputs: Known): readonly string[] {
  if ('branches' in check) return check.branches.flatMap((branch) => checksIn(branch, outputs))
  return outputs.has(check.field) ? [check.field.slice(0, check.field.indexOf('.'))] : []
}

/** What of a condition can be asked before the checks, and what only after them. */
export function splitLate(
  condition: Condition | null,
  outputs: Known,
): { readonly early: Condition | null; readonly late: Condition | null } {
  if (checksIn(condition, outputs).length === 0) return { early: condition, late: null }
  const isLate = (check: Check): boolean => checksOf(check, outputs).length > 0
  const early = condition!.checks.filter((check) => !isLate(check))
  return {
    early: early.length === 0 ? null : conditionOf(early),
    late: conditionOf(condition!.checks.filter(isLate)),
  }
}
