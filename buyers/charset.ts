/** Turns a reply's bytes into text, by what they say of themselves before what their header says. */

const CHARSET = /charset\s*=\s*["']?([\w.:-]{1,40})/i
const DECLARED = /^<\?xml[^>]{0,100}\sencoding\s*=\s*["']([\w.:-]{1,40})["']/i

/** Byte order marks win, then the type's charset, then an XML declaration, then zeros that only UTF-16 has; else UTF-8. */
export function decodeBody(bytes: Buffer, type: string | string[] | undefined): string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return decoded(bytes, 'utf-16le')
  if (first === 0xfe && second === 0xff) return decoded(bytes, 'utf-16be')
  if (first === 0xef && second === 0xbb && bytes[2] === 0xbf) return bytes.toString('utf8', 3)
  const named = typeof type === 'string' && type.includes('=') ? CHARSET.exec(type)?.[1] : undefined
  if (named !== undefined) return decoded(bytes, named)
  if (first === 0x3c && second === 0x3f) {
    const declared = DECLARED.exec(bytes.toString('latin1', 0, 200))?.[1]
    // A declaration that we could read as single bytes is not in UTF-16, whatever it says.
    if (declared !== undefined && !/^utf-?16/i.test(declared)) return decoded(bytes, declared)
  }
  if (first !== undefined && first !== 0 && second === 0) return decoded(bytes, 'utf-16le')
  if (first === 0 && second !== undefined && second !== 0) return decoded(bytes, 'utf-16be')
  return bytes.toString('utf8')
}

/** UTF-8 where nobody knows the charset. */
function decoded(bytes: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return bytes.toString('utf8')
  }
}
