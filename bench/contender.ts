/** What the bench's child processes share: their settings, and the questions that they answer their parent. */

export interface BuyerAddress {
  readonly origin: string
  readonly pingPath: string
  readonly postPath: string
}

/** Who is asked, by campaign. */
export type CampaignBuyers = Readonly<Record<string, readonly BuyerAddress[]>>

export interface ContenderSettings {
  readonly port: number
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly buyers: CampaignBuyers
}

/** Path under which every contender takes a campaign's leads. */
export const leadsPath = (campaign: string): string => `/v1/campaigns/${campaign}/leads`

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
    buyers: JSON.parse(need('BUYERS')) as CampaignBuyers,
  }
}

/** Microseconds of CPU that this process has used so far, user and system. */
export function cpuUs(): number {
  const used = process.cpuUsage()
  return used.user + used.system
}

/** Says that the process is ready at `url`, answers its parent's questions by name, and ends with it. */
export function reportReady(url: string, answers: Readonly<Record<string, () => unknown>>): void {
  process.on('message', (question) => process.send?.({ answer: answers[String(question)]?.() ?? null }))
  process.on('disconnect', () => process.exit(0))
  console.log(`ready ${url}`)
}
