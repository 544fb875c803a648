/** Offers: what sources were told for their pings. */
import { type Kysely, sql } from 'kysely'

/**
 * Partitioned by its own id like a lead. An offer is used once: the lead that comes for it binds the key `ping:...` in
 * `idempotency`, in the transaction that receives it.
 */
const OFFERS = `
  create table offers (
    id uuid primary key,
    campaign text not null,
    source text not null,
    version bigint not null,
    test boolean not null,
    offered_at timestamptz not null,
    expires_at timestamptz not null,
    payout bigint not null,
    currency text not null,
    shortfall text not null check (shortfall in ('eat_to_zero_margin', 'reject', 'reoffer')),
    choice boolean not null,
    -- Best first: id, contract, price, buyerReference, expiresAt, payout.
    bids json not null,
    declined json not null,
    -- Names of the fields that were pinged, and the keyed hash of their values.
    fields text[] not null,
    fields_hash text not null,
    after_lead uuid,
    trace text not null
  ) partition by range (id);
  create index offers_after on offers (after_lead) where after_lead is not null;
  -- Which offer a lead came for: recovery asks.
  create index idempotency_pings on idempotency (lead_id) where key like 'ping:%';
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(OFFERS).execute(db)
}
