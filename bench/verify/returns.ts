/** What is wrong with the returns of one lead: each must reverse one sale, and give back no more than was paid. */
import type { Dossier, Entry, Return } from './dossiers.ts'

export function* returnFaults({ lead, sales, entries, returns }: Dossier): Generator<string> {
  const approved = returns.filter(({ state }) => state === 'approved')
  const reversed = entries.filter(({ cause }) => cause === 'return')
  for (const one of returns) {
    const sale = sales.find(({ contract }) => contract === one.contract)
    if (!sale) yield `has a return of ${one.contract}, which did not buy it`
    else if (sale.copy !== one.copy || sale.price !== one.price || sale.buyer !== one.buyer)
      yield `has a return that is not of what ${one.contract} bought`
    yield* entryFaults(
      lead.source,
      one,
      reversed.filter(({ copy }) => copy === one.copy),
    )
  }
  for (const { copy } of reversed) {
    if (!approved.some((one) => one.copy === copy)) yield `gives copy ${copy} back, and nobody approved its return`
  }
  const clawedBack = approved.reduce((sum, { clawback }) => sum + clawback, 0)
  const credited = sales.reduce((sum, { payout }) => sum + payout, 0)
  if (clawedBack > credited) yield `took ${clawedBack} micros back from its source, which had ${credited}`
  if (lead.returned !== approved.length || lead.clawedBack !== clawedBack)
    yield `is said to have ${lead.returned} copies and ${lead.clawedBack} micros back, and has ${approved.length} and ${clawedBack}`
  if (approved.length > 0 && lead.status !== 'sold') yield `has a copy back and is ${lead.status}, not sold`
}

/** The three entries of an approved return; none of any other. */
function* entryFaults(source: string, one: Return, entered: readonly Entry[]): Generator<string> {
  if (one.clawback < 0 || (one.clawbackFrom === 'us' && one.clawback > 0) || (one.state !== 'approved' && one.clawback))
    yield `took ${one.clawback} micros back from its source for ${one.contract}, which is not the source's to give`
  if (one.state !== 'approved') return
  const right: Readonly<Record<string, number>> = {
    [`buyer:${one.buyer}`]: one.price,
    [`source:${source}`]: -one.clawback,
    margin: one.clawback - one.price,
  }
  for (const [account, amount] of Object.entries(right)) {
    const found = entered.find((entry) => entry.account === account)
    if (found?.amount !== amount)
      yield `has the return of ${one.contract} entered wrongly: ${account} has ${found?.amount ?? 'no entry'}, not ${amount} micros`
  }
}
