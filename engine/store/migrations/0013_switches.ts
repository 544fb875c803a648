/** What operators switch off at once: pauses and blocks, with a counter that says when they changed. */
import { type Kysely, sql } from 'kysely'

const SWITCHES = `
  create table switches (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('pause', 'block')),
    contract text,
    buyer text,
    campaign text,
    source text,
    sub text,
    value text,
    until timestamptz,
    note text,
    set_by text not null,
    set_at timestamptz not null default now(),
    lifted_by text,
    lifted_at timestamptz
  );
  create index switches_on on switches (id) where lifted_at is null;

  -- Every process looks at this number, and reads the switches where it is another.
  create table switch_counter (
    singleton boolean primary key default true check (singleton),
    n bigint not null default 0
  );
  insert into switch_counter default values;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(SWITCHES).execute(db)
}
