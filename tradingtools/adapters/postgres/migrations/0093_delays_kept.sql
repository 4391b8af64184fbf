-- The delays of a subscription's last 200 copies are kept beside its sums. Each read looked them up in an
-- index and sorted them three times: a third of what a shown subscription took. And what no sum has yet
-- is asked for where there is some: a plan that might need it takes longer to begin than to carry out.
-- depends: 0092_delays_of_copies

-- Oldest first, microseconds.
alter table statistics_sum add column delays integer[] not null default '{}';
-- Of a copy that has ended; null: the row is about something else.
alter table statistics_delta add column delay_us integer, add column ended_at timestamptz;

-- As before; and a copy that ends tells its delay, once: after a breach it ends again.
create or replace function count_orders() returns trigger language plpgsql as $$
declare
    v_before text := case when tg_op = 'UPDATE' then old.state else 'CLAIMED' end;
    v_delay integer;
begin
    if new.state in ('CONFIRMED', 'FAILED', 'LOST')
            and v_before not in ('CONFIRMED', 'FAILED', 'LOST', 'RESURRECTED')
            and new.purpose in ('ENTRY', 'COPY_EXIT')
            and new.received_ns > 0 and new.answered_ns > 0 then
        -- A clock that was set must not fail a booking.
        v_delay := greatest(0, least((new.answered_ns - new.received_ns) / 1000, 2147483647));
    end if;
    insert into statistics_delta (subscription_id, confirmed, failed, unresolved, delay_us, ended_at)
    values (new.subscription_id,
            (new.state = 'CONFIRMED')::int - (v_before = 'CONFIRMED')::int,
            (new.state in ('FAILED', 'LOST'))::int - (v_before in ('FAILED', 'LOST'))::int,
            (new.state in ('UNKNOWN', 'DEAD', 'RESURRECTED'))::int
                - (v_before in ('UNKNOWN', 'DEAD', 'RESURRECTED'))::int,
            v_delay, case when v_delay is not null then clock_timestamp() end);
    return null;
end $$;

create function last_delays(p_delays integer[]) returns integer[] language sql immutable
return p_delays[greatest(1, cardinality(p_delays) - 199):];

-- As before, with delays, and without a flush: a fold that a crash undoes is made again.
create or replace function fold_statistics(p_limit integer) returns bigint language plpgsql as $$
declare
    v_marks bigint;
    v_deltas bigint;
begin
    -- Alone: what an order had counted for is read and written. Each statement below sees what whoever
    -- was here before has left.
    if not pg_try_advisory_xact_lock(hashtext('fold_statistics')) then
        return 0;
    end if;
    perform set_config('synchronous_commit', 'off', true);
    -- One snapshot for the marks and for what the orders are by now: what changes after it is marked.
    with taken as (
        delete from slippage_due
        where ctid = any(array(select ctid from slippage_due limit p_limit))
        returning *
    ), looked as materialized (
        select m.order_key, m.subscription_id, m.asset_id, c.micros, k.micros as kept
        from (select distinct order_key, subscription_id, asset_id from taken) m
        left join copy_slippage c using (order_key)
        left join slippage_kept k using (order_key)
    ), noted as (
        insert into slippage_kept (order_key, micros) select order_key, micros from looked
        on conflict (order_key) do update set micros = excluded.micros
    ), by_asset as (
        select subscription_id, asset_id, count(micros) - count(kept) as orders,
               coalesce(sum(micros), 0) - coalesce(sum(kept), 0) as micros
        from looked group by subscription_id, asset_id
    ), added as (
        insert into slippage_sum as s (subscription_id, asset_id, orders, micros)
        select subscription_id, asset_id, orders, micros from by_asset
        on conflict (subscription_id, asset_id) do update set
            orders = s.orders + excluded.orders, micros = s.micros + excluded.micros
    ), told as (
        insert into statistics_delta (subscription_id, slippage)
        select subscription_id, sum(micros) from by_asset group by subscription_id
    )
    select count(*) into v_marks from taken;

    with taken as (
        delete from statistics_delta
        where ctid = any(array(select ctid from statistics_delta limit p_limit))
        returning *
    ), folded as (
        insert into statistics_sum as kept
        select subscription_id, sum(leader_trades), sum(copied), sum(confirmed), sum(failed),
               sum(unresolved), sum(bought), sum(sold), sum(fees), sum(realised), sum(open_cost),
               sum(payouts), sum(paper_bought), sum(paper_sold), sum(paper_open_cost), sum(slippage),
               last_delays(coalesce(array_agg(delay_us order by ended_at)
                                    filter (where delay_us is not null), '{}'))
        from taken group by subscription_id
        on conflict (subscription_id) do update set
            leader_trades = kept.leader_trades + excluded.leader_trades,
            copied = kept.copied + excluded.copied,
            confirmed = kept.confirmed + excluded.confirmed,
            failed = kept.failed + excluded.failed,
            unresolved = kept.unresolved + excluded.unresolved,
            bought = kept.bought + excluded.bought,
            sold = kept.sold + excluded.sold,
            fees = kept.fees + excluded.fees,
            realised = kept.realised + excluded.realised,
            open_cost = kept.open_cost + excluded.open_cost,
            payouts = kept.payouts + excluded.payouts,
            paper_bought = kept.paper_bought + excluded.paper_bought,
            paper_sold = kept.paper_sold + excluded.paper_sold,
            paper_open_cost = kept.paper_open_cost + excluded.paper_open_cost,
            slippage = kept.slippage + excluded.slippage,
            delays = last_delays(kept.delays || excluded.delays)
    )
    select count(*) into v_deltas from taken;
    return v_marks + v_deltas;
