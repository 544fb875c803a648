/** Leads of advertising platforms' own forms, as fields: Google's lead form extension and Meta's lead ads. */

type Fields = Record<string, string>
/** What a form calls a field -> what the campaign does. */
export type FieldNames = Readonly<Record<string, string>>

/** Names that both platforms give, where ours is another. */
const NAMES: FieldNames = { region: 'state', province: 'state', post_code: 'zip', postal_code: 'zip', zip_code: 'zip' }

interface Answer {
  readonly name: string
  readonly value: string
}

function fieldsOf(answers: readonly Answer[], names: FieldNames): Fields {
  const fields: Fields = Object.create(null)
  for (const { name, value } of answers) {
    const plain = name.toLowerCase()
    const field = names[name] ?? names[plain] ?? NAMES[plain] ?? plain
    if (value.trim() !== '') fields[field] = value
  }
  const { full_name: whole, ...rest } = fields
  return whole === undefined ? rest : { ...splitName(whole), ...rest }
}

/** The last word is the last name. */
function splitName(whole: string): Fields {
  const words = whole.trim().split(/\s+/)
  return words.length < 2
    ? { first_name: whole.trim() }
    : { first_name: words.slice(0, -1).join(' '), last_name: words.at(-1)! }
}

export interface AdLead {
  readonly key: string | null
  readonly test: boolean
  readonly fields: Readonly<Record<string, string>>
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/** What Google's webhook posts: `google_key` is the source's key, `lead_id` its own id of the lead. */
export function googleLead(body: unknown, names: FieldNames): AdLead {
  const { google_key, is_test, lead_id, gcl_id, user_column_data } = record(body)
  const answers = list(user_column_data).map((one) => {
    const { column_id, column_name, string_value } = record(one)
    return { name: text(column_id) || text(column_name), value: text(string_value) }
  })
  const own = { lead_ref: text(lead_id), click_id: text(gcl_id) }
  const fields = { ...fieldsOf(answers, names), ...given(own) }
  return { key: text(google_key) || null, test: is_test === true, fields }
}

/** Ids of the leads that one of Meta's notifications tells of. */
export function metaLeadIds(body: unknown): readonly string[] {
  return list(record(body)['entry'])
    .flatMap((entry) => list(record(entry)['changes']))
    .filter((change) => record(change)['field'] === 'leadgen')
    .map((change) => text(record(record(change)['value'])['leadgen_id']))
    .filter((id) => /^\d{1,30}$/.test(id))
}

/** What Meta's graph tells of a lead; null where it tells none. */
export function metaLead(body: unknown, names: FieldNames): Readonly<Record<string, string>> | null {
  const { id, field_data } = record(body)
  if (text(id) === '' || !Array.isArray(field_data)) return null
  const answers = field_data.map((one) => {
    const { name, values } = record(one)
    return { name: text(name), value: list(values).map(text).join('|') }
  })
  return { ...fieldsOf(answers, names), lead_ref: text(id) }
}

const given = (fields: Fields): Fields => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
