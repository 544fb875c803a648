/** The ledger's tables. */
import { type Kysely, sql } from 'kysely'

/**
 * What belongs to a lead lies in daily range partitions by the lead's own id, a UUIDv7: the id says when it came, so a
 * look-up by id finds its day, an index that is unique within a partition is unique altogether, and a day is dropped
 * whole. Moments are `timestamptz`, money is in micros.
 */
const TABLES = `
  -- Every start of an engine process. A fenced one never writes an INTENT again.
  create table engines (
    id integer generated always as identity primary key,
    host text not null,
    pid integer not null,
    started_at timestamptz not null default now(),
    beat_at timestamptz not null default now(),
    fenced_at timestamptz,
    fenced_by integer
  );

  -- The hot store as the ledger knows it: its epoch, the instance that was restored under it, and the versions of the
  -- configuration whose caps were counted then.
  create table hot_store (
    singleton boolean primary key default true check (singleton),
    epoch bigint not null default 0,
    run_id text,
    versions bigint[] not null default '{}',
    restored_at timestamptz
  );
  insert into hot_store default values;

  create table versions (
    number bigint primary key,
    canonical text not null,
    created_at timestamptz not null default now()
  );

  create table leads (
    id uuid primary key,
    campaign text not null,
    source text not null,
    version bigint not null,
    mode text not null check (mode in ('sync', 'async')),
    test boolean not null,
    received_at timestamptz not null,
    lead_ref text,
    keyed boolean not null,
    fingerprints text[] not null,
    bound_for_ms bigint not null,
    currency text not null,
    sealed bytea not null,
    owner integer not null,
    term integer not null default 1,
    -- Null while it is being decided.
    status text check (status in ('sold', 'unsold', 'duplicate', 'expired', 'pending', 'review')),
    payout bigint not null default 0,
    copies integer not null default 0,
    reasons text[] not null default '{}',
    redirect_url text,
    trace text,
    decided_at timestamptz
  ) partition by range (id);
  alter table leads alter column sealed set storage external;
  create index leads_undecided on leads (owner) where status is null;
  create index leads_pending on leads (id) where status = 'pending';

  -- Each lead's own key, wrapped. Deleting the row erases what the lead said, here and in every backup of the rest.
  create table lead_keys (
    lead_id uuid primary key,
    wrapped bytea not null,
    key_version integer not null
  ) partition by range (lead_id);

  create table intents (
    lead_id uuid not null,
    contract text not null,
    term integer not null,
    attempt integer not null,
    buyer text not null,
    copy integer not null,
    state text not null check (state in ('open', 'in_doubt', 'accepted', 'rejected', 'not_sent')),
    -- What was offered and held; \`price\` is what is paid, which an acceptance may lower.
    bid bigint not null,
    price bigint not null,
    payout bigint not null,
    held_at timestamptz not null,
    post_by timestamptz not null,
    post_ms integer not null,
    in_doubt text not null check (in_doubt in ('hold_unbilled', 'assume_sold', 'timeout_is_no_sale')),
    places json not null,
    epoch bigint not null,
    engine integer not null,
    created_at timestamptz not null default now(),
    reason text,
    reason_name text,
    -- Why it fell into doubt, where it ever did.
    doubt text,
    doubted_at timestamptz,
    buyer_reference text,
    redirect_url text,
    price_cut boolean not null default false,
    ended_at timestamptz,
    primary key (lead_id, contract, term, attempt)
  ) partition by range (lead_id);
  -- The two indexes that forbid a second sale: of one copy, and to one buyer.
  create unique index intents_copy on intents (lead_id, copy) where state in ('open', 'in_doubt', 'accepted');
  create unique index intents_buyer on intents (lead_id, buyer) where state in ('open', 'in_doubt', 'accepted');
  create index intents_live on intents (state, lead_id) where state in ('open', 'in_doubt');

  create table sales (
    lead_id uuid not null,
    copy integer not null,
    contract text not null,
    buyer text not null,
    campaign text not null,
    source text not null,
    price bigint not null,
    payout bigint not null,
    currency text not null,
    price_cut boolean not null,
    buyer_reference text,
    held_at timestamptz not null,
    sold_at timestamptz not null default now(),
    primary key (lead_id, copy)
  ) partition by range (lead_id);

  -- Double entry: the rows of one cause and copy add up to zero. A buyer's debit is negative.
  create table entries (
    lead_id uuid not null,
    copy integer not null,
    cause text not null,
    account text not null,
    amount bigint not null,
    currency text not null,
    entered_at timestamptz not null default now(),
    primary key (lead_id, copy, cause, account)
  ) partition by range (lead_id);

  create table invalid_attempts (
    id uuid primary key,
    campaign text not null,
    source text not null,
    received_at timestamptz not null,
    issues text not null,
    sealed bytea not null
  ) partition by range (id);
  alter table invalid_attempts alter column sealed set storage external;

  create table idempotency (
    key text primary key,
    body_hash text not null,
    lead_id uuid not null,
    bound_at timestamptz not null default now()
  );

  -- Fingerprints of leads that were sold or are in doubt.
  create table fingerprints (
    fingerprint text primary key,
    lead_id uuid not null,
    until timestamptz not null
  );

  -- Leads by status (kind 'lead', no contract) and seats by outcome, by hour. Each engine has rows of its own: sum them.
  create table rollups (
    hour timestamptz not null,
    engine integer not null,
    campaign text not null,
    source text not null,
    contract text not null,
    kind text not null,
    reason text not null,
    n bigint not null,
    primary key (hour, engine, campaign, source, contract, kind, reason)
  ) with (fillfactor = 50);

  -- What was sold, by the quarter of an hour in which it was held: every window of a cap begins at one. Sum over engines.
  create table sold_sums (
    quarter timestamptz not null,
    engine integer not null,
    campaign text not null,
    source text not null,
    buyer text not null,
    contract text not null,
    currency text not null,
    n bigint not null,
    bid bigint not null,
    price bigint not null,
    payout bigint not null,
    primary key (quarter, engine, campaign, source, buyer, contract, currency)
  ) with (fillfactor = 50);

  -- Every verdict on a doubt, and every result that contradicts what stands (applied is false: a dispute).
  create table resolutions (
    id bigint generated always as identity primary key,
    lead_id uuid not null,
    contract text not null,
    term integer not null,
    attempt integer not null,
    copy integer not null,
    verdict text not null,
    reason text not null,
    applied boolean not null,
    by text not null,
    at timestamptz not null default now()
  );
  create index resolutions_lead on resolutions (lead_id);
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db)
}
