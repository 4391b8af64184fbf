-- Triggers: stop-losses, take-profits, ladders, trailing and time stops.

-- PostgreSQL reads all CHECKs of a table anew for each statement that writes it, so terms, which an
-- exit does not change, are judged by check_trigger_terms.
create table trigger (
    id              text primary key,
    follower_proxy  text not null,
    condition_id    text not null,
    asset_id        text not null,
    origin          text not null,
    trigger_type    text not null,
    -- Of a trailing stop: where it becomes active.
    price_micros    bigint,
    size_micros     bigint,
    status          text not null check (status in ('WAITING', 'ARMED', 'SUSPENDED', 'TRIGGERED',
                        'CLOSING', 'NEEDS_CONFIRM', 'DONE', 'CANCELLED', 'RESOLVED')),
    generation      integer not null default 0,
    slice           integer not null default 0,
    sold_micros     bigint not null default 0,
    order_key       text not null default '',
    fired           jsonb,
    version         bigint not null default 1,
    next_slice_at   timestamptz,
    created_at      timestamptz not null default clock_timestamp(),
    updated_at      timestamptz not null default clock_timestamp(),
    callback_micros bigint,
    callback_ppm    integer,
    -- The best price that was seen while active: it only rises. The second is the last one that the
    -- history tells.
    peak_micros       bigint check (peak_micros between 1 and 999999),
    peak_noted_micros bigint,
    fire_at_ms        bigint,
    -- A ladder's rungs, lowest price first: price_micros, and share_ppm of basis_micros.
    rungs           jsonb,
    -- What the lot held when its first rung was reached.
    basis_micros    bigint check (basis_micros > 0),
    -- Rungs whose exits have ended, and those whose exits were claimed in this generation.
    rungs_done      integer not null default 0,
    rungs_fired     integer not null default 0,
    -- A stop-loss that moves up to the entry price once a rung of its lot has sold.
    break_even      boolean not null default false,
    -- Fires only when two books in a row reach its price.
    two_ticks       boolean not null default false,
    -- The fill, by order and trade, or the adoption that opened the position; empty: a caller, or a
    -- performance action, made the trigger.
    made_for        text not null default '',
    -- The performance action that has it sell all; empty: none. Taken back when somebody resumes.
    exit_of         text not null default '',
    -- Whom an exit of a manual lot is sent for; empty where a subscription says it.
    follower_user_id   text not null default '',
    follower_wallet_id text not null default '',
    check (peak_micros is null or trigger_type = 'TRAILING_STOP'),
    constraint trigger_rungs_order_check
        check (rungs_done between 0 and rungs_fired
               and rungs_fired <= coalesce(jsonb_array_length(rungs), 0))
-- A row that follows its record of a peak finds room on its own page, and no index has to.
) with (fillfactor = 80);
create index trigger_wallet on trigger (follower_proxy, created_at, id);
create index trigger_created on trigger (created_at, id);
create index trigger_lot on trigger (asset_id, follower_proxy, origin)
    where status not in ('DONE', 'CANCELLED', 'RESOLVED');
-- The guard looks several times a second for triggers whose exit has ended. They are few; those that
-- are armed may be a hundred thousand.
create index trigger_under_way on trigger (order_key)
    where status in ('TRIGGERED', 'CLOSING', 'NEEDS_CONFIRM');
-- confirm asks, when it books a buy, what became of the newest default triggers of its lot.
create index trigger_made_for on trigger (follower_proxy, asset_id, origin) where made_for <> '';

create table trigger_event (
    event_seq   bigint primary key default log_number(),
    trigger_id  text not null references trigger,
    from_status text not null,
    to_status   text not null,
    detail      text not null,
    order_key   text not null default '',
    occurred_at timestamptz not null default clock_timestamp()
);
create index trigger_event_trigger on trigger_event (trigger_id, event_seq);

-- New peaks that books have shown since the last record; rows follow
-- (docs/adr/0037-high-water-marks.md).
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

