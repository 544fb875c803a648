/** What each command is given. */
import type { Output } from './output.ts'
import type { Plane } from './plane.ts'

export interface Context {
  /** What stands behind the command's name. */
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, string | undefined>>
  readonly output: Output
  /** The running engine's admin plane: opened where a command needs it. */
  readonly plane: () => Plane
}
