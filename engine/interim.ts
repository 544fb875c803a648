/** Interim. */
import { sql } from 'kysely'
import type { PostAnswer } from '../buyers/adapter.ts'
import type { LiveLead } from './live.ts'
export class Recovery {
  o: any
  constructor(o: any) {
    this.o = o
  }
  async rebuild(): Promise<void> {
    const { db, hot, snapshot } = this.o
    const r = await sql<{ epoch: number }>`update hot_store set epoch = epoch + 1 returning epoch`.execute(db)
    const s = snapshot()
    const tags = [
      ...[...s.buyers.keys()].map((b: string) => `b:${b}`),
      ...[...s.sources.keys()].map((b: string) => `s:${b}`),
      ...[...s.campaigns.keys()].map((b: string) => `c:${b}`),
    ]
    await hot.restore({ epoch: r.rows[0]!.epoch, committed: [], tokens: [], sold: [], tags })
  }
  lateReply(_l: LiveLead, _s: number, _a: PostAnswer): void {}
  givenUp(_l: LiveLead): void {}
  async stop(): Promise<void> {}
}
