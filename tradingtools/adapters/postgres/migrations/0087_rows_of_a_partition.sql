-- Rows of a leader trade are durable for the partition that has judged them: a router that begins
-- again took those that another had made durable for its own, and its followers never got them.
-- depends: 0086_bookings_in_order

alter table leader_row add column partition integer not null default 0 check (partition >= 0);
alter table leader_row drop constraint leader_row_pkey;
alter table leader_row add primary key
    (leader_tx, leader, asset_id, side, partition, price_text, size_micros, source);

-- Until now every partition that had judged a trade knew all of its rows.
insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros, source, count,
                        price_micros, condition_id, traded_ms, held_before_micros, seen_at,
                        partition)
select r.leader_tx, r.leader, r.asset_id, r.side, r.price_text, r.size_micros, r.source, r.count,
       r.price_micros, r.condition_id, r.traded_ms, r.held_before_micros, r.seen_at, judged.partition
from leader_row r
join (select distinct d.leader_tx, d.leader, d.asset_id, d.side, j.partition
      from journal j join decision d on d.journal_seq = j.seq where j.partition > 0) judged
    using (leader_tx, leader, asset_id, side);

create or replace function build_claimed(p_seq bigint, p_partition integer, p_payload json)
returns void language sql as $$
    with input as (
        select * from json_to_recordset(p_payload->'orders') as t(
            order_key text, copy_key text, ordinal integer, purpose text, subscription_id text,
            subscription_version bigint, trigger_id text, follower_user_id text,
            follower_wallet_id text, follower_proxy text, leader text, leader_tx text,
            condition_id text, asset_id text, side text, size_micros bigint, limit_micros bigint,
            time_in_force text, not_after_ms bigint, body text, body_hash text,
            reserved_money_micros bigint, reserved_shares_micros bigint, control_seq bigint,
            traceparent text, received_ns bigint, routed_ns bigint)
    ),
    claimed as (
        insert into orders (
            order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
            trigger_id, follower_user_id, follower_wallet_id, follower_proxy, partition, leader,
            leader_tx, condition_id, asset_id, side, size_micros, limit_micros, time_in_force,
            not_after_ms, body, body_hash, journal_seq, control_seq, state, traceparent,
            received_ns, routed_ns, claimed_ns, chain_head)
        select order_key, copy_key, ordinal, purpose, nullif(subscription_id, ''),
               subscription_version, nullif(trigger_id, ''), follower_user_id,
               follower_wallet_id, follower_proxy, p_partition, leader, leader_tx, condition_id,
               asset_id, side, size_micros, limit_micros, time_in_force, not_after_ms,
               convert_to(body, 'UTF8'), body_hash, p_seq, control_seq, 'CLAIMED', traceparent,
               received_ns, routed_ns,
               (select (extract(epoch from committed_at) * 1000000)::bigint * 1000
                from journal where seq = p_seq),
               sha256(convert_to(concat_ws('|', order_key, 'CLAIMED', body_hash, p_seq), 'UTF8'))
        from input
        on conflict (order_key) do nothing
        returning order_key, chain_head
    ),
    noted as (
        insert into order_event (order_key, from_state, to_state, reason, epoch, hash)
        select order_key, '', 'CLAIMED', '', 0, chain_head from claimed
    )
    insert into reservation (order_key, follower_proxy, subscription_id, condition_id, asset_id,
                             money_micros, shares_micros)
    select i.order_key, i.follower_proxy, nullif(i.subscription_id, ''), i.condition_id,
           i.asset_id, i.reserved_money_micros, i.reserved_shares_micros
    from input i join claimed c on c.order_key = i.order_key;

    insert into decision (
        leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy, copied,
        reason, detail, leader_size_micros, leader_notional_micros, frozen, ordered_size_micros,
        order_keys, journal_seq, title)
    select leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy,
           copied, reason, detail, leader_size_micros, leader_notional_micros, frozen,
           ordered_size_micros,
           array(select json_array_elements_text(order_keys)), p_seq, title
    from json_to_recordset(p_payload->'decisions') as t(
        leader_tx text, leader text, asset_id text, side text, subscription_id text,
        condition_id text, follower_proxy text, copied boolean, reason text, detail text,
        leader_size_micros bigint, leader_notional_micros numeric, frozen jsonb,
        ordered_size_micros bigint, order_keys json, title text)
    on conflict (leader_tx, leader, asset_id, side, subscription_id) do update set
        copied = excluded.copied, reason = excluded.reason, detail = excluded.detail,
        leader_size_micros = excluded.leader_size_micros,
        leader_notional_micros = excluded.leader_notional_micros, frozen = excluded.frozen,
        ordered_size_micros = excluded.ordered_size_micros, order_keys = excluded.order_keys,
        journal_seq = excluded.journal_seq, updated_at = clock_timestamp()
    where decision.journal_seq < excluded.journal_seq;

    insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros, source,
                            count, price_micros, condition_id, traded_ms, held_before_micros,
                            partition)
    select leader_tx, leader, asset_id, side, price_text, size_micros, source, count,
           price_micros, condition_id, traded_ms, held_before_micros, p_partition
    from json_to_recordset(p_payload->'rows') as t(
        leader_tx text, leader text, asset_id text, side text, price_text text,
        size_micros bigint, source text, count integer, price_micros bigint, condition_id text,
        traded_ms bigint, held_before_micros bigint)
    on conflict (leader_tx, leader, asset_id, side, partition, price_text, size_micros, source)
        do update set count = greatest(leader_row.count, excluded.count),
                      held_before_micros = coalesce(leader_row.held_before_micros,
                                                    excluded.held_before_micros);
$$;

-- Which slices of exits have ended lately: a router that begins again looks for what they left.
create index reservation_exit_ended on reservation (released_at)
    where shares_micros > 0 and released_at is not null;
