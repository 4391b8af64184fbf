-- What a subscription has done, kept as sums instead of added up for each read. Whoever changes a row
-- says by how much in a row of its own; control adds the differences to the sums; a read takes both
-- (docs/adr/0033-kept-statistics.md).

create table statistics_sum (
    subscription_id text primary key,
    leader_trades   bigint not null default 0,
    copied          bigint not null default 0,
    confirmed       bigint not null default 0,
    failed          bigint not null default 0,
    unresolved      bigint not null default 0,
    -- USDC 1e-6.
    bought          bigint not null default 0,
    sold            bigint not null default 0,
    fees            bigint not null default 0,
    realised        bigint not null default 0,
    open_cost       bigint not null default 0,
    payouts         bigint not null default 0,
    paper_bought    bigint not null default 0,
    paper_sold      bigint not null default 0,
    paper_open_cost bigint not null default 0,
    slippage        bigint not null default 0,
    -- Of the last copies, oldest first, microseconds.
    delays          integer[] not null default '{}'
) with (fillfactor = 50);

-- By how much a transaction changed them.
create table statistics_delta (
    subscription_id text not null,
    leader_trades   bigint not null default 0,
    copied          bigint not null default 0,
    confirmed       bigint not null default 0,
    failed          bigint not null default 0,
    unresolved      bigint not null default 0,
    bought          bigint not null default 0,
    sold            bigint not null default 0,
    fees            bigint not null default 0,
    realised        bigint not null default 0,
    open_cost       bigint not null default 0,
    payouts         bigint not null default 0,
    paper_bought    bigint not null default 0,
    paper_sold      bigint not null default 0,
    paper_open_cost bigint not null default 0,
    slippage        bigint not null default 0,
    -- Of a copy that has ended; null: the row is about something else.
    delay_us        integer,
    ended_at        timestamptz
);
create index statistics_delta_subscription on statistics_delta (subscription_id);

create view statistics as
select subscription_id, leader_trades, copied, confirmed, failed, unresolved, bought, sold, fees,
       realised, open_cost, payouts, paper_bought, paper_sold, paper_open_cost, slippage
from statistics_sum
union all
select subscription_id, leader_trades, copied, confirmed, failed, unresolved, bought, sold, fees,
       realised, open_cost, payouts, paper_bought, paper_sold, paper_open_cost, slippage
from statistics_delta;

-- What each copy's fills were worse than the leader's price, USDC 1e-6; less than 0: better. The
-- leader's part is rounded against the follower, so that sums are exact and never too good.
create view copy_slippage as
select o.order_key, o.subscription_id, o.follower_proxy, o.asset_id,
       case o.side
           when 'BUY' then o.filled_notional_micros
               - div(d.leader_notional_micros * o.filled_size_micros, d.leader_size_micros)
           else div(d.leader_notional_micros * o.filled_size_micros + d.leader_size_micros - 1,
                    d.leader_size_micros) - o.filled_notional_micros
       end as micros
from orders o join decision d
  on d.leader_tx = o.leader_tx and d.leader = o.leader and d.asset_id = o.asset_id
 and d.side = o.side and d.subscription_id = o.subscription_id
where o.filled_size_micros > 0 and d.leader_notional_micros > 0;

-- Slippage hangs on two rows, an order and its decision, which different transactions change: none of
-- them knows by how much. Each marks the order; what an order had counted for is kept beside it.
create table slippage_due (
    order_key       text not null,
    subscription_id text not null,
    asset_id        text not null
);
create index slippage_due_subscription on slippage_due (subscription_id, asset_id);
create table slippage_kept (
    order_key text primary key,
    -- Null: the order has none (any more).
    micros    bigint
) with (fillfactor = 80);
create table slippage_sum (
    subscription_id text not null,
    asset_id        text not null,
    orders          bigint not null,
    micros          bigint not null,
    primary key (subscription_id, asset_id)
) with (fillfactor = 50);

-- What the sums do not have yet: `orders` and `micros` more, for each order that is marked.
create view slippage_unkept as
select m.subscription_id, m.asset_id, (c.micros is not null)::int - (k.micros is not null)::int as orders,
       coalesce(c.micros, 0) - coalesce(k.micros, 0) as micros
from (select distinct order_key, subscription_id, asset_id from slippage_due) m
left join copy_slippage c using (order_key)
left join slippage_kept k using (order_key);

-- As before; and a copy that ends tells its delay, once: after a breach it ends again.
create function count_orders() returns trigger language plpgsql as $$
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

create function mark_slippage() returns trigger language plpgsql as $$
begin
    insert into slippage_due (order_key, subscription_id, asset_id)
    values (new.order_key, new.subscription_id, new.asset_id);
    return null;
end $$;

