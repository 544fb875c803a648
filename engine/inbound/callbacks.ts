/** Buyers that tell later how a post ended: a signed answer at the address that the post named. */
import type { KeyObject } from 'node:crypto'
import { validate } from 'uuid'
import { readPost } from '../../buyers/reply.ts'
import { parseJson } from '../../buyers/reply-body.ts'
import { isSigned, readSecret } from '../../buyers/sign.ts'
import { Tape } from '../../buyers/tape.ts'
import type { Clock } from '../../buyers/wire.ts'
import { ms, type WallMs } from '../../rules/units.ts'
import type { Contract, Snapshot } from '../../rules/version.ts'
import { evidenceOf, type ResolveAnswer, type Verdict, verdictOf, type Which } from '../doubts/resolve.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import * as problem from '../problem.ts'

export interface CallbackPorts {
  readonly clock: Pick<Clock, 'wall'>
  readonly snapshot: Snapshot
  readonly resolve: (leadId: string, which: Which, verdict: Verdict, by: string) => Promise<ResolveAnswer>
  /** Seals a text that may name a person. */
  readonly conceal: (leadId: string, text: string) => string
  /** Keeps what settled a doubt, byte for byte. */
  readonly record?: (leadId: string, tape: Tape) => void
}

/**
 * The token is the post's idempotency key, and the signed message must be about it: what one lead's buyer signed says
 * nothing of another lead. The body is our own shape of a post's reply. Said again, it changes nothing.
 */
export async function takeCallback(ports: CallbackPorts, { params, headers, body }: EdgeRequest): Promise<EdgeReply> {
  const token = params[0]!
  const [leadId = '', id = ''] = token.split(':', 2)
  const contract = validate(leadId) ? contractOf(ports.snapshot, id) : null
  const keys = contract?.delivery.secrets.map(readSecret).filter((key): key is KeyObject => key !== null) ?? []
  const text = body.toString('utf8')
  const { webhook } = headers
  if (webhook === null || webhook[0] !== token || !isSigned(keys, webhook, text, ports.clock.wall())) {
    return problem.badSignature()
  }
  const said = saysClearly(text)
    ? evidenceOf(readPost({ serverError: 'in_doubt' }, { status: 200, headers: {}, body: text }))
    : null
  const verdict = said && verdictOf(said, (name) => ports.conceal(leadId, name))
  if (verdict === null) return problem.unreadable('Say {"accept": true} or {"accept": false}, as in a reply to a post.')
  try {
    const answer = await ports.resolve(leadId, { contract: id }, verdict, 'callback')
    if (answer.code === 'RESOLVED') ports.record?.(leadId, tapeOf(contract!, webhook, body, ports.clock.wall()))
    return answerOf(answer)
  } catch {
    return problem.notReady()
  }
}

/** What it was signed with, as a head, and the body. */
function tapeOf(contract: Contract, [id, timestamp, signature]: readonly string[], body: Buffer, at: WallMs): Tape {
  const tape = new Tape('post', contract, at, ms(0))
  const head = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  tape.hear(Buffer.concat([Buffer.from(`${lines.join('')}\r\n`), body]))
  tape.finish('whole', ms(0))
  return tape
}

/** What is no clear yes counts as a no in the reply to a post, for the lead goes on; nothing forces that here. */
function saysClearly(text: string): boolean {
  const tree = parseJson(text)
  return typeof tree === 'object' && tree !== null && 'accept' in tree && typeof tree.accept === 'boolean'
}

function answerOf({ code, state }: ResolveAnswer): EdgeReply {
  switch (code) {
    case 'RESOLVED':
    case 'SETTLED':
      return { status: 200, body: JSON.stringify({ settled: code === 'RESOLVED', state }) }
    case 'OPEN':
      return problem.stillPosted()
    case 'UNKNOWN':
      return problem.noSuchLead()
    default:
      return code satisfies never
  }
}

function contractOf({ campaigns }: Snapshot, id: string): Contract | null {
  for (const { contracts } of campaigns.values()) {
    const found = contracts.find((contract) => contract.id === id)
    if (found) return found
  }
  return null
}
