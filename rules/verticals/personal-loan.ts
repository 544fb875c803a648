/** The vertical of unsecured loans to consumers. */
import {
  ADDRESS,
  BOTH,
  CITY,
  COMMON_FIELDS,
  CREDIT_BAND,
  DOB,
  field,
  MILITARY,
  OWNERSHIP,
  PEOPLE,
  PING,
  REQUIRED,
  STATE,
  type Vertical,
  ZIP,
} from './shared.ts'

export const PERSONAL_LOAN: Vertical = {
  id: 'personal_loan',
  name: 'Personal loan',
  fields: [
    ...PEOPLE,
    ADDRESS,
    CITY,
    STATE,
    { ...ZIP, ping: false },
    { ...DOB, ...REQUIRED, min: 18 },
    field('amount', 'money', 'Amount wanted, in dollars', '5000.00', {
      ...BOTH,
      min: 100,
      max: 1_000_000,
      aliases: ['loan_amount', 'requested_amount', 'amount_requested'],
    }),
    field('purpose', 'enum', 'Purpose', 'debt_consolidation', {
      ...PING,
      options: ['debt_consolidation', 'home_improvement', 'medical', 'auto', 'business', 'moving', 'other'],
      synonyms: { consolidation: 'debt_consolidation', home: 'home_improvement', car: 'auto' },
      aliases: ['loan_purpose', 'loan_reason'],
    }),
    field('income_band', 'range', 'Monthly income, in dollars', '3000-4000', {
      ...BOTH,
      aliases: ['monthly_income', 'income', 'net_monthly_income', 'income_range'],
    }),
    field('employer_type', 'enum', 'Kind of income', 'employed', {
      ...BOTH,
      options: ['employed', 'self_employed', 'benefits', 'retired', 'military', 'unemployed', 'other'],
      synonyms: {
        full_time: 'employed',
        part_time: 'employed',
        job: 'employed',
        job_income: 'employed',
        employment: 'employed',
        pension: 'retired',
        social_security: 'benefits',
        disability: 'benefits',
      },
      aliases: ['employment_type', 'employment_status', 'income_type', 'income_source'],
    }),
    field('pay_frequency', 'enum', 'Is paid', 'every_two_weeks', {
      ...BOTH,
      options: ['weekly', 'every_two_weeks', 'twice_a_month', 'monthly'],
      synonyms: {
        biweekly: 'every_two_weeks',
        bi_weekly: 'every_two_weeks',
        fortnightly: 'every_two_weeks',
        semimonthly: 'twice_a_month',
        semi_monthly: 'twice_a_month',
        twice_monthly: 'twice_a_month',
      },
      aliases: ['pay_period', 'paid', 'payment_frequency'],
    }),
    CREDIT_BAND,
    MILITARY,
    field('direct_deposit', 'boolean', 'Is paid by direct deposit', 'yes', {
      ...PING,
      aliases: ['has_direct_deposit'],
    }),
    field('next_pay_date', 'date', 'Next pay day', '2026-03-13', { aliases: ['next_payday', 'pay_date1'] }),
    field('employer_name', 'text', 'Employer', 'Example Works', { max: 100, aliases: ['employer', 'company_name'] }),
    field('residence', 'enum', 'Owns or rents the home', 'rent', {
      ...OWNERSHIP,
      aliases: ['residence_type', 'home_ownership', 'homeowner', 'ownership'],
    }),
    field('ssn', 'ssn', 'Social security number', '123-45-6789', {
      aliases: ['social_security_number', 'social_security', 'social'],
    }),
    field('bank_routing', 'bank_routing', 'Bank routing number', '021000021', {
      aliases: ['routing_number', 'bank_aba', 'aba', 'routing'],
    }),
    field('bank_account', 'bank_account', 'Bank account number', '00123456789', {
      aliases: ['account_number', 'bank_account_number'],
    }),
    field('bank_account_type', 'enum', 'Kind of bank account', 'checking', {
      options: ['checking', 'savings'],
      synonyms: { saving: 'savings', check: 'checking' },
      aliases: ['account_type'],
    }),
    ...COMMON_FIELDS,
  ],
}
