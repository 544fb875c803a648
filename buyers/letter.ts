/** Writes a letter in the form of RFC 5322: one plain text in UTF-8, with at most one file beside it. */
import type { Mail } from '../rules/delivery.ts'
import type { WallMs } from '../rules/units.ts'
import type { Attachment } from './attachment.ts'

export interface Letter extends Omit<Mail, 'subject' | 'attach'> {
  readonly subject: string
  readonly text: string
  /** Stable over retries, so that a server that has it already can tell. */
  readonly id: string
  readonly at: WallMs
  readonly attachment?: Attachment | null
}

/** An underscore is no digit of base64, so it stands nowhere between. */
const BOUNDARY = '=_part'

/** The whole message, lines ended by CR and LF. */
export function writeLetter({ from, to, replyTo, subject, text, id, at, attachment }: Letter): string {
  const head = [
    `From: ${from}`,
    `To: ${to.join(',\r\n ')}`,
    ...(replyTo === null ? [] : [`Reply-To: ${replyTo}`]),
    `Subject: ${encodedWords(subject)}`,
    `Date: ${new Date(at).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${id}>`,
    'MIME-Version: 1.0',
  ]
  const words = part('text/plain; charset=utf-8', [], text.replace(/\r?\n/g, '\r\n'))
  if (!attachment) return `${head.join('\r\n')}\r\n${words}`
  const { name, type, content } = attachment
  const file = part(type, [`Content-Disposition: attachment; filename="${name}"`], content)
  const mixed = `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`
  return `${head.join('\r\n')}\r\n${mixed}\r\n\r\n--${BOUNDARY}\r\n${words}--${BOUNDARY}\r\n${file}--${BOUNDARY}--\r\n`
}

function part(type: string, more: readonly string[], content: string): string {
  const head = [`Content-Type: ${type}`, 'Content-Transfer-Encoding: base64', ...more]
  const body = Buffer.from(content.toWellFormed(), 'utf8').toString('base64')
  return `${head.join('\r\n')}\r\n\r\n${body.replace(/.{76}/g, '$&\r\n')}\r\n`
}

/** `Lead desk <leads@example.com>` -> `leads@example.com`: what the server is told. */
export const bareAddress = (address: string): string => /<([^>]+)>$/.exec(address)?.[1] ?? address

/** One line (RFC 2047): words of at most 75 characters, none of which breaks a character of the text. */
function encodedWords(text: string): string {
  const line = text
    .toWellFormed()
    .replace(/[\r\n\t]+/g, ' ')
    .slice(0, 500)
  if (/^[\x20-\x7e]*$/.test(line) && !line.includes('=?')) return line
  const words: string[] = []
  let word = ''
  for (const letter of line) {
    if (Buffer.byteLength(word + letter) > 42) {
      words.push(word)
      word = ''
    }
    word += letter
  }
  return [...words, word].map((one) => `=?UTF-8?B?${Buffer.from(one, 'utf8').toString('base64')}?=`).join('\r\n ')
}
