/** What proves a lead: every byte that was said to buyers about it, and what its consumer was shown and agreed to. */
import { type Kysely, sql } from 'kysely'
import { CONSENT_FIELDS } from '../../rules/fields.ts'
import { leadFromJson } from '../../rules/lead.ts'
import type { LeadKey, Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { isCut, type KeptExchange, readRecord } from './record.ts'

type Db = Kysely<LedgerTables>

/** What went one way. `text` where it is UTF-8, else `base64`. */
export interface Bytes {
  /** That went over the wire. */
  readonly bytes: number
  /** True where only the beginning was kept. */
  readonly cut: boolean
  readonly text: string | null
  readonly base64: string | null
}

export interface ExchangePage {
  readonly kind: KeptExchange['kind']
  readonly contract: string
  readonly buyer: string
  readonly at: string
  readonly took_ms: number
  readonly end: string
  readonly sent: Bytes
  readonly heard: Bytes
}

export interface ExchangesPage {
  readonly lead_id: string
  readonly erased: boolean
  /** In the order in which they began. */
  readonly exchanges: readonly ExchangePage[]
}

export interface EvidencePage {
  readonly lead_id: string
  readonly erased: boolean
  readonly campaign: string
  readonly source: string
  readonly lead_ref: string | null
  readonly received_at: string
  /** What the consumer was shown and said, from where: `given` as the source sent it. */
  readonly evidence: Readonly<Record<string, { readonly given: string; readonly read: unknown } | null>>
  /** Every field as the source sent it, sub-ids and unknown ones too. */
  readonly fields: Readonly<Record<string, string>>
  /** To whom the whole lead was sent, and when. */
  readonly sent_to: readonly {
    readonly contract: string
    readonly buyer: string
    readonly at: string
    readonly state: string
  }[]
}

/** Null: no lead has this id. */
export async function leadExchanges(db: Db, sealer: Sealer, leadId: string): Promise<ExchangesPage | null> {
  const lead = await db.selectFrom('leads').select('id').where('id', '=', leadId).executeTakeFirst()
  if (!lead) return null
  const key = await keyOf(db, sealer, leadId)
  if (key === null) return { lead_id: leadId, erased: true, exchanges: [] }
  const kept = new Map<string, KeptExchange>()
  for (const record of [...(await recordsOf(db, leadId, key)), ...(await recordsOfOffer(db, sealer, leadId))]) {
    for (const one of readRecord(record)) {
      const name = `${one.at} ${one.kind} ${one.contract}`
      const known = kept.get(name)
      if (known === undefined || isLater(one, known)) kept.set(name, one)
    }
  }
  const inOrder = [...kept.values()].sort((a, b) => a.at - b.at)
  return { lead_id: leadId, erased: false, exchanges: inOrder.map(exchangePage) }
}

/** One exchange may have been written twice: while it was under way, and when it had ended. */
const isLater = (one: KeptExchange, known: KeptExchange): boolean =>
  known.end === null || (one.end !== null && one.tookMs > known.tookMs)

/** Null where its person was erased. */
export async function keyOf(db: Db, sealer: Sealer, leadId: string): Promise<LeadKey | null> {
  const row = await db.selectFrom('lead_keys').selectAll().where('lead_id', '=', leadId).executeTakeFirst()
  if (!row) return null
  return sealer.keyOf(leadId, { wrappedKey: row.wrapped.toString('base64'), keyVersion: row.key_version })
}

async function recordsOf(db: Db, leadId: string, key: LeadKey): Promise<readonly Buffer[]> {
  const of = (table: 'ping_exchanges' | 'post_exchanges') =>
    db.selectFrom(table).select('sealed').where('lead_id', '=', leadId).execute()
  const [pings, posts] = await Promise.all([of('ping_exchanges'), of('post_exchanges')])
  return [...pings, ...posts].map(({ sealed }) => key.openExchanges(sealed))
}

/** The pings that brought the offer which the lead came for. */
async function recordsOfOffer(db: Db, sealer: Sealer, leadId: string): Promise<readonly Buffer[]> {
  const { rows } = await sql<{ id: string | null }>`select offer_of_lead(${leadId})->>'id' as id`.execute(db)
  const id = rows[0]?.id ?? null
  const key = id === null ? null : await keyOf(db, sealer, id)
  return id === null || key === null ? [] : recordsOf(db, id, key)
}

function exchangePage(kept: KeptExchange): ExchangePage {
  const cut = isCut(kept)
  return {
    kind: kept.kind,
    contract: kept.contract,
    buyer: kept.buyer,
    at: new Date(kept.at).toISOString(),
    took_ms: kept.tookMs,
    end: kept.end ?? 'under way',
    sent: bytesPage(kept.sent, kept.sentBytes, cut.sent),
    heard: bytesPage(kept.heard, kept.heardBytes, cut.heard),
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function bytesPage(kept: string, bytes: number, cut: boolean): Bytes {
  const raw = Buffer.from(kept, 'latin1')
  try {
    return { bytes, cut, text: UTF8.decode(raw), base64: null }
  } catch {
    return { bytes, cut, text: null, base64: raw.toString('base64') }
  }
}

/** Null: no lead has this id. */
export async function leadEvidence(db: Db, sealer: Sealer, leadId: string): Promise<EvidencePage | null> {
  const row = await db
    .selectFrom('leads as l')
    .leftJoin('lead_keys as k', 'k.lead_id', 'l.id')
    .select(['l.campaign', 'l.source', 'l.lead_ref', 'l.received_at', 'l.sealed', 'k.wrapped', 'k.key_version'])
    .where('l.id', '=', leadId)
    .executeTakeFirst()
  if (!row) return null
  const intents = await db
    .selectFrom('intents')
    .select(['contract', 'buyer', 'created_at', 'state'])
    .where('lead_id', '=', leadId)
    .where('state', '<>', 'not_sent')
    .orderBy('created_at')
    .execute()
  const { campaign, source, lead_ref, received_at, sealed, wrapped, key_version: keyVersion } = row
  const isErased = wrapped === null || keyVersion === null
  const said = isErased
    ? { evidence: {}, fields: {} }
    : saidIn(
        sealer.open(leadId, {
          sealed: sealed.toString('base64'),
          wrappedKey: wrapped.toString('base64'),
          keyVersion,
        }),
      )
  return {
    ...{ lead_id: leadId, erased: isErased, campaign, source, lead_ref, received_at: received_at.toISOString() },
    ...said,
    sent_to: intents.map(({ created_at, ...one }) => ({ ...one, at: created_at.toISOString() })),
  }
}

function saidIn(text: string): Pick<EvidencePage, 'evidence' | 'fields'> {
  const { values, unknown, subs } = leadFromJson(text)
  const evidence = Object.fromEntries(
    [...CONSENT_FIELDS].map((name) => {
      const value = values.get(name)
      return [name, value === undefined ? null : { given: value.raw, read: value.normal }]
    }),
  )
  const given = [...values].map(([name, { raw }]): [string, string] => [name, raw])
  return { evidence, fields: Object.fromEntries([...given, ...Object.entries(subs), ...Object.entries(unknown)]) }
}

/** `OPEN`: it is being decided, and its buyers are being told of it: ask again. Done again, it changes nothing. */
export type Erased = 'ERASED' | 'OPEN' | 'UNKNOWN'

/** Destroys what is known of a lead's person: its key, and with it everything that is sealed under it. */
export async function eraseLead(db: Db, leadId: string): Promise<Erased> {
  const { rows } = await sql<{ answer: Erased }>`select erase_lead(${leadId}) as answer`.execute(db)
  return rows[0]!.answer
}