end $$;

-- What the sums of a subscription do not have yet, seen as whoever asks sees everything else.
create function statistics_unkept(p_subscription text) returns json language plpgsql stable as $$
declare
    v_slippage bigint := 0;
begin
    if exists (select from slippage_due where subscription_id = p_subscription) then
        v_slippage := (select coalesce(sum(micros), 0) from slippage_unkept
                       where subscription_id = p_subscription);
    end if;
    return (
        select to_json(parts)
        from (select coalesce(sum(leader_trades), 0) as leader_trades,
                     coalesce(sum(copied), 0) as copied, coalesce(sum(confirmed), 0) as confirmed,
                     coalesce(sum(failed), 0) as failed, coalesce(sum(unresolved), 0) as unresolved,
                     coalesce(sum(bought), 0) as bought, coalesce(sum(sold), 0) as sold,
                     coalesce(sum(fees), 0) as fees, coalesce(sum(realised), 0) as realised,
                     coalesce(sum(open_cost), 0) as open_cost, coalesce(sum(payouts), 0) as payouts,
                     coalesce(sum(paper_bought), 0) as paper_bought,
                     coalesce(sum(paper_sold), 0) as paper_sold,
                     coalesce(sum(paper_open_cost), 0) as paper_open_cost,
                     coalesce(sum(slippage), 0) + v_slippage as slippage,
                     coalesce(array_agg(delay_us order by ended_at)
                              filter (where delay_us is not null), '{}') as delays
              from statistics_delta where subscription_id = p_subscription) parts);
end $$;

-- Of one outcome, with what its sum does not have yet; null: no order has any.
create function slippage_of(p_subscription text, p_asset text) returns bigint
language plpgsql stable as $$
begin
    return (
        select case when sum(orders) > 0 then sum(micros)::bigint end
        from (select orders, micros from slippage_sum
              where subscription_id = p_subscription and asset_id = p_asset
              union all
              select orders, micros from slippage_unkept
              where subscription_id = p_subscription and asset_id = p_asset) parts);
end $$;

-- What has come before.
insert into statistics_sum (subscription_id, delays)
select subscription_id, array_agg(us order by created_at)
from (select subscription_id, created_at,
             greatest(0, least((answered_ns - received_ns) / 1000, 2147483647))::integer as us,
             row_number() over (partition by subscription_id order by created_at desc) as back
      from orders
      where subscription_id is not null and purpose in ('ENTRY', 'COPY_EXIT')
        and received_ns > 0 and answered_ns > 0
        and state in ('CONFIRMED', 'FAILED', 'LOST', 'RESURRECTED')) ended
where back <= 200
group by subscription_id
on conflict (subscription_id) do update set delays = excluded.delays;

-- Nobody reads delays out of it any more: as it was, narrower for each version of an order.
drop index orders_subscription;
create index orders_subscription on orders (subscription_id, created_at);
