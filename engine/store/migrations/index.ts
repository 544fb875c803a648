/** The migrations in their order. Append; a migration that has run anywhere is never changed. */
import type { Migration } from 'kysely/migration'
import * as tables from './0001_tables.ts'
import * as writes from './0002_writes.ts'
import * as ends from './0003_ends.ts'

export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_tables': tables,
  '0002_writes': writes,
  '0003_ends': ends,
}
