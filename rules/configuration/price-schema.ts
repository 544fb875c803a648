/** The shape of what the configuration says of prices: payouts, and rules that make a price depend on the lead. */
import Type, { type Static, type TSchema } from 'typebox'
import { list, money, object, opt, word } from './schema-words.ts'

export const Payout = Type.Object(
  {
    fixed: opt(money()),
    share: opt(Type.Number({ minimum: 0, maximum: 1, expects: 'a share from 0 to 1, such as 0.7' })),
    margin_floor: opt(money()),
    payout_on: opt(word('sold', 'accepted')),
  },
  { additionalProperties: false, minProperties: 1, expects: 'either {fixed: "6.00"} or {share: 0.7}, one of them' },
)

/** Of a list of rules the last one counts whose condition holds; one without a condition always does. */
const rules = <P extends Record<string, TSchema>>(gives: P) =>
  opt(list(object({ when: opt(Type.Unknown()), ...gives }), 'a list of rules', 200))
export const PriceRules = rules({ price: money() })
export const FloorRules = rules({ floor: money() })
export const PayoutRules = rules({ payout: Payout })
export const AdjustRules = rules({
  factor: opt(Type.Number({ minimum: 0, maximum: 10, expects: 'a factor from 0 to 10, such as 1.1' })),
  amount: opt(
    Type.String({
      pattern: '^[+-]?\\d{1,9}(\\.\\d{1,6})?$',
      expects: 'an amount of money to add, as text in quotes, such as "-2.00"',
    }),
  ),
})

export type PayoutFile = Static<typeof Payout>
export type AdjustFile = Static<typeof AdjustRules>[number]
