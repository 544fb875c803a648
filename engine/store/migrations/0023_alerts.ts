/** Alerts: events begin and end, are told by letters out of an outbox, and engines say whom they leave alone; lists say how they are hashed. */
import { type Kysely, sql } from 'kysely'

const ALERTS = `
  -- A low balance is an event of its alert now.
  alter table balances drop column low;

  alter table events
    -- Null: it is of a time before alerts were.
    add column alert text,
    -- What tells two events of one subject apart: the window of a cap, the address of a server.
    add column episode text not null default '',
    add column seen_at timestamptz not null default now(),
    add column ended_at timestamptz,
    add column acknowledged_at timestamptz,
    add column acknowledged_by text;
  update events set ended_at = at, seen_at = at;
  -- Whoever finds it first begins it; while it is open, nobody does so again.
  create unique index events_open on events (alert, subject, episode) where ended_at is null;
  create index events_ended on events (ended_at) where ended_at is not null;

  create table alert_letters (
    id uuid primary key default gen_random_uuid(),
    alert text not null,
    recipient text not null,
    events bigint[] not null,
    queued_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    sent_at timestamptz,
    dead_at timestamptz
  );
  create index alert_letters_due on alert_letters (due_at) where sent_at is null and dead_at is null;
  create index alert_letters_dead on alert_letters (dead_at) where dead_at is not null;
  create index alert_letters_sent on alert_letters (sent_at) where sent_at is not null;
  create index alert_letters_events on alert_letters using gin (events) with (fastupdate = off);

  -- Servers of buyers that an engine leaves alone, each in its own rows.
  create table breakers (
    engine integer not null,
    buyer text not null,
    kind text not null,
    origin text not null,
    opened_at timestamptz not null default now(),
    primary key (engine, buyer, kind, origin)
  );

  -- The newest version whose alerts were watched: an older one is not watched any more.
  create table alert_watch (
    singleton boolean primary key default true check (singleton),
    version bigint not null default 0
  );
  insert into alert_watch default values;

  -- How a list's entries are hashed, where its import said so; null: not at all, or it is of before this column.
  alter table lists add column hash text;

  -- What stands in the query of an address is a secret now: the next start seals it.
  update versions set sealed = false where canonical like '%?%';
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(ALERTS).execute(db)
}
