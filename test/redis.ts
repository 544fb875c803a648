/** The tests' Redis is the bench's: rooms may only import what stands to their left. */
export * from '../bench/redis.ts'
