/** Suppression lists that were imported: keyed digests, never entries. */
import { type Kysely, sql } from 'kysely'

const LISTS = `
  create table lists (
    name text primary key,
    kind text not null,
    -- Grows with each import: a process that has another one reads the list again.
    generation bigint not null default 1,
    entries integer not null,
    imported_at timestamptz not null default now()
  );

  -- Numbers of 48 bits as 8-byte floats, in parts of a megabyte.
  create table list_parts (
    list text not null references lists (name) on delete cascade,
    part integer not null,
    numbers bytea not null,
    primary key (list, part)
  );
  alter table list_parts alter column numbers set storage external;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(LISTS).execute(db)
}
