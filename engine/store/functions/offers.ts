/** Writes offers, and finds the one that a lead came for. */

export const OFFERS = `
  create function write_offers(p_rows json) returns void language plpgsql as $$
  begin
    insert into offers (id, campaign, source, version, test, offered_at, expires_at, payout, currency, shortfall, choice,
      bids, declined, fields, fields_hash, after_lead, trace)
    select id, campaign, source, version, test, to_timestamp(at / 1000.0), to_timestamp("expiresAt" / 1000.0), payout,
      currency, shortfall, choice, bids, declined, fields, "fieldsHash", "afterLead", trace
    from json_to_recordset(p_rows) as g(
      id uuid, campaign text, source text, version bigint, test boolean, at bigint, "expiresAt" bigint, payout bigint,
      currency text, shortfall text, choice boolean, bids json, declined json, fields text[], "fieldsHash" text,
      "afterLead" uuid, trace text)
    on conflict (id) do nothing;
  end $$;

  create function offer_json(o offers) returns json language sql stable as $$
    select json_build_object('id', o.id, 'campaign', o.campaign, 'source', o.source, 'version', o.version,
      'test', o.test, 'at', floor(extract(epoch from o.offered_at) * 1000)::bigint,
      'expiresAt', floor(extract(epoch from o.expires_at) * 1000)::bigint, 'payout', o.payout, 'currency', o.currency,
      'shortfall', o.shortfall, 'choice', o.choice, 'bids', o.bids, 'declined', o.declined, 'fields', o.fields,
      'fieldsHash', o.fields_hash, 'afterLead', o.after_lead)
  $$;

  -- Null: the lead came for no offer.
  create function offer_of_lead(p_lead uuid) returns json language sql stable as $$
    select offer_json(o) from idempotency i
    join offers o on o.id = split_part(i.key, ':', 3)::uuid
    where i.lead_id = p_lead and i.key like 'ping:%'
  $$;
`
