/** Compiles a configuration as it is served: with every preset that contracts may name, and certificates that are some. */
import { atOnce, type Steps } from '../rules/configuration/steps.ts'
import { type Compiled, compileInSteps, type Fault } from '../rules/version.ts'
import { tlsFaults } from './identity.ts'
import { PRESETS } from './presets.ts'

export const compileConfiguration = (config: unknown, version: number): Compiled =>
  atOnce(configurationInSteps(config, version))

/** The same in steps, beside leads under way. */
export function* configurationInSteps(config: unknown, version: number): Steps<Compiled> {
  const compiled = yield* compileInSteps(config, version, PRESETS)
  if (!compiled.ok) return compiled
  const faults: Fault[] = []
  for (const { contracts, checks } of compiled.snapshot.campaigns.values()) {
    for (const { id, by } of checks?.all.values() ?? []) {
      if ('list' in by || by.service.tls === null) continue
      for (const [key, message] of tlsFaults(by.service.tls)) faults.push({ path: `checks.${id}.tls.${key}`, message })
    }
    for (const { id, delivery } of contracts) {
      if (delivery.tls === null) continue
      for (const [key, message] of tlsFaults(delivery.tls))
        faults.push({ path: `contracts.${id}.delivery.tls.${key}`, message })
    }
  }
  return faults.length > 0 ? { ok: false, faults } : compiled
}
