/** One mailbox under its many spellings: the dots and tags that its provider ignores are gone. */
import validator from 'validator'

export const mailboxOf = (email: string): string => validator.normalizeEmail(email) || email
