/** Puts what happened to a lead into the outbox, in the transaction in which it happened. */

export const POSTBACKS = `
  -- A lead's own source is told, where it wants to be, how the lead stands now.
  create function queue_postback(p_lead uuid, p_event text) returns void language sql as $$
    insert into postbacks (lead_id, event, campaign, source, status, payout, currency)
    select l.id, p_event, l.campaign, l.source, l.status, l.payout, l.currency
    from leads l join postback_routes r on r.campaign = l.campaign and r.source = l.source
    where l.id = p_lead and not l.test
  $$;
`
