/** `GET /v1/leads/{lead_id}`: a lead's outcome, as its own source may see it. */
import { validate } from 'uuid'
import { NO_REDIRECTS } from '../rules/onward.ts'
import { keyOf } from './admission.ts'
import { answerOf, answerReply } from './answer.ts'
import type { EdgeReply, EdgeRequest } from './edge.ts'
import type { IntakePorts } from './intake.ts'
import * as problem from './problem.ts'

export async function readLead(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const key = keyOf(ports.snapshot(), request)
  if ('refused' in key) return key.refused
  const leadId = request.params[0]!
  if (!validate(leadId)) return problem.noSuchLead()
  const record = await ports.ledger.lead(leadId).catch(() => undefined)
  if (record === undefined) return problem.notReady()
  if (record === null || record.source !== key.source) return problem.noSuchLead()
  const redirects = ports.snapshot().campaigns.get(record.campaign)?.redirects ?? NO_REDIRECTS
  return { status: 200, body: answerReply(answerOf(record, ports.reveal), redirects).body }
}
