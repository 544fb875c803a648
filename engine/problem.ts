/** The refusals that callers read: one function each, as problem details (RFC 9457). */
import type { Issue } from '../rules/lead.ts'
import type { Fault } from '../rules/version.ts'

/** A whole answer. Header names are in lower case. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const PROBLEM_JSON = 'application/problem+json'

function problem(
  status: number,
  title: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Refusal {
  return {
    status,
    headers: { 'content-type': PROBLEM_JSON, ...headers },
    body: JSON.stringify({ type: 'about:blank', title, status, detail, ...more }),
  }
}

const retryAfter = (seconds: number) => ({ 'retry-after': String(Math.max(1, Math.ceil(seconds))) })
const CHALLENGE = { 'www-authenticate': 'Bearer' }

/** 400. `detail` says what is wrong with the body, and names fields but never their values. */
export const unreadable = (detail: string): Refusal => problem(400, 'unreadable body', detail)

export const keyMissing = (): Refusal =>
  problem(
    401,
    'no key',
    'The request carries no API key. Send it as "Authorization: Bearer <key>", as "X-Api-Key: <key>" or in the field api_key.',
    CHALLENGE,
  )

export const keyUnknown = (): Refusal =>
  problem(
    401,
    'unknown key',
    'No source has this API key. Check it for missing characters, or ask for a new one.',
    CHALLENGE,
  )

export const badSignature = (): Refusal =>
  problem(
    401,
    'bad signature',
    'Sign it as the posts are signed: webhook-id (of the post), webhook-timestamp (now) and webhook-signature, with a secret of the contract.',
  )

export const adminKeyNeeded = (): Refusal =>
  problem(401, 'no admin key', 'This needs an admin key. Send it as "Authorization: Bearer <key>".', CHALLENGE)

export const portalKeyNeeded = (): Refusal =>
  problem(
    401,
    'no key',
    'This needs a key of a buyer or of a source. Send it as "Authorization: Bearer <key>"; ask your operator for one.',
    CHALLENGE,
  )

export const liveKeyNeeded = (): Refusal =>
  problem(403, 'live key needed', 'This is a test key, and tests come to no money: use a live key.')

/** 403: the operator has not let the caller do this. */
export const operatorsAlone = (detail: string): Refusal => problem(403, 'not allowed', detail)

export const roleNeeded = (needed: string, role: string): Refusal =>
  problem(403, 'role needed', `This needs the role ${needed}; the key has the role ${role}. Ask an admin.`)

export const nothingHere = (): Refusal =>
  problem(404, 'not found', 'There is nothing of this name. Check its spelling, and whether it is in the draft.')

/** 409: what was asked contradicts how things stand. */
export const conflict = (detail: string): Refusal => problem(409, 'conflict', detail)

/** 412: somebody else has changed it since the caller read it. */
export const changedSince = (etag: string | null): Refusal =>
  problem(
    412,
    'changed since',
    'It is no longer what you read: read it again, make your change there, and send its new ETag as If-Match.',
    etag === null ? {} : { etag },
  )

export const conditionNeeded = (mayCreate: boolean): Refusal =>
  problem(
    428,
    'condition needed',
    `Send the ETag that you have read as If-Match, so that nobody's change is lost${mayCreate ? '; or If-None-Match: * to make a new one' : ''}.`,
  )

/** 422: every fault at once. */
export const faulty = (detail: string, faults: readonly Fault[]): Refusal =>
  problem(422, 'faults', `${detail} Every one is listed under faults.`, {}, { faults })

/** 415. `given` is the Content-Type as it came. */
export const jsonOnly = (given: string): Refusal =>
  problem(415, 'unknown content type', `A body of type "${given.slice(0, 100)}" is not read: send application/json.`, {
    accept: 'application/json',
  })

/** 403: its operator has paused the source for a while. */
export const sourcePaused = (): Refusal =>
  problem(403, 'paused', 'This source is paused: its leads are not taken at the moment. Ask its operator.')

export const notAllowed = (campaign: string): Refusal =>
  problem(403, 'not allowed', `This key may not send leads to the campaign "${campaign}". Ask its operator for access.`)

export const noSuchCampaign = (campaign: string): Refusal =>
  problem(404, 'no such campaign', `There is no campaign "${campaign}". Check the address that leads are posted to.`)

export const noSuchLead = (): Refusal =>
  problem(404, 'no such lead', 'There is no lead with this id among those that this key may see.')

