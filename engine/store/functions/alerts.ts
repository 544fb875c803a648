/** Events of alerts: each begins once, is told to its recipients in the same transaction, and ends where it is not found any more. */
export const ALERTS = `
  -- What an alert finds now, all of it. Answers {begun, ended, open}.
  create function watch_alert(p_alert text, p_kind text, p_to text[], p_quiet_ms bigint, p_findings json)
  returns json language plpgsql as $$
  declare
    v_ended integer;
    v_begun bigint[];
  begin
    update events e set seen_at = now()
    from json_to_recordset(p_findings) as f(subject text, episode text)
    where e.alert = p_alert and e.kind = p_kind and e.ended_at is null and e.subject = f.subject
      and e.episode = f.episode;
    update events set ended_at = now()
    where alert = p_alert and ended_at is null
      and (kind <> p_kind or seen_at < now() - p_quiet_ms * interval '1 ms');
    get diagnostics v_ended = row_count;
    with begun as (
      insert into events (alert, kind, subject, episode, data)
      select p_alert, p_kind, f.subject, f.episode, f.facts
      from json_to_recordset(p_findings) as f(subject text, episode text, facts json)
      order by f.subject, f.episode
      on conflict (alert, subject, episode) where ended_at is null do nothing
      returning id
    )
    select array_agg(id order by id) into v_begun from begun;
    if v_begun is not null then
      insert into alert_letters (alert, recipient, events) select p_alert, r, v_begun from unnest(p_to) as r;
    end if;
    return json_build_object('begun', coalesce(cardinality(v_begun), 0), 'ended', v_ended,
      'open', (select count(*) from events where alert = p_alert and ended_at is null));
  end $$;
`
