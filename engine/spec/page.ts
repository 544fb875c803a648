/** Posting instructions as a page that a person can read, send on, and try a lead on. */
import { createHash } from 'node:crypto'
import { exampleOf, fieldsFor, REFUSALS, valueWords } from '../../rules/posting.ts'
import type { Campaign } from '../../rules/version.ts'
import type { VerticalField } from '../../rules/verticals.ts'
import { Html, html } from './html.ts'

export interface Page {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

const STYLE = `
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #f4f6f8; --ink: #1b2430; --dim: #5b6675; --mark: #0b6e4f; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --line: #39424e; --soft: #1e252d; --ink: #e7ebf0; --dim: #9aa7b5; --mark: #5cc9a0; --bad: #f2857c } body { background: #14191f } }
* { box-sizing: border-box }
body { margin: 0; color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2 }
h2 { margin: 2.75rem 0 .75rem; padding-top: 1.25rem; border-top: 1px solid var(--line); font-size: 1.25rem }
p { margin: .5rem 0 } .dim { color: var(--dim) }
code, pre, td:first-child { font-family: ui-monospace, monospace; font-size: .875rem }
pre { margin: .75rem 0; padding: .9rem 1rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--soft) }
.wide { overflow-x: auto } table { width: 100%; border-collapse: collapse; font-size: .925rem }
th { color: var(--dim); font-weight: 600; text-align: left } th, td { padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td:last-child { max-width: 13rem; overflow-wrap: anywhere } h1 code { font-size: inherit }
td small { display: block; color: var(--dim) } .yes { color: var(--mark); font-weight: 600 }
form { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .9rem 1.25rem }
label { display: block; font-size: .875rem; color: var(--dim) }
input, select { width: 100%; margin-top: .2rem; padding: .5rem .6rem; border: 1px solid var(--line); border-radius: 6px; background: transparent; color: inherit; font: inherit }
.row { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: .75rem; align-items: center } .row label { display: flex; gap: .4rem; align-items: center } .row input { width: auto; margin: 0 }
button { padding: .6rem 1.1rem; border: 1px solid var(--mark); border-radius: 6px; background: var(--mark); color: #fff; font: inherit; font-weight: 600; cursor: pointer } button.plain { background: transparent; color: var(--mark) }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px }
#said { min-height: 3.2rem; white-space: pre-wrap } #said.bad { border-color: var(--bad) }
`

/** Sends what the form says, to the lead's or the ping's address, and shows what came back as it came. */
const SCRIPT = `
const form = document.getElementById('try'), said = document.getElementById('said')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const fields = Object.fromEntries([...new FormData(form)].filter(([name, value]) => value !== '' && name !== 'api_key'))
  const isPing = event.submitter && event.submitter.value === 'ping'
  said.className = ''
  said.textContent = 'Sending ...'
  try {
    const reply = await fetch(isPing ? form.dataset.ping : form.dataset.lead, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer ' + form.elements.api_key.value },
      body: JSON.stringify(fields),
    })
    const text = await reply.text()
    said.className = reply.ok ? '' : 'bad'
    said.textContent = reply.status + ' ' + reply.statusText + '\\n' + (text ? JSON.stringify(JSON.parse(text), null, 2) : '')
  } catch (error) {
    said.className = 'bad'
    said.textContent = 'No answer: ' + error.message
  }
})
`

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** `key`: one that everybody may know, to be filled in; none outside of the example. */
export function specPage(campaign: Campaign, origin: string, key: string | null): Page {
  const { id, vertical } = campaign
  const url = `${origin}/v1/campaigns/${id}`
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posting to ${id}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<h1>${vertical.name} leads: posting to <code>${id}</code></h1>
<p class="dim">For machines: <a href="?format=openapi">OpenAPI 3.1</a>. Money is in ${campaign.currency}, as decimal text.</p>
${posting(campaign, url)}
${fields(campaign)}
${answers(campaign)}
${pingPost(campaign, url, origin)}
${errors()}
${trying(campaign, url, key)}
</main>
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`
  return { body: page.text, headers: HEADERS }
}

const curl = (url: string, body: object): string =>
  `curl ${url} \\\n  -H 'Authorization: Bearer YOUR_KEY' \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`

const posting = (campaign: Campaign, url: string): Html => html`<section id="post">
<h2>Post a lead</h2>
<p>One lead a request, as JSON, form-urlencoded or XML. The key goes into <code>Authorization: Bearer</code>, <code>X-Api-Key</code> or the field <code>api_key</code>.</p>
<pre>${curl(`${url}/leads`, exampleOf(campaign, 'lead'))}</pre>
<p>Give each lead an id of your own in <code>lead_ref</code>: the same id and body sent again get the same answer, and the lead is sold once. Wait up to 90 s for the answer; <code>?mode=async</code> is answered at once, and the outcome is at <code>GET /v1/leads/{lead_id}</code>.</p>
<p>With <code>test=1</code>, or a test key, nothing is sold.</p>
</section>`

const fields = (campaign: Campaign): Html => html`<section id="fields">
<h2>Fields</h2>
<p>Names match in any case and with any separator. Fields that are not listed are kept with the lead.</p>
<div class="wide"><table>
<thead><tr><th>Field</th><th>Lead</th><th>Ping</th><th>What</th><th>Example</th></tr></thead>
<tbody>${fieldsFor(campaign, 'lead').map((field) => fieldRow(field, campaign))}</tbody>
</table></div>
</section>`

function fieldRow(field: VerticalField, campaign: Campaign): Html {
  const inPing = fieldsFor(campaign, 'ping').includes(field)
  const need = (taken: boolean): Html =>
    taken
      ? field.required
        ? html`<span class="yes">required</span>`
        : html`optional`
      : html`<span class="dim">never</span>`
  const aliases = field.aliases.length === 0 ? html`` : html`<small>also ${field.aliases.join(', ')}</small>`
  return html`<tr><td>${field.name}</td><td>${need(true)}</td><td>${need(inPing)}</td><td>${field.label}<small>${valueWords(field)}</small>${aliases}</td><td>${field.example}</td></tr>
`
}

const LEAD_ID = '0197a0c2-6a4e-7cc0-9d6e-2b6f3f1f8e11'

const answers = ({ currency }: Campaign): Html => html`<section id="answers">
<h2>Answers</h2>
<p>200 is a decision, 202 is pending: ask again, or wait for your postback. <code>payout</code> is what you earn.</p>
<pre>${[
  { lead_id: LEAD_ID, status: 'sold', payout: '12.60', currency, copies: 1, redirect_url: null, lead_ref: 'S-1' },
  { lead_id: LEAD_ID, status: 'unsold', reasons: ['no_buyer'] },
  { lead_id: LEAD_ID, status: 'duplicate' },
  { lead_id: LEAD_ID, status: 'pending' },
]
  .map((one) => JSON.stringify(one))
  .join('\n')}</pre>
</section>`

const pingPost = (campaign: Campaign, url: string, origin: string): Html => html`<section id="ping">
<h2>Ping first</h2>
<p>A ping carries no name, phone, email or address, and is answered with an offer that stands for ${campaign.offers.lifeMs / 1_000} s at the most. The lead that comes for it earns no less; each offer is used once.</p>
<pre>${curl(`${url}/pings`, exampleOf(campaign, 'ping'))}</pre>
<pre>${JSON.stringify({ ping_id: `pg_${LEAD_ID}`, status: 'offer', payout: '12.60', currency: campaign.currency, expires_at: '2026-03-02T20:05:00Z' })}</pre>
<p>Post the whole lead to <code>${origin}/v1/pings/{ping_id}/lead</code>.${campaign.offers.choice ? ' Name the bids that the consumer chose in consent_bids, such as ["b1"]: only those may buy.' : ''}</p>
</section>`

const errors = (): Html => html`<section id="errors">
<h2>Errors</h2>
<p>Errors are problem details (RFC 9457): nothing was stored or sold, and there is no lead_id.</p>
<pre>${JSON.stringify({ type: 'about:blank', title: 'invalid lead', status: 422, lead_id: null, issues: [{ field: 'phone', code: 'not_a_number', value: '555' }] })}</pre>
<div class="wide"><table>
<thead><tr><th>Status</th><th>What</th><th>What to do</th></tr></thead>
<tbody>${REFUSALS.map(
  ([status, title, todo]) => html`<tr><td>${status}</td><td>${title}</td><td>${todo}</td></tr>
`,
)}</tbody>
</table></div>
</section>`

/** Outside of the example a form that is sent by chance must sell nothing. */
function trying(campaign: Campaign, url: string, key: string | null): Html {
  const shown = fieldsFor(campaign, 'lead').filter(
    ({ required, type }) => required || type === 'enum' || type === 'range',
  )
  const test = html`<label><input type="checkbox" name="test" value="1"${new Html(key === null ? ' checked' : '')}> test</label>`
  const path = new URL(url).pathname
  return html`<section id="trying">
<h2>Try it</h2>
<p>Sends a lead from this page and shows the answer as it comes. ${key === null ? 'Use your test key.' : 'The buyers of the example are scripted.'}</p>
<form id="try" data-lead="${path}/leads" data-ping="${path}/pings" autocomplete="off">
<label>key<input name="api_key" type="password" required value="${key ?? ''}"></label>
${shown.map(input)}
<div class="row"><button name="do" value="lead">Send the lead</button><button name="do" value="ping" class="plain">Ping only</button>${test}</div>
</form>
<pre id="said" role="status" aria-live="polite">The answer appears here.</pre>
</section>`
}

function input(field: VerticalField): Html {
  const { name, options, example, required } = field
  if (!options)
    return html`<label>${name}<input name="${name}" value="${required ? example : ''}"></label>
`
  const choices = options.map(
    (one) => html`<option${new Html(one === example && required ? ' selected' : '')}>${one}</option>`,
  )
  return html`<label>${name}<select name="${name}"><option></option>${choices}</select></label>
`
}
