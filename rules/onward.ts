/** Where a consumer goes on to after a sale: a page, a number to be called through to, or both, as one text of the auction. */

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
