/** The configuration as the ledger keeps it: who published what, the draft, the sealed secrets, the audit. */
import { type Kysely, sql } from 'kysely'

const CONFIGURATION = `
  alter table versions add column published_by text not null default 'configuration file';
  alter table versions add column note text;
  -- True where its secrets lie in \`secrets\`, and stand-ins in the text.
  alter table versions add column sealed boolean not null default false;

  -- Each secret of any configuration once, under its stand-in: a keyed digest of it.
  create table secrets (
    name text primary key,
    sealed bytea not null,
    wrapped bytea not null,
    key_version integer not null,
    kept_at timestamptz not null default now()
  );

  -- What operators have changed and not published yet. \`base\` is the version that it was taken from.
  create table draft (
    singleton boolean primary key default true check (singleton),
    base bigint not null,
    canonical text not null,
    revision bigint not null,
    changed_at timestamptz not null default now(),
    changed_by text not null
  );

  -- Who changed what. Rows are added and never changed: the rules below turn every change into nothing.
  create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    role text not null,
    action text not null,
    subject text not null,
    changes json not null,
    version bigint
  );
  create rule audit_is_kept as on update to audit do instead nothing;
  create rule audit_is_never_deleted as on delete to audit do instead nothing;

  -- When a key was used last, to the minute.
  create table key_uses (
    sha256 text primary key,
    used_at timestamptz not null
  );
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(CONFIGURATION).execute(db)
}
