/** Scripted check services: what each says of the story's lead, and after how long. */

import { compileCheck } from '../../buyers/checker.ts'
import type { Clock } from '../../buyers/wire.ts'
import type { Checks } from '../../engine/checks/checks.ts'
import type { CheckSaid } from '../../rules/auction.ts'
import type { LeadCheck } from '../../rules/checks.ts'
import { ms } from '../../rules/units.ts'
import type { CheckScript, Story } from './story.ts'

interface Course {
  readonly after: number
  readonly says: Omit<CheckSaid, 'check'>
}

/** Whatever left has its price. */
function courseOf(check: LeadCheck, script: CheckScript): Course {
  const cost = check.cost > 0 && { cost: check.cost }
  const silent: Course = {
    after: check.timeoutMs,
    says: { via: 'asked', outputs: null, failed: 'timeout', ...cost },
  }
  if (script === 'silent') return silent
  if ('listed' in script) return { after: 0, says: { via: 'list', outputs: { listed: script.listed } } }
  if (script.after >= check.timeoutMs || !('service' in check.by)) return silent
  if ('fault' in script) return { after: script.after, says: { via: 'asked', outputs: null, failed: script.fault } }
  const { status = 200, body } = script
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const { outputs, failed } = compileCheck(check.id, check.by.service).read({ status, headers: {}, body: text })
  return { after: script.after, says: { via: 'asked', outputs, ...(failed !== null && { failed }), ...cost } }
}

export class ScriptedChecks implements Pick<Checks, 'ask'> {
  readonly #clock: Clock
  readonly #story: Story

  constructor(clock: Clock, story: Story) {
    this.#clock = clock
    this.#story = story
  }

  ask(check: LeadCheck, _lead: unknown, told: (said: CheckSaid) => void): void {
    const { after, says } = courseOf(check, this.#story.checks![check.id]!.does)
    this.#clock.after(ms(after), () => told({ check: check.id, ...says }))
  }
}

/** Where no campaign needs any. */
export const NO_CHECKS: Pick<Checks, 'ask'> = {
  ask: ({ id }) => {
    throw new Error(`nobody here answers the check ${id}`)
  },
}
