/** The shape of what is known of a server's health, in the configuration file. */
import { object, opt, whole } from './schema-words.ts'

export const HealthShape = object({
  failures: opt(whole(1, 10, 'failures among ten requests')),
  retry_ms: opt(whole(100, 3_600_000, 'milliseconds')),
  retry_max_ms: opt(whole(100, 3_600_000, 'milliseconds')),
  pings: opt(whole(1, 10_000, 'pings under way')),
  posts: opt(whole(1, 10_000, 'posts under way')),
})
