/** `POST /v1/campaigns/{campaign}/form`: a consumer's own browser posts a form, and is sent on to a page. */
import { consumerAddress } from '../../rules/addresses.ts'
import { fieldNamed } from '../../rules/lead.ts'
import { pageOf } from '../../rules/onward.ts'
import type { Campaign } from '../../rules/version.ts'
import { type Admitted, admit } from '../admission.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import { type IntakePorts, keepInvalid, type Taken, take } from '../intake.ts'
import type { Answer } from '../live.ts'
import type * as problem from '../problem.ts'
import { type Html, html } from '../spec/html.ts'
import { onwardOf } from './onward.ts'

export async function takeForm(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const admitted = admit(ports, request, request.params[0]!)
  if ('refused' in admitted) return refusedPage(admitted.refused)
  const { campaign } = admitted
  const { [campaign.form.honeypot]: bait, ...fields } = admitted.fields
  if (bait !== undefined && String(bait ?? '').trim() !== '') {
    // Whatever fills in what nobody sees hears that all is well.
    const issue = JSON.stringify([{ field: campaign.form.honeypot, code: 'honeypot' }])
    keepInvalid(ports, admitted, issue, ports.clock.wall())
    return sentTo(thanks(campaign))
  }
  return replyOf(await take(ports, { ...admitted, fields: { ...evidenceOf(admitted, request), ...fields } }), campaign)
}

/** What a browser tells of the consumer who consents, where the form itself says nothing of it under any of its names. */
function evidenceOf({ campaign, fields, snapshot }: Admitted, request: EdgeRequest): Readonly<Record<string, string>> {
  const said = new Set(Object.keys(fields).map((name) => fieldNamed(campaign.vertical, name)?.name))
  const { userAgent, referer, forwardedFor } = request.headers
  const found = {
    user_agent: userAgent,
    landing_page_url: referer,
    ip_address: consumerAddress(request.remoteAddress, forwardedFor, snapshot.trustedProxies),
  }
  return Object.fromEntries(
    Object.entries(found).flatMap(([name, value]) => (value && !said.has(name) ? [[name, value]] : [])),
  )
}

/** The page for a sold lead whose buyer names none. */
const thanks = ({ redirects }: Campaign, answer: Partial<Answer> = {}): string | null =>
  pageOf(redirects, { leadId: '', leadRef: null, ...answer, status: 'sold', redirectUrl: null }).url

function replyOf(taken: Taken, campaign: Campaign): EdgeReply {
  switch (taken.kind) {
    case 'answer': {
      const { url } = onwardOf(campaign.redirects, taken.answer)
      return sentTo(url ?? thanks(campaign, taken.answer))
    }
    case 'invalid': {
      const labels = new Map(campaign.vertical.fields.map(({ name, label }) => [name, label]))
      const items = taken.issues.map(({ field, code }) => {
        const words = code === 'required' ? 'is missing' : 'cannot be right'
        return html`<li><b>${labels.get(field) ?? field}</b> ${words}</li>`
      })
      return ownPage(422, 'Please look again', html`<ul>${items}</ul><p>Go back in your browser to correct it.</p>`)
    }
    case 'refused':
      return refusedPage(taken.refusal)
    default:
      return taken satisfies never
  }
}

/** 303, so that the browser asks for the page and does not post the form a second time. */
function sentTo(url: string | null): EdgeReply {
  if (url !== null) return { status: 303, headers: { location: url }, body: '' }
  return ownPage(200, 'Thank you', html`<p>Your request has been received.</p>`)
}

function refusedPage({ status, headers }: problem.Refusal): EdgeReply {
  const { 'retry-after': retryAfter } = headers
  const page = ownPage(status, 'That did not work', html`<p>Please try again in a moment.</p>`)
  return retryAfter === undefined ? page : { ...page, headers: { ...page.headers, 'retry-after': retryAfter } }
}

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
}

function ownPage(status: number, title: string, content: Html): EdgeReply {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title></head>
<body><h1>${title}</h1>${content}</body></html>
`
  return { status, headers: HEADERS, body: page.text }
}