create function count_decisions() returns trigger language plpgsql as $$
begin
    insert into statistics_delta (subscription_id, leader_trades, copied, paper_bought, paper_sold,
                                  paper_open_cost)
    select subscription_id, count(*), count(*) filter (where copied),
           coalesce(sum((frozen->>'paper_notional_micros')::bigint)
                    filter (where side = 'BUY' and frozen ? 'paper_size_micros'), 0),
           coalesce(-sum((frozen->>'paper_notional_micros')::bigint)
                    filter (where side = 'SELL' and frozen ? 'paper_size_micros'), 0),
           coalesce(sum((frozen->>'paper_cost_micros')::bigint)
                    filter (where frozen ? 'paper_size_micros'), 0)
    from made group by subscription_id;
    return null;
end $$;

-- A later part of the leader's trade. All its orders are marked: a transaction that fills one now is
-- not seen here, and its own mark may be gone before this is committed.
create function recount_decision() returns trigger language plpgsql as $$
declare
    v_paper_before jsonb := case when old.frozen ? 'paper_size_micros' then old.frozen end;
    v_paper jsonb := case when new.frozen ? 'paper_size_micros' then new.frozen end;
    v_notional bigint := coalesce((v_paper->>'paper_notional_micros')::bigint, 0)
        - coalesce((v_paper_before->>'paper_notional_micros')::bigint, 0);
begin
    insert into statistics_delta (subscription_id, copied, paper_bought, paper_sold,
                                  paper_open_cost)
    values (new.subscription_id, new.copied::int - old.copied::int,
            case new.side when 'BUY' then v_notional else 0 end,
            case new.side when 'SELL' then -v_notional else 0 end,
            coalesce((v_paper->>'paper_cost_micros')::bigint, 0)
                - coalesce((v_paper_before->>'paper_cost_micros')::bigint, 0));
    insert into slippage_due (order_key, subscription_id, asset_id)
    select order_key, new.subscription_id, new.asset_id from unnest(new.order_keys) order_key;
    return null;
end $$;

create function count_lots() returns trigger language plpgsql as $$
begin
    insert into statistics_delta (subscription_id, bought, sold, fees, realised, open_cost, payouts)
    select origin, sum(sign * bought_notional_micros), sum(sign * sold_notional_micros),
           sum(sign * fee_micros), sum(sign * realised_micros), sum(sign * cost_micros),
           sum(sign * payout_micros)
    from (select 1 as sign, * from after_all union all select -1, * from before_all) moved
    where origin <> 'manual'
    group by origin;
    return null;
end $$;

create function count_made_lots() returns trigger language plpgsql as $$
begin
    insert into statistics_delta (subscription_id, bought, sold, fees, realised, open_cost, payouts)
    select origin, sum(bought_notional_micros), sum(sold_notional_micros), sum(fee_micros),
           sum(realised_micros), sum(cost_micros), sum(payout_micros)
    from made where origin <> 'manual'
    group by origin;
    return null;
end $$;

-- As before, with delays, and without a flush: a fold that a crash undoes is made again.
create function fold_statistics(p_limit integer) returns bigint language plpgsql as $$
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

create function last_delays(p_delays integer[]) returns integer[] language sql immutable
return p_delays[greatest(1, cardinality(p_delays) - 199):];

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

-- Once for each row that matters: of the five changes of an order's state one does.
create trigger order_made_counted after insert on orders for each row
    when (new.subscription_id is not null
          and new.state in ('CONFIRMED', 'FAILED', 'LOST', 'UNKNOWN', 'DEAD', 'RESURRECTED'))
    execute function count_orders();
create trigger order_counted after update of state on orders for each row
    when (new.subscription_id is not null and old.state <> new.state
          and (old.state in ('CONFIRMED', 'FAILED', 'LOST', 'UNKNOWN', 'DEAD', 'RESURRECTED')
               or new.state in ('CONFIRMED', 'FAILED', 'LOST', 'UNKNOWN', 'DEAD', 'RESURRECTED')))
    execute function count_orders();
create trigger order_made_marked after insert on orders for each row
    when (new.subscription_id is not null and new.filled_size_micros > 0)
    execute function mark_slippage();
create trigger order_marked after update of filled_size_micros, filled_notional_micros on orders
    for each row
    when (new.subscription_id is not null
          and (old.filled_size_micros, old.filled_notional_micros)
              is distinct from (new.filled_size_micros, new.filled_notional_micros))
    execute function mark_slippage();
create trigger decision_made_counted after insert on decision referencing new table as made
    for each statement execute function count_decisions();
create trigger decision_recounted after update on decision for each row
    when ((old.copied, old.frozen, old.leader_size_micros, old.leader_notional_micros)
          is distinct from
          (new.copied, new.frozen, new.leader_size_micros, new.leader_notional_micros))
    execute function recount_decision();
create trigger lot_counted after update on lot
    referencing old table as before_all new table as after_all
    for each statement execute function count_lots();
create trigger lots_made_counted after insert on lot referencing new table as made
    for each statement execute function count_made_lots();
