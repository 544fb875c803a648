/** What the floor and the baseline share as child processes of the bench: their settings, and a report of their own CPU. */

export interface BuyerAddress {
  readonly origin: string
  readonly pingPath: string
  readonly postPath: string
}

export interface ContenderSettings {
  readonly port: number
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly buyers: readonly BuyerAddress[]
}

/** Path under which every contender takes leads. */
export const LEADS_PATH = '/v1/campaigns/solar/leads'

/** Reads PORT, DATABASE_URL, REDIS_URL and BUYERS (JSON), as the bench sets them. Throws where one is missing. */
export function contenderSettings(env: NodeJS.ProcessEnv): ContenderSettings {
  const need = (name: string): string => {
    const value = env[name]
    if (!value) throw new Error(`${name} is not set: this program is started by "npm run bench", which sets it`)
    return value
  }
  return {
    port: Number(env['PORT'] ?? 0),
    databaseUrl: need('DATABASE_URL'),
    redisUrl: need('REDIS_URL'),
    buyers: JSON.parse(need('BUYERS')) as BuyerAddress[],
  }
}

/** Says that the process is ready, answers every message of its parent with the CPU used so far, and ends with it. */
export function reportTo(parent: NodeJS.Process, port: number): void {
  parent.on('message', () => {
    const used = parent.cpuUsage()
    parent.send?.({ cpuUs: used.user + used.system })
  })
  parent.on('disconnect', () => parent.exit(0))
  console.log(`ready http://127.0.0.1:${port}`)
}