create function check_trigger_terms() returns trigger language plpgsql as $$
declare
    -- As in a CHECK, what is null breaks nothing.
    v_broken text := case
        when not new.id ~ '^trg_[0-9a-f]{32}$' then 'trigger_id_check'
        when new.trigger_type not in
            ('TAKE_PROFIT', 'STOP_LOSS', 'TRAILING_STOP', 'TIME_STOP', 'LADDER')
            then 'trigger_trigger_type_check'
        when new.price_micros not between 1 and 999999 then 'trigger_price_micros_check'
        when (new.trigger_type in ('TIME_STOP', 'LADDER')) <> (new.price_micros is null)
            then 'trigger_price_check'
        when new.size_micros <= 0 then 'trigger_size_micros_check'
        when new.callback_micros not between 1 and 999999 then 'trigger_callback_micros_check'
        when new.callback_ppm not between 1 and 999999 then 'trigger_callback_ppm_check'
        when num_nonnulls(new.callback_micros, new.callback_ppm)
            <> (new.trigger_type = 'TRAILING_STOP')::integer then 'trigger_callback_check'
        when new.fire_at_ms <= 0 then 'trigger_fire_at_ms_check'
        when (new.trigger_type = 'TIME_STOP') <> (new.fire_at_ms is not null)
            then 'trigger_time_stop_check'
        when jsonb_array_length(new.rungs) not between 1 and 10 then 'trigger_rungs_check'
        when (new.trigger_type = 'LADDER') <> (new.rungs is not null)
            then 'trigger_ladder_check'
        when new.break_even and new.trigger_type <> 'STOP_LOSS' then 'trigger_break_even_check'
        when new.two_ticks and new.trigger_type = 'TIME_STOP' then 'trigger_two_ticks_check'
        when (new.origin = 'manual') <> (new.follower_wallet_id <> '')
            then 'trigger_manual_check'
    end;
begin
    if v_broken is not null then
        raise check_violation using
            message = format('terms of trigger %s violate %I', new.id, v_broken),
            table = 'trigger', constraint = v_broken;
    end if;
    return new;
end $$;

create function keep_trigger_peak() returns trigger language plpgsql as $$
begin
    if new.peak_micros is null or new.peak_micros < old.peak_micros then
        raise exception 'a trailing stop never loosens: %', new.id;
    end if;
    return new;
end $$;

create function keep_trigger_rungs() returns trigger language plpgsql as $$
begin
    if new.rungs_done < old.rungs_done then
        raise exception 'a rung that has ended does not come back: %', new.id;
    end if;
    if new.rungs_fired < old.rungs_fired and new.generation = old.generation then
        raise exception 'a rung fires once in a generation: %', new.id;
    end if;
    return new;
end $$;

