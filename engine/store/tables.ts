/** The ledger's tables as Kysely sees them. Columns that only the ledger's own functions write are read-only here. */
import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely'
import type { Facts } from '../../rules/alerts.ts'
import type { PlaceGroup } from '../../rules/caps.ts'
import type { Level } from '../../rules/sightings.ts'
import type { ListHash, ListKind } from '../../rules/suppression.ts'

type ReadOnly<T> = ColumnType<T, never, never>
type Moment = ReadOnly<Date>

export type IntentState = 'open' | 'in_doubt' | 'accepted' | 'rejected' | 'not_sent'

export interface EnginesTable {
  id: GeneratedAlways<number>
  host: string
  pid: number
  started_at: Generated<Date>
  beat_at: Generated<Date>
  fenced_at: Date | null
  fenced_by: number | null
}

export interface HotStoreTable {
  singleton: Generated<boolean>
  epoch: number
  run_id: string | null
  versions: Generated<number[]>
  restored_at: Date | null
}

export interface VersionsTable {
  number: number
  /** With stand-ins for its secrets where `sealed`. */
  canonical: string
  created_at: Generated<Date>
  published_by: Generated<string>
  note: string | null
  sealed: Generated<boolean>
}

export interface SecretsTable {
  name: string
  sealed: Buffer
  wrapped: Buffer
  key_version: number
  kept_at: Generated<Date>
}

export interface DraftTable {
  singleton: Generated<boolean>
  base: number
  canonical: string
  revision: number
  changed_at: Generated<Date>
  changed_by: string
}

export interface AuditTable {
  id: GeneratedAlways<number>
  at: Generated<Date>
  actor: string
  role: string
  action: string
  subject: string
  changes: JSONColumnType<readonly string[]>
  version: number | null
}

export interface SwitchesTable {
  id: GeneratedAlways<number>
  kind: 'pause' | 'block'
  contract: string | null
  buyer: string | null
  campaign: string | null
  source: string | null
  sub: string | null
  value: string | null
  until: Date | null
  note: string | null
  set_by: string
  /** Null: it was set before roles were kept. */
  set_role: string | null
  set_at: Generated<Date>
  lifted_by: string | null
  lifted_at: Date | null
}

export interface SwitchCounterTable {
  singleton: Generated<boolean>
  n: Generated<number>
}

export interface ReportQuartersTable {
  quarter: Date
  mark: string
  undecided: number
  built_at: Generated<Date>
}

export interface KeyUsesTable {
  sha256: string
  used_at: Date
}

export interface LeadsTable {
  id: ReadOnly<string>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  version: ReadOnly<number>
  mode: ReadOnly<'sync' | 'async'>
  test: ReadOnly<boolean>
  received_at: Moment
  lead_ref: ReadOnly<string | null>
  keyed: ReadOnly<boolean>
  fingerprints: ReadOnly<string[]>
  keep_ms: ReadOnly<number>
  currency: ReadOnly<string>
  owed: ReadOnly<number>
  sealed: ReadOnly<Buffer>
  owner: ReadOnly<number>
  term: ReadOnly<number>
  status: ReadOnly<string | null>
  payout: ReadOnly<number>
  copies: ReadOnly<number>
  reasons: ReadOnly<string[]>
  redirect_url: ReadOnly<string | null>
  trace: ReadOnly<string | null>
  decided_at: ReadOnly<Date | null>
  /** It sleeps until then; null: it does not. */
  wake_at: ReadOnly<Date | null>
  /** It waited for a contract to open, and may be sold until then. */
  queue_until: ReadOnly<Date | null>
  remembers: ReadOnly<Level>
  /** How many of its copies were returned, and what was taken back from its source. */
  returned: ReadOnly<number>
  clawed_back: ReadOnly<number>
  redirects: ReadOnly<number>
  redirected_at: ReadOnly<Date | null>
}

export interface LeadKeysTable {
  lead_id: ReadOnly<string>
  wrapped: ReadOnly<Buffer>
  key_version: ReadOnly<number>
}

/** What was said to buyers about a lead: by `writeRecord`, sealed under its key. */
export interface ExchangesTable {
  lead_id: ReadOnly<string>
  piece: ReadOnly<number>
  sealed: ReadOnly<Buffer>
}

