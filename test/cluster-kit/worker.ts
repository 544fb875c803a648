/** A worker as small as can be: it answers who it is, late where it is asked to, and drains on SIGTERM. */
import { systemClock } from '../../engine/clock.ts'
import { joinPrimary } from '../../engine/cluster.ts'
import { createEdge } from '../../engine/edge.ts'
import { createMetrics } from '../../engine/metrics.ts'

if (process.env['FAIL']) process.exit(4)
const metrics = createMetrics()
let reloads = 0
const edge = await createEdge({
  host: '127.0.0.1',
  port: Number(process.env['PORT']),
  shared: true,
  clock: systemClock(),
  handler: (request) => {
    metrics.lead('sold')
    const reply = { status: 200, body: JSON.stringify({ pid: process.pid, reloads }) }
    const late = Number(request.query.get('late') ?? 0)
    return late === 0 ? reply : new Promise((resolve) => setTimeout(() => resolve(reply), late))
  },
  ready: () => true,
  overloaded: () => false,
  answered: () => {},
  fault: () => {},
})
process.on('SIGHUP', () => reloads++)
process.on('SIGTERM', async () => {
  edge.stopListening()
  await edge.drained()
  process.exit(0)
})
joinPrimary({ metrics: () => metrics.json(), status: async () => ({ pid: process.pid, pending: edge.pending() }) })
