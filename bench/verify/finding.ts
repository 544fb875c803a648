/** What one check found: how much it looked at, and what it saw that must not be. */

/** Examples kept of each kind of check; the counts go on. */
const MOST_EXAMPLES = 10

export class Finding {
  /** Its invariant, by the number under which people speak of it. */
  readonly number: number
  readonly name: string
  readonly counts: Record<string, number> = {}
  /** What could not be looked at, and why; or how what was found is to be read. */
  readonly notes: string[] = []
  readonly examples: string[] = []
  violations = 0
  applicable = true

  /** `counted`: what will be counted, in the order in which it is shown. */
  constructor(number: number, name: string, counted: readonly string[] = []) {
    this.number = number
    this.name = name
    for (const what of counted) this.counts[what] = 0
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  violated(how: string): void {
    this.violations++
    if (this.examples.length < MOST_EXAMPLES) this.examples.push(how)
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text)
  }

  notApplicable(why: string): void {
    this.applicable = false
    this.note(why)
  }
}

const verdictOf = (finding: Finding): string =>
  finding.violations > 0 ? 'VIOLATED' : finding.applicable ? 'holds' : 'not applicable'

/** Lines for people: one for each invariant, what was violated and what must be known below it. */
export function findingLines(findings: readonly Finding[]): string[] {
  const wide = Math.max(...findings.map((finding) => finding.name.length))
  return findings.flatMap((finding) => {
    const counts = Object.entries(finding.counts).map(([what, n]) => `${what} ${n.toLocaleString('en-US')}`)
    const head = `${finding.number}  ${finding.name.padEnd(wide)}  ${verdictOf(finding).padEnd(14)}  ${counts.join('   ')}`
    const more = finding.violations - finding.examples.length
    return [
      head.trimEnd(),
      ...finding.examples.map((example) => `     violated: ${example}`),
      ...(more > 0 ? [`     and ${more.toLocaleString('en-US')} more`] : []),
      ...finding.notes.map((note) => `     ${note}`),
    ]
  })
}

/** The same for machines. */
export function findingsJson(findings: readonly Finding[]): object {
  return {
    ok: findings.every((finding) => finding.violations === 0),
    invariants: findings.map((finding) => ({
      number: finding.number,
      name: finding.name,
      verdict: finding.violations > 0 ? 'violated' : finding.applicable ? 'holds' : 'not_applicable',
      violations: finding.violations,
      counts: finding.counts,
      examples: finding.examples,
      notes: finding.notes,
    })),
  }
}