export interface IntentsTable {
  lead_id: ReadOnly<string>
  contract: ReadOnly<string>
  term: ReadOnly<number>
  attempt: ReadOnly<number>
  buyer: ReadOnly<string>
  copy: ReadOnly<number>
  state: ReadOnly<IntentState>
  bid: ReadOnly<number>
  price: ReadOnly<number>
  payout: ReadOnly<number>
  held_at: Moment
  post_by: Moment
  post_ms: ReadOnly<number>
  in_doubt: ReadOnly<'hold_unbilled' | 'assume_sold' | 'timeout_is_no_sale'>
  places: JSONColumnType<PlaceGroup[], never, never>
  epoch: ReadOnly<number>
  engine: ReadOnly<number>
  created_at: Moment
  reason: ReadOnly<string | null>
  reason_name: ReadOnly<string | null>
  doubt: ReadOnly<string | null>
  doubted_at: ReadOnly<Date | null>
  buyer_reference: ReadOnly<string | null>
  redirect_url: ReadOnly<string | null>
  price_cut: ReadOnly<boolean>
  ended_at: ReadOnly<Date | null>
}

export interface SalesTable {
  lead_id: ReadOnly<string>
  copy: ReadOnly<number>
  contract: ReadOnly<string>
  buyer: ReadOnly<string>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  price: ReadOnly<number>
  payout: ReadOnly<number>
  currency: ReadOnly<string>
  price_cut: ReadOnly<boolean>
  buyer_reference: ReadOnly<string | null>
  held_at: Moment
  sold_at: Moment
}

export interface EntriesTable {
  lead_id: ReadOnly<string>
  copy: ReadOnly<number>
  cause: ReadOnly<string>
  account: ReadOnly<string>
  amount: ReadOnly<number>
  currency: ReadOnly<string>
  entered_at: Moment
}

export interface OffersTable {
  id: ReadOnly<string>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  version: ReadOnly<number>
  test: ReadOnly<boolean>
  currency: ReadOnly<string>
  bids: JSONColumnType<object[], never, never>
  /** The lead that it was made for, where it stands for another offer. */
  after_lead: ReadOnly<string | null>
  trace: ReadOnly<string>
}

export interface DispositionsTable {
  lead_id: ReadOnly<string>
  copy: ReadOnly<number>
  contract: ReadOnly<string>
  buyer: ReadOnly<string>
  status: ReadOnly<string>
  value: ReadOnly<number | null>
  at: Moment
  heard_at: Moment
}

export interface InvalidAttemptsTable {
  id: ReadOnly<string>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  received_at: Moment
  issues: ReadOnly<string>
  sealed: ReadOnly<Buffer>
}

export interface IdempotencyTable {
  key: ReadOnly<string>
  body_hash: ReadOnly<string>
  lead_id: ReadOnly<string>
  bound_at: Moment
}

export interface SightingsTable {
  lead_id: ReadOnly<string>
  campaign: ReadOnly<string>
  fingerprints: ReadOnly<string[]>
  level: ReadOnly<Level>
  sold: ReadOnly<string[]>
  asked: ReadOnly<string[]>
  at: Moment
  until: Moment
}

export interface ListsTable {
  name: string
  kind: ListKind
  hash: ListHash | null
  generation: Generated<number>
  entries: number
  imported_at: Generated<Date>
}

export interface ListPartsTable {
  list: string
  part: number
  numbers: Buffer
}

export interface RollupsTable {
  hour: Moment
  engine: ReadOnly<number>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  contract: ReadOnly<string>
  kind: ReadOnly<string>
  reason: ReadOnly<string>
  n: ReadOnly<number>
}

export interface SoldSumsTable {
  quarter: Moment
  engine: ReadOnly<number>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  buyer: ReadOnly<string>
  contract: ReadOnly<string>
  currency: ReadOnly<string>
  n: ReadOnly<number>
  bid: ReadOnly<number>
  price: ReadOnly<number>
  payout: ReadOnly<number>
}

export interface BalancesTable {
  buyer: ReadOnly<string>
  currency: ReadOnly<string>
  seq: ReadOnly<number>
  total: ReadOnly<number>
}

