/** The migrations of the tables in their order. Append; a migration that has run anywhere is never changed. Functions are not migrated: see `functions/`. */
import type { Migration } from 'kysely/migration'
import * as tables from './0001_tables.ts'
import * as rolling from './0004_rolling.ts'
import * as balances from './0005_balances.ts'
import * as queue from './0005_queue.ts'
import * as sightings from './0006_sightings.ts'
import * as lists from './0007_lists.ts'
import * as offers from './0008_offers.ts'
import * as postbacks from './0009_postbacks.ts'
import * as inquiries from './0010_inquiries.ts'
import * as configuration from './0012_configuration.ts'
import * as switches from './0013_switches.ts'
import * as search from './0014_search.ts'
import * as redirects from './0015_redirects.ts'
import * as retention from './0016_retention.ts'
import * as owed from './0017_owed.ts'
import * as reports from './0019_reports.ts'
import * as returns from './0020_returns.ts'
import * as portal from './0021_portal.ts'
import * as exchanges from './0022_exchanges.ts'
import * as alerts from './0023_alerts.ts'
import * as reportSums from './0024_report_sums.ts'
import * as dispositionSums from './0028_disposition_sums.ts'
import * as checkSums from './0029_check_sums.ts'

export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_tables': tables,
  '0004_rolling': rolling,
  '0005_balances': balances,
  '0005_queue': queue,
  '0006_sightings': sightings,
  '0007_lists': lists,
  '0008_offers': offers,
  '0009_postbacks': postbacks,
  '0010_inquiries': inquiries,
  '0012_configuration': configuration,
  '0013_switches': switches,
  '0014_search': search,
  '0015_redirects': redirects,
  '0016_retention': retention,
  '0017_owed': owed,
  '0019_reports': reports,
  '0020_returns': returns,
  '0021_portal': portal,
  '0022_exchanges': exchanges,
  '0023_alerts': alerts,
  '0024_report_sums': reportSums,
  '0028_disposition_sums': dispositionSums,
  '0029_check_sums': checkSums,
}
