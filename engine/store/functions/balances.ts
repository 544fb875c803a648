/** What is entered in a buyer's balance: each entry once, and the total after it. */
export const BALANCES = `
  -- Answers {seq, total, entered}: entered is false where the reference was entered before, and nothing changes then.
  create function enter_balance(
    p_buyer text, p_currency text, p_cause text, p_amount bigint, p_reference text, p_lead uuid, p_note text, p_by text
  ) returns json language plpgsql as $$
  declare
    b balances%rowtype;
  begin
    insert into balances (buyer, currency) values (p_buyer, p_currency) on conflict do nothing;
    select * into b from balances where buyer = p_buyer and currency = p_currency for update;
    if exists (
      select 1 from balance_entries where buyer = p_buyer and currency = p_currency and reference = p_reference
    ) then
      return json_build_object('seq', b.seq, 'total', b.total, 'entered', false);
    end if;
    insert into balance_entries (buyer, currency, seq, cause, amount, total, reference, lead_id, note, by)
    values (p_buyer, p_currency, b.seq + 1, p_cause, p_amount, b.total + p_amount, p_reference, p_lead, p_note, p_by);
    update balances set seq = b.seq + 1, total = b.total + p_amount where buyer = p_buyer and currency = p_currency;
    return json_build_object('seq', b.seq + 1, 'total', b.total + p_amount, 'entered', true);
  end $$;

  -- Sales at less than was held: the difference is the buyer's again. In an order that all share.
  create function give_back_cuts(p_rows json) returns void language plpgsql as $$
  begin
    perform enter_balance(x.buyer, x.currency, 'price_cut', x.amount, 'price_cut:' || x.lead_id || ':' || x.copy,
      x.lead_id, null, 'ledger')
    from (
      select * from json_to_recordset(p_rows) as g(
        lead_id uuid, copy integer, buyer text, currency text, amount bigint)
      order by g.buyer, g.currency, g.lead_id, g.copy
    ) as x;
  end $$;
`