export const noSuchPath = (): Refusal => problem(404, 'not found', 'Nothing is at this address.')

/** `allow`: the methods that this address takes, as the Allow header lists them. */
export const methodNotAllowed = (allow: string): Refusal =>
  problem(405, 'method not allowed', `This address takes ${allow}.`, { allow })

/** 409: the same idempotency key came with another body. Neither lead nor body of the first is told. */
export const keyReused = (): Refusal =>
  problem(
    409,
    'idempotency key reused',
    'This idempotency key (or lead_ref) came before with another body. Send the first body again to read its answer, or a new key for a new lead.',
  )

/** 404: unknown, another source's, or of another time. */
export const noSuchPing = (): Refusal =>
  problem(404, 'no such ping', 'There is no ping with this id among those of this key. Ping first, then post.')

/** 409: nothing stands any more behind the ping id. */
export const pingExpired = (): Refusal =>
  problem(409, 'ping expired', 'The offer has ended: nothing was sold. Ping again, and post before expires_at.')

export const nothingOffered = (): Refusal =>
  problem(409, 'nothing offered', 'Nobody bid for this ping, so there is nothing to post to. Nothing was sold.')

/** 409: an offer is used once. Neither lead nor body of the first is told. */
export const pingUsed = (): Refusal =>
  problem(
    409,
    'ping used',
    'Another lead came for this ping. Send the first body again to read its answer, or ping again for a new lead.',
  )

export const tooLarge = (limitBytes: number): Refusal =>
  problem(413, 'body too large', `A body may have at most ${limitBytes} bytes.`)

/** 415. `given` is the Content-Type as it came. */
export const unknownType = (given: string): Refusal =>
  problem(
    415,
    'unknown content type',
    `A body of type "${given.slice(0, 100)}" is not read. Send application/json, application/x-www-form-urlencoded or application/xml, in UTF-8 or ISO-8859-1.`,
    { accept: 'application/json, application/x-www-form-urlencoded, application/xml' },
  )

/** 422: every issue at once. Nothing that has an id was stored for the caller, so `lead_id` is null. */
export const invalidLead = (issues: readonly Issue[]): Refusal =>
  problem(
    422,
    'invalid lead',
    'The lead was not taken. Every field that has to change is listed under issues.',
    {},
    { lead_id: null, issues },
  )

export const rateLimited = (seconds: number): Refusal =>
  problem(
    429,
    'too many requests',
    'This source sends faster than agreed. Wait for Retry-After seconds.',
    retryAfter(seconds),
  )

/** 429 of a key that asks instead of sending leads. */
export const tooManyRequests = (seconds: number): Refusal =>
  problem(
    429,
    'too many requests',
    'This is asked for more often than it may. Wait for Retry-After seconds.',
    retryAfter(seconds),
  )

export const stillPosted = (seconds = 5): Refusal =>
  problem(409, 'still posted', 'The post has not ended yet: answer it, or come back later.', retryAfter(seconds))

/** 503: starting, draining, or a store is away. */
export const notReady = (seconds = 5): Refusal =>
  problem(
    503,
    'not ready',
    'The engine takes no leads at the moment. Nothing was stored: send it again.',
    retryAfter(seconds),
  )

/** 503: a bound on what may be under way was reached. */
export const overloaded = (seconds = 1): Refusal =>
  problem(503, 'overloaded', 'Too many leads are under way. Nothing was stored: send it again.', retryAfter(seconds))

/** 503: as many wait as may. */
export const busy = (seconds = 2): Refusal =>
  problem(503, 'busy', 'Too much is asked for at the moment. Send it again.', retryAfter(seconds))

/** 503: what is asked for lies in a store that is out of reach. */
export const away = (seconds = 5): Refusal =>
  problem(503, 'not ready', 'A store is out of reach. Send it again.', retryAfter(seconds))

/** 503 after the body was read: the ledger did not confirm in time, so nothing is promised. */
export const notStored = (seconds = 5): Refusal =>
  problem(
    503,
    'not stored',
    'The lead could not be stored. Send it again with the same idempotency key, so that it is sold once at most.',
    retryAfter(seconds),
  )

/** 500: a bug of ours, never an answer to what a caller sent. */
export const ourFault = (): Refusal =>
  problem(
    500,
    'internal fault',
    'The engine failed at this request. It was recorded; the same request may be sent again.',
  )
