/** Field types of words: free text, names, options, lists, and what a browser or a form says. */
import type { FieldContext, FieldSpec, FieldType, IssueCode, Reading } from '../fields.ts'

const TIDY = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/
const SPACE = /[\s\p{Cc}]+/gu
const LETTER = /\p{L}/u
const WORDY = /[\p{L}\p{N}]/u

/** One line: composed characters, every run of white space and control characters one space. May come out empty. */
export function tidy(text: string): string {
  return TIDY.test(text) ? text : text.normalize('NFC').replace(SPACE, ' ').trim()
}

/** A word as options spell it: lower case, everything but letters and digits an underscore. */
export function wordOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9+]+/g, '_')
    .replace(/^_|_$/g, '')
}

function readLine(text: string, spec: FieldSpec): Reading | IssueCode {
  const line = tidy(text)
  if (line === '') return 'bad_characters'
  if (spec.min !== undefined && line.length < spec.min) return 'too_short'
  if (spec.max !== undefined && line.length > spec.max) return 'too_long'
  return { normal: line }
}

/** A line that has at least one letter (a name, a city) or whatever `must` asks for. */
export function lineWith(must: RegExp, code: IssueCode) {
  return (text: string, spec: FieldSpec): Reading | IssueCode => {
    const read = readLine(text, spec)
    return typeof read !== 'string' && !must.test(read.normal as string) ? code : read
  }
}

function readEnum(text: string, spec: FieldSpec): Reading | IssueCode {
  const word = wordOf(text)
  if (spec.options?.includes(word)) return { normal: word }
  const synonyms = spec.synonyms
  return synonyms !== undefined && Object.hasOwn(synonyms, word) ? { normal: synonyms[word]! } : 'not_an_option'
}

const GENDERS: FieldSpec = {
  type: 'gender',
  options: ['male', 'female', 'nonbinary'],
  synonyms: {
    m: 'male',
    man: 'male',
    f: 'female',
    w: 'female',
    woman: 'female',
    x: 'nonbinary',
    non_binary: 'nonbinary',
  },
}

const HARD_BREAK = /[|;\n]/
/** Company forms that follow a comma inside one name: "Acme Solar, Inc." is one seller. */
const COMMA = /,(?!\s*(?:inc|llc|l\.l\.c|ltd|limited|corp|corporation|co|company|lp|llp|pllc|pc|n\.?a)\b)/i
const JSON_TEXTS = /^\[\s*(?:"(?:[^"\\]|\\.)*"\s*(?:,\s*(?=")|(?=\])))*\]$/

/** Items stand in a JSON array of texts, or between `|`, `;` and line ends; where there is none of these, between commas. */
function piecesOf(text: string): readonly string[] {
  if (!JSON_TEXTS.test(text)) return text.split(HARD_BREAK.test(text) ? HARD_BREAK : COMMA)
  try {
    return JSON.parse(text) as string[]
  } catch {
    return []
  }
}

/** Reads a list's items, in order, without repeats and without what has no letter. */
function readList(text: string): Reading | IssueCode {
  const items = new Set<string>()
  for (const piece of piecesOf(text)) {
    const item = tidy(piece).replaceAll('|', '/')
    if (WORDY.test(item)) items.add(item)
  }
  return items.size === 0 ? 'bad_characters' : { normal: [...items].join('|'), parts: { count: items.size } }
}

/** The items of a list's normal form. */
export const listItems = (normal: string): readonly string[] => normal.split('|')

/** Kept as it is but for the ends: the wording is evidence. */
const readVerbatim = (text: string): Reading => ({ normal: text })

const line = (
  name: string,
  maxLength: number,
  parse: (text: string, spec: FieldSpec, context: FieldContext) => Reading | IssueCode,
  good: FieldType['good'],
  bad: FieldType['bad'],
): FieldType => ({ name, kind: 'text', parts: {}, maxLength, parse, good, bad })

/** Free words, which filters compare without case. */
const words = (...of: Parameters<typeof line>): FieldType => ({ ...line(...of), anyCase: true })

export const TEXT_TYPES: readonly FieldType[] = [
  words(
    'text',
    1000,
    readLine,
    [
      ['  two   words\n', 'two words'],
      ['e\u0301te\u0301', 'été'],
      ['\u{1F31E} roof', '\u{1F31E} roof'],
    ],
    [
      ['a\0b', 'bad_characters'],
      ['half \ud83c', 'bad_characters'],
      ['\u0001', 'bad_characters'],
    ],
  ),
  words(
    'name',
    100,
    lineWith(LETTER, 'not_a_name'),
    [
      ['Jane', 'Jane'],
      [" Mary-Jane  O'Neil ", "Mary-Jane O'Neil"],
      ['Nuñez', 'Nuñez'],
      ['李', '李'],
    ],
    [
      ['12345', 'not_a_name'],
      ['--', 'not_a_name'],
    ],
  ),
  {
    ...line(
      'enum',
      100,
      readEnum,
      [
        ['Own', 'own'],
        [' RENT ', 'rent'],
        ['home-owner', 'own'],
      ],
      [
        ['maybe', 'not_an_option'],
        ['constructor', 'not_an_option'],
        ['!!', 'not_an_option'],
      ],
    ),
    exampleSpec: { type: 'enum', options: ['own', 'rent'], synonyms: { home_owner: 'own' } },
  },
  line(
    'gender',
    20,
    (text) => readEnum(text, GENDERS),
    [
      ['F', 'female'],
      ['Male', 'male'],
      ['non-binary', 'nonbinary'],
    ],
    [['yes', 'not_an_option']],
  ),
  {
    ...line(
      'list',
      4000,
      readList,
      [
        ['Acme Solar, Inc.; Bolt LLC', 'Acme Solar, Inc.|Bolt LLC', { count: 2 }],
        ['Acme, Bolt ,Acme', 'Acme|Bolt', { count: 2 }],
        ['Acme, Inc., Bolt', 'Acme, Inc.|Bolt', { count: 2 }],
        ['one', 'one', { count: 1 }],
        ['["Acme, and sons", "Bolt LLC"]', 'Acme, and sons|Bolt LLC', { count: 2 }],
      ],
      [
        [',,|', 'bad_characters'],
        ['[]', 'bad_characters'],
      ],
    ),
    parts: { count: 'number' },
    many: true,
  },
  line(
    'consent_text',
    10_000,
    readVerbatim,
    [[' By pressing "Go"\nI agree. ', 'By pressing "Go"\nI agree.']],
    [['I agree\0', 'bad_characters']],
  ),
  line('user_agent', 1024, readVerbatim, [['Mozilla/5.0 (X11)', 'Mozilla/5.0 (X11)']], [['x\udc00', 'bad_characters']]),
]
