/** Which states a ZIP code lies in: the assignment of three-digit prefixes by the United States Postal Service. */

/** Runs of prefixes in use and their state. */
const RUNS =
  '005NY 006-007PR 008VI 009PR 010-027MA 028-029RI 030-038NH 039-049ME 050-054VT 055MA 056-059VT 060-069CT 070-089NJ ' +
  '090-098AE 100-149NY 150-196PA 197-199DE 200DC 201VA 202-205DC 206-212MD 214-219MD 220-246VA 247-268WV 270-289NC ' +
  '290-299SC 300-319GA 320-339FL 340AA 341-342FL 344FL 346-347FL 349FL 350-352AL 354-369AL 370-385TN 386-397MS ' +
  '398-399GA 400-418KY 420-427KY 430-459OH 460-479IN 480-499MI 500-516IA 520-528IA 530-532WI 534-535WI 537-549WI ' +
  '550-551MN 553-567MN 569DC 570-577SD 580-588ND 590-599MT 600-620IL 622-629IL 630-631MO 633-641MO 644-658MO ' +
  '660-662KS 664-679KS 680-681NE 683-693NE 700-701LA 703-708LA 710-714LA 716-729AR 730-731OK 733TX 734-741OK ' +
  '743-749OK 750-770TX 772-799TX 800-816CO 820-831WY 832-838ID 840-847UT 850-853AZ 855-857AZ 859-860AZ 863-865AZ ' +
  '870-871NM 873-884NM 885TX 889-891NV 893-895NV 897-898NV 900-908CA 910-928CA 930-961CA 962-966AP 967-968HI ' +
  '969GU 970-979OR 980-986WA 988-994WA 995-999AK'

/** Prefixes that serve more than the state of their run. */
const SHARED = '063NY 205MD 205VA 739TX 834WY 967AS 969PW 969FM 969MP 969MH'

/** Single ZIP codes whose deliveries cross a state line. */
const STRADDLING =
  '02861MA 42223TN 59221ND 63673IL 71749LA 73949TX 81137NM 84536AZ 86044UT 86515NM 88063TX 89439CA 97635CA 97910ID 99362OR'

const NONE: readonly string[] = []
const BY_PREFIX: readonly (readonly string[])[] = buildPrefixes()
const CROSSING: ReadonlyMap<string, string> = new Map(
  STRADDLING.split(' ').map((entry) => [entry.slice(0, 5), entry.slice(5)]),
)

function buildPrefixes(): string[][] {
  const table: string[][] = Array.from({ length: 1000 }, () => [])
  for (const run of RUNS.split(' ')) {
    const last = run.length > 5 ? Number(run.slice(4, 7)) : Number(run.slice(0, 3))
    for (let prefix = Number(run.slice(0, 3)); prefix <= last; prefix++) table[prefix]!.push(run.slice(-2))
  }
  for (const entry of SHARED.split(' ')) table[Number(entry.slice(0, 3))]!.push(entry.slice(3))
  return table
}

/** States that the prefix of these five digits serves; empty where the prefix is not in use. */
export const statesOfZip = (zip: string): readonly string[] => BY_PREFIX[Number(zip.slice(0, 3))] ?? NONE

/** False where a ZIP code (five digits) cannot lie in the state (USPS code). */
export function zipIsIn(zip: string, state: string): boolean {
  return statesOfZip(zip).includes(state) || CROSSING.get(zip) === state
}
