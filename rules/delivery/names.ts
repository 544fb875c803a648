/** Which names a field map may use: the campaign's fields and what the engine knows beside them, by what a ping may show. */
import { type Check, checkField } from '../configuration/check.ts'
import type { DeliveryFile } from '../configuration/delivery-schema.ts'
import type { Draft } from '../configuration/schema.ts'
import { fieldType } from '../fields.ts'
import { TRACKING_FIELDS, type Vertical } from '../verticals.ts'
import { FACTS, type Fact, type Name, type Reader, SIGNED_FACTS, type SignedFact, type Slot } from './placeholder.ts'
import type { Scalar } from './transforms.ts'

/** What only a post can know. */
const OF_POSTS: ReadonlySet<Fact> = new Set(['price', 'buyer_reference'])
/** What may leave in a ping as a hash, where a map names it. */
const HASHED: ReadonlySet<string> = new Set(['phone', 'email'])

export interface Names extends Reader {
  /** Every field of the lead that was named, in the order of first mention. */
  readonly used: ReadonlySet<string>
  /** Every check whose output was named. */
  readonly checks: ReadonlySet<string>
  /** What else was named, such as `source`. */
  readonly facts: ReadonlySet<Fact>
}

/** A reader for the texts of one message. `signing`: the text of a signature, which knows what is signed. */
export function namesOf(
  check: Check,
  kind: 'ping' | 'post',
  delivery: Draft<DeliveryFile>,
  vertical: Vertical,
  signing = false,
): Names {
  const used = new Set<string>()
  const checks = new Set<string>()
  const facts = new Set<Fact>()
  const typeOf = (field: string): string => vertical.fields.find((one) => one.name === field)?.type ?? ''
  return {
    used,
    checks,
    facts,
    tables: tablesOf(delivery),
    keys: (delivery.keys ?? {}) as Readonly<Record<string, string | undefined>>,
    hint: check.hint,
    fault: check.fault,
    spread: spreadOf(kind, delivery, vertical),
    nameOf: (word, path, optional) => {
      const heard = optional ? { ...check, fault: () => {} } : check
      if (word.startsWith('key.')) return keyOf(heard, delivery, word, path)
      if (optional && kind === 'ping' && vertical.fields.some((field) => field.name === word && !field.ping))
        return null
      return nameOf(heard, kind, vertical, signing, word, path)
    },
    isPhone: (name) => 'field' in name && name.part === null && typeOf(name.field) === 'phone',
    seen: (slot, path) => {
      for (const name of slot.names) {
        if ('output' in name) checks.add(name.output.slice(0, name.output.indexOf('.')))
        if ('fact' in name) facts.add(name.fact)
        if (!('field' in name)) continue
        used.add(name.field)
        if (kind === 'ping') checkPingable(check, vertical, slot, name.field, path)
      }
    },
  }
}

/** What our own shape would send: the fields that are named for it, else all of them, but in a ping none. */
function spreadOf(kind: 'ping' | 'post', delivery: Draft<DeliveryFile>, vertical: Vertical): readonly string[] {
  const named = (kind === 'ping' ? delivery.ping_fields : delivery.post_fields)?.flatMap((name) => name ?? [])
  if (named) return named.filter((name) => vertical.fields.some((field) => field.name === name))
  if (kind === 'ping') return []
  return vertical.fields.filter((field) => !TRACKING_FIELDS.has(field.name)).map((field) => field.name)
}

/** `{key.mine}`: a key of the delivery, which a store and a page keep to themselves, other than what a body says in the clear. */
function keyOf(check: Check, { keys = {} }: Draft<DeliveryFile>, word: string, path: string): Name | null {
  const name = word.slice('key.'.length)
  const key = Object.hasOwn(keys, name) ? keys[name] : undefined
  if (key !== undefined) return { key }
  check.fault(path, `there is no key "${name}" in delivery.keys.${check.hint(name, () => Object.keys(keys))}`)
  return null
}

function tablesOf(delivery: Draft<DeliveryFile>): Reader['tables'] {
  return (delivery.tables ?? {}) as Readonly<Record<string, Readonly<Record<string, Scalar>>>>
}

function nameOf(
  check: Check,
  kind: 'ping' | 'post',
  vertical: Vertical,
  signing: boolean,
  word: string,
  path: string,
): Name | null {
  const fact = FACTS.find((one) => one === word)
  if (fact !== undefined) {
    if (kind === 'post' || !OF_POSTS.has(fact)) return { fact }
    check.fault(path, `{${fact}} is not known before the post: take it out of the ping.`)
    return null
  }
  const signed = SIGNED_FACTS.find((one) => one === word)
  if (signed !== undefined && signing) return { signed: signed satisfies SignedFact }
  if (word === '' || /[^A-Za-z0-9_.]/.test(word)) {
    check.fault(path, 'holds a placeholder without a name: write {field}, and {{ or }} for a brace itself.')
    return null
  }
  if (check.made.outputs.has(word)) return { output: word }
  const [head = '', part = null, ...more] = word.split('.')
  const field = vertical.fields.find((one) => one.name === head)
  if (!field) {
    checkField(check, path, head, vertical)
    return null
  }
  const { parts } = fieldType(field.type)
  if (part !== null && (more.length > 0 || !Object.hasOwn(parts, part))) {
    check.fault(path, `"${head}" has no part "${part}".${check.hint(part, () => Object.keys(parts))}`)
    return null
  }
  return { field: head, part }
}

/** A ping shows what its vertical lets it show, and a phone or an email as a hash only. */
function checkPingable(check: Check, vertical: Vertical, slot: Slot, name: string, path: string): void {
  const field = vertical.fields.find((one) => one.name === name)!
  if (field.ping) return
  const mayBeHashed = HASHED.has(field.type)
  if (mayBeHashed && slot.stages.some((stage) => stage.do === 'hash')) return
  const way = mayBeHashed ? `take it out, or send its hash: {${name} | sha256}` : 'take it out; the post carries it'
  check.fault(path, `"${name}" may not leave in a ping of the vertical ${vertical.id}: ${way}.`)
}
