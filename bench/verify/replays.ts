/** Invariant 8: replaying a stored trace gives the same commands, byte for byte. */
import type { AuctionTerms, Outcome } from '../../rules/auction.ts'
import { outcomes } from '../../rules/step.ts'
import { replay, type Trace } from '../../rules/trace.ts'
import type { Dossier, Intent } from './dossiers.ts'
import { Finding } from './finding.ts'
import type { Versions } from './versions.ts'

/** Of the machine that this program has. */
const MACHINE = 1

export class ReplaysCheck {
  readonly finding = new Finding(8, 'a trace replays as it was', ['replayed', 'rows', 'without a trace'])
  readonly #versions: Versions

  constructor(versions: Versions) {
    this.#versions = versions
  }

  /** Answers how the seats ended in the replay; null where there is nothing to replay, or it failed. */
  see({ lead, intents, trace }: Dossier): ReadonlyMap<string, Outcome> | null {
    if (!trace) {
      if (lead.status !== null) this.finding.count('without a trace')
      return null
    }
    if (trace.machine !== MACHINE) {
      this.finding.count('of another machine')
      return null
    }
    if (trace.campaign !== lead.campaign || trace.source !== lead.source) {
      this.finding.violated(`lead ${lead.id}: its trace is of campaign ${trace.campaign} and source ${trace.source}`)
      return null
    }
    const terms = this.#versions.terms(trace.version, trace.campaign, trace.source)
    if (typeof terms === 'string') {
      this.finding.violated(`lead ${lead.id} cannot be replayed: ${terms}`)
      return null
    }
    this.finding.count('replayed')
    this.finding.count('rows', trace.rows.length)
    try {
      const played = replay(terms, trace)
      const differs = firstDifference(trace.rows, played.rows)
      const wrong = differs ?? untold(terms, trace, intents)
      if (wrong) this.finding.violated(`lead ${lead.id}: ${wrong}`)
      return played.state.decided && !differs ? outcomes(played.state) : null
    } catch (error) {
      this.finding.violated(`lead ${lead.id} cannot be replayed: ${(error as Error).message}`)
      return null
    }
  }

  end(): Finding {
    return this.finding
  }
}

function firstDifference(stored: Trace['rows'], played: Trace['rows']): string | null {
  for (let at = 0; at < Math.max(stored.length, played.length); at++) {
    const [was, is] = [stored[at], played[at]].map((row) => (row === undefined ? 'nothing' : JSON.stringify(row)))
    if (was !== is) return `row ${at} of its trace is ${was}, and of its replay ${is}`
  }
  return null
}

type ResultCells = readonly [seat: number, copy: number, attempt: number, ...rest: (string | number)[]]

/** A result of the trace that the ledger does not have, or has otherwise. A doubt may have been resolved since. */
function untold(terms: AuctionTerms, trace: Trace, intents: readonly Intent[]): string | null {
  for (const row of trace.rows) {
    if (row[0] !== '>result' && row[0] !== '>intent') continue
    for (const cells of row.at(-1) as unknown as readonly ResultCells[]) {
      const [seat, copy, attempt, state, , price, payout] = cells
      const { contract } = terms.seats[trace.opening.eligible[seat]!]!
      const intent = intents.find(
        (one) => one.contract === contract && one.term === trace.term && one.attempt === attempt,
      )
      const isSame = intent?.copy === copy && intent.price === price && intent.payout === payout
      if (isSame && intent.state === state) continue
      if (intent && state === 'in_doubt' && intent.doubt !== null) continue
      const told = `${state} at ${price} micros, payout ${payout}`
      return `its trace has ${contract} ${told}, and the ledger ${intent ? `${intent.state} at ${intent.price}` : 'no such post'}`
    }
  }
  return null
}
