/** What this program uses of the package `zipcodes`, which brings no types. */
declare module 'zipcodes' {
  interface Place {
    readonly zip: string
    readonly city: string
    /** USPS code, or that of a Canadian province. */
    readonly state: string
    readonly country: string
    /** Degrees; both 0 where nobody knows the place. */
    readonly latitude: number
    readonly longitude: number
  }
  const zipcodes: {
    readonly codes: Readonly<Record<string, Place>>
    /** `full`: NAME IN CAPITALS -> code, Canadian provinces included. */
    readonly states: { readonly full: Readonly<Record<string, string>> }
  }
  export default zipcodes
}
