/** One of several engines that take turns in a round-robin tier of one Redis; it tells its parent how many each contract got. */
import { openRedisStore } from '../engine/store/redis.ts'

const [url = '', prefix = '', tier = '', candidates = '[]', leads = '0'] = process.argv.slice(2)
const store = await openRedisStore({ url, prefix })
const who = JSON.parse(candidates)
const got = new Array<number>(who.length).fill(0)
for (let left = Number(leads); left > 0; left -= 50) {
  const turns = await Promise.all(Array.from({ length: Math.min(50, left) }, () => store.turn(tier, who, 1)))
  for (const [first] of turns) got[first!]!++
}
process.send!(got)
await store.close()
process.disconnect()
