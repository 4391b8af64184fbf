-- A lone exit is one statement: six in one message had the server begin and end each of them.
-- depends: 0094_records_of_peaks

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
