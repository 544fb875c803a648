/** The manners of an exemplary buyer: what it must refuse is refused, before anything else is decided. */
import { isSigned, readSecret } from '../buyers/sign.ts'
import { headerOf } from './mock-buyer.ts'
import { type MockAction, type MockRequest, noBidBody, reply, type Script } from './mock-temper.ts'

/** With secrets (whsec_...) a post must carry a signature by one of them, made within five minutes. */
export function strictly(secrets: readonly string[] = []): Script {
  return (request) => {
    if (!request.head.startsWith('POST ')) return refusal(405, 'method_not_allowed')
    const body = objectOf(request.body)
    if (body === null) return refusal(400, 'unreadable')
    const fields = body['fields']
    const isEmpty = typeof fields !== 'object' || fields === null || Object.keys(fields).length === 0
    if (isEmpty) return request.kind === 'ping' ? reply(0, noBidBody('no_fields')) : refusal(422, 'no_fields')
    if (request.kind === 'post' && secrets.length > 0 && !hasSignature(request, secrets))
      return refusal(401, 'bad_signature')
    return undefined
  }
}

function objectOf(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const read: unknown = JSON.parse(body.toString('utf8'))
    return typeof read === 'object' && read !== null ? (read as Record<string, unknown>) : null
  } catch {
    return null
  }
}

const refusal = (status: number, why: string): MockAction => ({
  ...reply(0, JSON.stringify({ accept: false, reason: why }), status),
  verdict: 'rejected',
})

function hasSignature(request: MockRequest, secrets: readonly string[]): boolean {
  const keys = secrets.map(readSecret).filter((key) => key !== null)
  const of = (name: string): string => headerOf(request, name)
  const signed = [of('webhook-id'), of('webhook-timestamp'), of('webhook-signature')] as const
  return isSigned(keys, signed, request.body.toString('utf8'), Date.now())
}
