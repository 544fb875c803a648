/** The verticals as data: which fields a lead of each has, which are required, which a ping may show. */
import type { FieldSpec } from './fields.ts'

export interface VerticalField extends FieldSpec {
  readonly name: string
  readonly required: boolean
  /** May leave in a ping where a contract names it. */
  readonly ping: boolean
  /** Other names under which the field arrives. */
  readonly aliases: readonly string[]
  readonly label: string
  readonly example: string
}

export interface Vertical {
  readonly id: string
  readonly name: string
  readonly fields: readonly VerticalField[]
}

export const VERTICALS: ReadonlyMap<string, Vertical> = new Map()
