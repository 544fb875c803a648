/** The field type of email addresses, with what is known of their domains. */
import disposableDomains from 'disposable-email-domains/index.json' with { type: 'json' }
import disposableZones from 'disposable-email-domains/wildcard.json' with { type: 'json' }
import freeDomains from 'email-providers/all.json' with { type: 'json' }
import { getDomain } from 'tldts'
import validator from 'validator'
import type { FieldType, IssueCode, Reading } from '../fields.ts'

/** 120,000 domains, 8 MB: what lies below one of them is disposable too. */
const DISPOSABLE: ReadonlySet<string> = new Set([...disposableDomains, ...disposableZones])
/** RFC 2606 keeps these for examples: nobody has a mailbox there. */
const RESERVED: ReadonlySet<string> = new Set(['example.com', 'example.net', 'example.org'])
/** The list of providers names disposable ones too. */
const FREE: ReadonlySet<string> = new Set(
  freeDomains.filter((domain) => !DISPOSABLE.has(domain) && !RESERVED.has(domain)),
)

/** Lower case, as typed otherwise: mail goes to this address. What counts as the same mailbox is `rules/duplicates`' business. */
function readEmail(text: string): Reading | IssueCode {
  if (!validator.isEmail(text)) return 'not_an_email'
  const normal = text.toLowerCase()
  const domain = normal.slice(normal.lastIndexOf('@') + 1)
  const registrable = getDomain(domain) ?? domain
  const disposable = isDisposable(domain, registrable)
  return { normal, parts: { domain, registrable, free: FREE.has(domain) || FREE.has(registrable), disposable } }
}

/** Asks for the domain and each one above it, down to the registrable one. */
function isDisposable(domain: string, registrable: string): boolean {
  for (let name = domain; name.length >= registrable.length; name = name.slice(name.indexOf('.') + 1)) {
    if (DISPOSABLE.has(name)) return true
    if (!name.includes('.')) break
  }
  return false
}

export const EMAIL_TYPE: FieldType = {
  name: 'email',
  kind: 'text',
  parts: { domain: 'text', registrable: 'text', free: 'boolean', disposable: 'boolean' },
  maxLength: 254,
  parse: readEmail,
  good: [
    [
      ' Jane.Doe@Example.COM ',
      'jane.doe@example.com',
      { domain: 'example.com', registrable: 'example.com', free: false, disposable: false },
    ],
    [
      'j+solar@mail.example.co.uk',
      'j+solar@mail.example.co.uk',
      { domain: 'mail.example.co.uk', registrable: 'example.co.uk', free: false, disposable: false },
    ],
    ['j@gmail.com', 'j@gmail.com', { domain: 'gmail.com', registrable: 'gmail.com', free: true, disposable: false }],
    [
      'x@box.mailinator.com',
      'x@box.mailinator.com',
      { domain: 'box.mailinator.com', registrable: 'mailinator.com', free: false, disposable: true },
    ],
  ],
  bad: [
    ['jane', 'not_an_email'],
    ['jane@example', 'not_an_email'],
    ['a@b.com, c@d.com', 'not_an_email'],
    ['Jane <jane@example.com>', 'not_an_email'],
    ['jane@exa\nmple.com', 'not_an_email'],
  ],
}
