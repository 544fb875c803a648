/** Compiles a configuration with every preset that contracts may name. */
import { type Compiled, compileVersion } from '../rules/version.ts'
import { PRESETS } from './presets.ts'

export const compileConfiguration = (config: unknown, version: number): Compiled =>
  compileVersion(config, version, PRESETS)
