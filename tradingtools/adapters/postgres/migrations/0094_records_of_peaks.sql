-- Peaks of trailing stops are recorded together, and the rows follow behind.
-- depends: 0093_delays_kept

-- A row that follows finds room on its own page, and no index has to.
alter table trigger set (fillfactor = 80);

create table peak_record (
    seq         bigint generated always as identity primary key,
    record_key  text not null unique,
    partition   integer not null,
    epoch       bigint not null,
    -- Of each trigger its new peak, and where it fires then.
    triggers    text[] not null,
    peaks       bigint[] not null,
    stops       bigint[] not null,
    recorded_at timestamptz not null default clock_timestamp()
);

-- A peak is what a whole lot would fetch, on terms that its trigger has. Nothing but the lease is
-- locked: what is being committed meanwhile is as if it came after the peak.
create function record_peaks(
    p_partition integer, p_epoch bigint, p_record_key text, p_ids text[], p_versions bigint[],
    p_shares bigint[], p_peaks bigint[], p_stops bigint[]
) returns table (seq bigint, refused jsonb) language plpgsql as $$
#variable_conflict use_column
begin
    if not holds_lease('guard', p_partition, p_epoch) then
        raise no_data_found using message = format('guard %s is another''s by now', p_partition);
    end if;
    return query
    with good as materialized (
        select m.id, m.peak, m.stop
        from unnest(p_ids, p_versions, p_shares, p_peaks, p_stops)
            as m(id, version, shares, peak, stop)
        join trigger t on t.id = m.id and t.version = m.version
        join lot l on l.follower_proxy = t.follower_proxy and l.asset_id = t.asset_id
            and l.origin = t.origin and l.shares_micros = m.shares
    ), added as (
        insert into peak_record (record_key, partition, epoch, triggers, peaks, stops)
        select p_record_key, p_partition, p_epoch,
               array_agg(g.id), array_agg(g.peak), array_agg(g.stop)
        from good g having count(*) > 0
        on conflict (record_key) do nothing
        returning seq
    )
    select (select a.seq from added a),
           coalesce((select jsonb_agg(i.id) from unnest(p_ids) as i(id)
                     where i.id not in (select g.id from good g)), '[]');
end $$;

-- Rows follow their records, and tell of a peak that is so far above the last one that was told.
create function fold_peaks(
    p_ids text[], p_peaks bigint[], p_stops bigint[], p_told_micros bigint
) returns integer language plpgsql as $$
declare
    v_folded integer;
begin
    -- A commit that is lost with the server is made again, from the record.
    perform set_config('synchronous_commit', 'off', true);
    with held as materialized (
        -- In the order of the ids, as everybody locks them.
        select t.id, t.status, t.order_key, m.peak, m.stop,
               t.status in ('ARMED', 'SUSPENDED')
               and (t.peak_noted_micros is null
                    or m.peak >= t.peak_noted_micros + p_told_micros) as tells
        from unnest(p_ids, p_peaks, p_stops) as m(id, peak, stop) join trigger t using (id)
        where t.peak_micros is null or t.peak_micros < m.peak
        order by t.id
        for no key update of t
    ), moved as (
        update trigger t set
            peak_micros = h.peak,
            peak_noted_micros = case when h.tells then h.peak else t.peak_noted_micros end,
            updated_at = clock_timestamp()
        from held h where t.id = h.id
        returning t.id
    ), told as (
        insert into trigger_event (trigger_id, from_status, to_status, detail, order_key)
        select h.id, h.status, h.status,
               format('peak %s, fires at %s', trim_scale(h.peak / 1000000.0),
                      trim_scale(h.stop / 1000000.0)), h.order_key
        from held h where h.tells order by h.id
    )
    select count(*) into v_folded from moved;
    return v_folded;
end $$;

-- As before, but for the peak: a row's may be behind its record.
create or replace function hold_foreseen(
    p_id text, p_version bigint, p_peak_micros bigint, p_condition_id text, p_user_id text,
    p_wallet_id text, p_leader text, p_subscription_version bigint, p_shares_micros bigint
) returns boolean language plpgsql as $$
declare
    v_proxy text;
    v_asset text;
    v_origin text;
begin
    select t.follower_proxy, t.asset_id, t.origin into v_proxy, v_asset, v_origin
    from trigger t left join subscription s on s.id = t.origin
    where t.id = p_id and t.version = p_version
      and coalesce(t.peak_micros, 0) <= coalesce(p_peak_micros, 0)
      and t.condition_id = p_condition_id
      and coalesce(s.follower_user_id, t.follower_user_id) = p_user_id
      and coalesce(s.follower_wallet_id, t.follower_wallet_id) = p_wallet_id
      and coalesce(s.leader, '') = p_leader
      and coalesce(s.version, 0) = p_subscription_version
    for update of t;
    if found then
        perform from lot
        where follower_proxy = v_proxy and asset_id = v_asset and origin = v_origin
          and shares_micros = p_shares_micros
        for update;
        if found then
            -- In a snapshot that was taken after the lock.
            perform from reservation r join orders o using (order_key)
            where r.released_at is null and r.follower_proxy = v_proxy and r.asset_id = v_asset
              and r.shares_micros > 0 and coalesce(o.subscription_id, 'manual') = v_origin;
            if not found then
                return true;
            end if;
        end if;
    end if;
    raise serialization_failure using message = format('%s is not as it was foreseen', p_id);
end $$;
