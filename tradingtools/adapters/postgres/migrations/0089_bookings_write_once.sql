-- What a booking changes of a row it changes once: each version of an order has its entries in eight
-- indexes, and a position that opens was two versions of its lot.
-- depends: 0088_owner_until_taken_over

-- As before, and with a transition come the sums of what was booked with it. Orders are looked up by
-- their keys: a plan that was made while there were few of them would read all there are ever since.
create or replace function apply_transitions(p_transitions jsonb)
returns table (order_key text, event_seq bigint) language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off as $$
    with instant as materialized (select clock_timestamp() as at),
    input as (
        select * from jsonb_to_recordset(p_transitions) as t(
            order_key text, from_state text, to_state text, expected_epoch bigint, epoch bigint,
            attempt integer, reason text, failed_kind text, venue_order_id text,
            lease_ms integer, next_check_ms integer, not_found_count integer,
            submitting_ns bigint, first_byte_ns bigint, answered_ns bigint,
            confirmed_ns bigint, detail text, size bigint, notional bigint, fee bigint)
    ),
    changed as (
        update orders o set
            state = i.to_state,
            epoch = coalesce(i.epoch, o.epoch),
            attempt = coalesce(i.attempt, o.attempt),
            reason = coalesce(i.reason, ''),
            failed_kind = i.failed_kind,
            venue_order_id = coalesce(i.venue_order_id, o.venue_order_id),
            lease_until = instant.at + make_interval(secs => i.lease_ms / 1000.0),
            next_check_at = instant.at + make_interval(secs => i.next_check_ms / 1000.0),
            not_found_count = coalesce(i.not_found_count, 0),
            submitting_ns = coalesce(i.submitting_ns, o.submitting_ns),
            first_byte_ns = coalesce(i.first_byte_ns, o.first_byte_ns),
            answered_ns = coalesce(i.answered_ns, o.answered_ns),
            confirmed_ns = coalesce(i.confirmed_ns, o.confirmed_ns),
            filled_size_micros = o.filled_size_micros + coalesce(i.size, 0),
            filled_notional_micros = o.filled_notional_micros + coalesce(i.notional, 0),
            fee_micros = o.fee_micros + coalesce(i.fee, 0),
            chain_head = sha256(o.chain_head || convert_to(concat_ws('|', i.from_state, i.to_state,
                coalesce(i.reason, ''), coalesce(i.epoch, o.epoch),
                (extract(epoch from instant.at) * 1000000)::bigint), 'UTF8'))
        from input i, instant
        where o.order_key = i.order_key and o.state = i.from_state
          and o.epoch = i.expected_epoch
        returning o.order_key, i.from_state, o.state as to_state, o.reason, o.epoch,
                  i.detail, o.chain_head
    ),
    noted as (
        insert into order_event (order_key, from_state, to_state, reason, epoch, occurred_at,
                                 detail, hash)
        select c.order_key, c.from_state, c.to_state, c.reason, c.epoch, instant.at,
               convert_to(c.detail, 'UTF8'), c.chain_head
        from changed c, instant
        returning order_key, event_seq
    ),
    released as (
        update reservation r set released_at = clock_timestamp()
        from changed c
        where r.order_key = c.order_key and r.released_at is null
          and c.to_state in ('CONFIRMED', 'FAILED', 'LOST')
    )
    select order_key, event_seq from noted order by event_seq
$$;

-- As before, without a regular expression, which each change of an order made anew.
alter table orders drop constraint orders_order_key_check;
alter table orders add constraint orders_order_key_check
    check (octet_length(order_key) = 64 and ltrim(order_key, '0123456789abcdef') = '');

-- Lots are made with what they hold, many at once.
drop trigger lot_made_counted on lot;
drop function count_made_lot();
create function count_made_lots() returns trigger language plpgsql as $$
begin
    insert into statistics_delta (subscription_id, bought, sold, fees, realised, open_cost, payouts)
    select origin, sum(bought_notional_micros), sum(sold_notional_micros), sum(fee_micros),
           sum(realised_micros), sum(cost_micros), sum(payout_micros)
    from made where origin <> 'manual'
    group by origin;
    return null;
end $$;
create trigger lots_made_counted after insert on lot referencing new table as made
    for each statement execute function count_made_lots();
