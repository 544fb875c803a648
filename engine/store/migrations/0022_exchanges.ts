/** What was said to buyers about a lead, byte for byte. */
import { type Kysely, sql } from 'kysely'

/** Two tables, because pings are dropped long before posts. Rows are sealed under the lead's own key: what erases the lead erases them. */
const EXCHANGES = `
  create table post_exchanges (
    lead_id uuid not null,
    piece integer not null,
    sealed bytea not null,
    primary key (lead_id, piece)
  ) partition by range (lead_id);
  alter table post_exchanges alter column sealed set storage external;

  create table ping_exchanges (
    lead_id uuid not null,
    piece integer not null,
    sealed bytea not null,
    primary key (lead_id, piece)
  ) partition by range (lead_id);
  alter table ping_exchanges alter column sealed set storage external;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(EXCHANGES).execute(db)
}
