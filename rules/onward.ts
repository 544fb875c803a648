/** Where a consumer goes on to once the lead is decided: the buyer's page, a number to be called through to, or the campaign's own pages. */

/** Neither an address nor a number holds a space. Null where there is neither. */
export function joinOnward(url: string | null, phone: string | null): string | null {
  return phone === null ? url : `${url ?? ''} ${phone}`
}

export interface Onward {
  readonly url: string | null
  readonly phone: string | null
}

/** Takes apart what `joinOnward` joined. */
export function splitOnward(text: string | null): Onward {
  const [url, phone] = (text ?? '').split(' ')
  return { url: url || null, phone: phone || null }
}

/** A campaign's own pages, and where its tracked redirects begin. */
export interface Redirects {
  /** For a sold lead whose buyer names no page. */
  readonly thankYou: string | null
  /** For a lead that nobody bought. */
  readonly reject: string | null
  /** Address under which `/r/` of the data plane is public; null: consumers are sent on without a detour. */
  readonly tracked: string | null
}

export const NO_REDIRECTS: Redirects = { thankYou: null, reject: null, tracked: null }

/** What pages may be told of the lead, in the place of `{name}`. */
export const ONWARD_MACROS = ['lead_id', 'lead_ref', 'status'] as const

interface Decided {
  readonly leadId: string
  readonly status: string
  readonly leadRef: string | null
  /** By `joinOnward`: of the copy that paid most, among those whose buyers name something. */
  readonly redirectUrl: string | null
}

/** The page itself, tracked or not. */
export function pageOf({ thankYou, reject }: Redirects, lead: Decided): Onward {
  if (lead.status === 'sold') {
    const { url, phone } = splitOnward(lead.redirectUrl)
    return { url: url ?? filledIn(thankYou, lead), phone }
  }
  return { url: lead.status === 'unsold' || lead.status === 'duplicate' ? filledIn(reject, lead) : null, phone: null }
}

function filledIn(page: string | null, { leadId, leadRef, status }: Decided): string | null {
  const values = { lead_id: leadId, lead_ref: leadRef ?? '', status }
  return (
    page?.replace(/\{(lead_id|lead_ref|status)\}/g, (_, name: keyof typeof values) =>
      encodeURIComponent(values[name].toWellFormed()),
    ) ?? null
  )
}