export interface BalanceEntriesTable {
  buyer: ReadOnly<string>
  currency: ReadOnly<string>
  seq: ReadOnly<number>
  cause: ReadOnly<'deposit' | 'withdrawal' | 'return' | 'adjustment' | 'price_cut'>
  amount: ReadOnly<number>
  total: ReadOnly<number>
  reference: ReadOnly<string | null>
  lead_id: ReadOnly<string | null>
  note: ReadOnly<string | null>
  by: ReadOnly<string>
  at: Moment
}

export interface EventsTable {
  id: GeneratedAlways<number>
  at: Moment
  alert: ReadOnly<string | null>
  kind: ReadOnly<string>
  subject: ReadOnly<string>
  episode: ReadOnly<string>
  data: ReadOnly<Facts>
  seen_at: Moment
  ended_at: Date | null
  acknowledged_at: Date | null
  acknowledged_by: string | null
}

export interface AlertLettersTable {
  id: ReadOnly<string>
  alert: ReadOnly<string>
  recipient: ReadOnly<string>
  events: ReadOnly<number[]>
  queued_at: Moment
  due_at: Moment
  attempts: ReadOnly<number>
  failure: ReadOnly<string | null>
  sent_at: ReadOnly<Date | null>
  dead_at: ReadOnly<Date | null>
}

export interface BreakersTable {
  engine: number
  buyer: string
  kind: string
  origin: string
  opened_at: Generated<Date>
}

export interface AlertWatchTable {
  singleton: Generated<boolean>
  version: number
}

export interface ResolutionsTable {
  id: GeneratedAlways<number>
  lead_id: ReadOnly<string>
  contract: ReadOnly<string>
  term: ReadOnly<number>
  attempt: ReadOnly<number>
  copy: ReadOnly<number>
  verdict: ReadOnly<string>
  reason: ReadOnly<string>
  applied: ReadOnly<boolean>
  by: ReadOnly<string>
  at: Moment
}

export type ReturnState = 'asked' | 'approved' | 'refused'

export interface ReturnsTable {
  id: ReadOnly<string>
  lead_id: ReadOnly<string>
  contract: ReadOnly<string>
  copy: ReadOnly<number>
  buyer: ReadOnly<string>
  campaign: ReadOnly<string>
  source: ReadOnly<string>
  currency: ReadOnly<string>
  price: ReadOnly<number>
  held_at: Moment
  sold_at: Moment
  reason_code: ReadOnly<string>
  note: ReadOnly<string | null>
  state: ReadOnly<ReturnState>
  clawback_from: ReadOnly<'source' | 'us'>
  beyond_terms: ReadOnly<boolean>
  asked_by: ReadOnly<string>
  asked_at: Moment
  decided_by: ReadOnly<string | null>
  decided_at: ReadOnly<Date | null>
  verdict_note: ReadOnly<string | null>
  clawback: ReadOnly<number>
}

export interface LateQuartersTable {
  quarter: Date
  n: number
}

export interface RetentionTable {
  singleton: Generated<boolean>
  kept_from: ReadOnly<string | null>
}

export interface CarriedTable {
  account: ReadOnly<string>
  currency: ReadOnly<string>
  amount: ReadOnly<number>
}

export interface LedgerTables {
  engines: EnginesTable
  hot_store: HotStoreTable
  versions: VersionsTable
  secrets: SecretsTable
  draft: DraftTable
  audit: AuditTable
  key_uses: KeyUsesTable
  switches: SwitchesTable
  report_quarters: ReportQuartersTable
  switch_counter: SwitchCounterTable
  leads: LeadsTable
  lead_keys: LeadKeysTable
  post_exchanges: ExchangesTable
  ping_exchanges: ExchangesTable
  intents: IntentsTable
  sales: SalesTable
  entries: EntriesTable
  dispositions: DispositionsTable
  invalid_attempts: InvalidAttemptsTable
  offers: OffersTable
  idempotency: IdempotencyTable
  sightings: SightingsTable
  lists: ListsTable
  list_parts: ListPartsTable
  rollups: RollupsTable
  sold_sums: SoldSumsTable
  resolutions: ResolutionsTable
  balances: BalancesTable
  balance_entries: BalanceEntriesTable
  events: EventsTable
  returns: ReturnsTable
  late_quarters: LateQuartersTable
  alert_letters: AlertLettersTable
  breakers: BreakersTable
  alert_watch: AlertWatchTable
  retention: RetentionTable
  carried: CarriedTable
}