-- As before, but for the peak: a row's may be behind its record.
create function hold_foreseen(
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

-- Locks what `hold_foreseen` locks and raises what it raises. Then the trigger fires, with its line
-- of history, and its exit's order, the only one of the record, is claimed with its rows. Raises
-- no_data_found: the lease is not held; unique_violation: the record is there already.
create function fire_foreseen(
    p_partition integer, p_epoch bigint, p_record_key text, p_payload bytea, p_status text,
    p_version bigint, p_peak_micros bigint, p_shares_micros bigint, p_rungs_fired integer,
    p_basis_micros bigint, p_fired jsonb, p_detail text
) returns table (seq bigint, claimed_ns bigint) language plpgsql as $$
#variable_conflict use_column
declare
    o record;
    v_seq bigint;
    v_claimed_ns bigint;
    v_hash bytea;
begin
    select * into strict o
    from json_to_record(convert_from(p_payload, 'UTF8')::json #> '{orders,0}') as t(
        order_key text, copy_key text, ordinal integer, purpose text, subscription_id text,
        subscription_version bigint, trigger_id text, follower_user_id text,
        follower_wallet_id text, follower_proxy text, leader text, leader_tx text,
        condition_id text, asset_id text, side text, size_micros bigint, limit_micros bigint,
        time_in_force text, not_after_ms bigint, body text, body_hash text,
        reserved_money_micros bigint, reserved_shares_micros bigint, control_seq bigint,
        traceparent text, received_ns bigint, routed_ns bigint);
    perform hold_foreseen(
        o.trigger_id, p_version, p_peak_micros, o.condition_id, o.follower_user_id,
        o.follower_wallet_id, o.leader, o.subscription_version, p_shares_micros);
    if not holds_lease('guard', p_partition, p_epoch) then
        raise no_data_found using message = format('guard %s is another''s by now', p_partition);
    end if;
    insert into journal (kind, role, record_key, partition, epoch, payload, order_count,
                         rows_built_at)
    values ('CLAIMED', 'guard', p_record_key, p_partition, p_epoch, p_payload, 1,
            clock_timestamp())
    on conflict (record_key) do nothing
    returning journal.seq, (extract(epoch from committed_at) * 1000000)::bigint * 1000
    into v_seq, v_claimed_ns;
    if v_seq is null then
        raise unique_violation using message = format('record %s is there already', p_record_key);
    end if;
    -- As `build_claimed` does for many.
    v_hash := sha256(convert_to(concat_ws('|', o.order_key, 'CLAIMED', o.body_hash, v_seq), 'UTF8'));
    insert into orders (
        order_key, copy_key, ordinal, purpose, subscription_id, subscription_version, trigger_id,
        follower_user_id, follower_wallet_id, follower_proxy, partition, leader, leader_tx,
        condition_id, asset_id, side, size_micros, limit_micros, time_in_force, not_after_ms, body,
        body_hash, journal_seq, control_seq, state, traceparent, received_ns, routed_ns, claimed_ns,
        chain_head)
    values (
        o.order_key, o.copy_key, o.ordinal, o.purpose, nullif(o.subscription_id, ''),
        o.subscription_version, o.trigger_id, o.follower_user_id, o.follower_wallet_id,
        o.follower_proxy, p_partition, o.leader, o.leader_tx, o.condition_id, o.asset_id, o.side,
        o.size_micros, o.limit_micros, o.time_in_force, o.not_after_ms,
        convert_to(o.body, 'UTF8'), o.body_hash, v_seq, o.control_seq, 'CLAIMED', o.traceparent,
        o.received_ns, o.routed_ns, v_claimed_ns, v_hash)
    on conflict (order_key) do nothing;
    if found then
        insert into order_event (order_key, from_state, to_state, reason, epoch, hash)
        values (o.order_key, '', 'CLAIMED', '', 0, v_hash);
        insert into reservation (order_key, follower_proxy, subscription_id, condition_id, asset_id,
                                 money_micros, shares_micros)
        values (o.order_key, o.follower_proxy, nullif(o.subscription_id, ''), o.condition_id,
                o.asset_id, o.reserved_money_micros, o.reserved_shares_micros);
    end if;
    update trigger set
        status = 'TRIGGERED', slice = 0, rungs_fired = p_rungs_fired,
        basis_micros = p_basis_micros, order_key = o.order_key, fired = p_fired,
        next_slice_at = null, version = trigger.version + 1, updated_at = clock_timestamp()
    where id = o.trigger_id;
    insert into trigger_event (trigger_id, from_status, to_status, detail, order_key)
    values (o.trigger_id, p_status, 'TRIGGERED', p_detail, o.order_key);
    return query select v_seq, v_claimed_ns;
end $$;

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

-- Rows follow their records, and report a peak that is so far above the last one that was reported.
create function fold_peaks(
    p_ids text[], p_peaks bigint[], p_stops bigint[], p_reported_micros bigint
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
                    or m.peak >= t.peak_noted_micros + p_reported_micros) as tells
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

create trigger trigger_terms_are_sound
    before insert or update of id, trigger_type, price_micros, size_micros, callback_micros,
        callback_ppm, fire_at_ms, rungs, break_even, two_ticks, origin, follower_wallet_id
    on trigger for each row execute function check_trigger_terms();
create trigger trigger_peak_only_rises before update of peak_micros on trigger
    for each row when (old.peak_micros is not null) execute function keep_trigger_peak();
create trigger trigger_rungs_only_rise before update of rungs_done, rungs_fired on trigger
    for each row execute function keep_trigger_rungs();
