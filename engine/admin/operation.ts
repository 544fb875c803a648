/** One operation of the admin plane or of the portal: what it takes, who may call it, what it may answer, and what runs. */
import type { TObject, TSchema } from 'typebox'
import type { AdminRole, Role } from '../../rules/version.ts'
import type { Actor } from '../configuration/publishing.ts'

/** A whole answer. Header names are in lower case. */
export interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One request, read and checked. */
export interface Call {
  readonly actor: Actor
  /** What stands in the braces of the path. */
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  /** The entity tag that the caller has seen; null where it gave none. */
  readonly ifMatch: string | null
  /** True where the caller wants to make what must not be there yet. */
  readonly ifNoneMatch: boolean
  readonly body: unknown
  readonly asText: boolean
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Answer {
  readonly description: string
  /** Absent: no body. */
  readonly schema?: TSchema
  /** Content type; default application/json. */
  readonly type?: string
  /** Another content type that may be asked for: text. */
  readonly orText?: string
}

export interface Operation {
  /** Its name in the OpenAPI document. */
  readonly id: string
  readonly method: Method
  /** `/admin/v1/sources/{id}`; a name in braces matches what `params` says of it. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  /** The least role of the admin plane that may call it, or the only one of the portal; null: nobody needs a key. */
  readonly role: Role | null
  readonly params?: Readonly<Record<string, TSchema>>
  readonly query?: TObject
  readonly body?: TSchema
  /** True where `run` checks the body itself, in better words. */
  readonly checksBody?: true
  /** It reads a lot: few of these run at a time. */
  readonly heavy?: true
  /** Most bytes of a body; default 1 MB. */
  readonly bodyBytes?: number
  /** It needs If-Match, or (`create`) If-None-Match: *. */
  readonly conditional?: 'replace' | 'create'
  /** Its own answers; what every operation of its kind may answer is added. */
  readonly answers: Readonly<Record<number, Answer>>
  readonly run: (call: Call) => Promise<Page>
}

const RANK: Readonly<Record<AdminRole, number>> = { viewer: 0, operator: 1, admin: 2 }
const rankOf = (role: Role): number | undefined => (RANK as Partial<Record<Role, number>>)[role]

/** Each role of the admin plane may do what those before it may; buyers and sources only what is theirs. */
export function mayCall(role: Role, needed: Role | null): boolean {
  if (needed === null || role === needed) return true
  const [has, needs] = [rankOf(role), rankOf(needed)]
  return has !== undefined && needs !== undefined && has >= needs
}

export const page = (
  body: string,
  type: string,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Page => ({
  status,
  headers: { 'content-type': type, ...headers },
  body,
})

export const json = (value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Page =>
  page(JSON.stringify(value), 'application/json', status, headers)

export const nothing = (): Page => ({ status: 204, headers: {}, body: '' })
