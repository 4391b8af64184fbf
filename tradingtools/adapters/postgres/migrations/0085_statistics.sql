-- What a subscription has done, kept as sums instead of added up for each read: a read took 0.6 ms of
-- PostgreSQL with a few hundred orders, and more with each one. Whoever changes a row says by how much
-- in a row of its own: nobody waits for a sum that another transaction changes, and none is locked in
-- another order. control adds the differences to the sums; a read takes both (docs/adr/0033).
-- depends: 0060_gates_in_one_value

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
    slippage        bigint not null default 0
) with (fillfactor = 50);

-- By how much a transaction changed them.
create table statistics_delta (like statistics_sum including defaults);
create index statistics_delta_subscription on statistics_delta (subscription_id);

create view statistics as
select * from statistics_sum union all select * from statistics_delta;

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

create function count_orders() returns trigger language plpgsql as $$
declare
    v_before text := case when tg_op = 'UPDATE' then old.state else 'CLAIMED' end;
begin
    insert into statistics_delta (subscription_id, confirmed, failed, unresolved)
    values (new.subscription_id,
            (new.state = 'CONFIRMED')::int - (v_before = 'CONFIRMED')::int,
            (new.state in ('FAILED', 'LOST'))::int - (v_before in ('FAILED', 'LOST'))::int,
            (new.state in ('UNKNOWN', 'DEAD', 'RESURRECTED'))::int
                - (v_before in ('UNKNOWN', 'DEAD', 'RESURRECTED'))::int);
    return null;
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

create function mark_slippage() returns trigger language plpgsql as $$
begin
    insert into slippage_due (order_key, subscription_id, asset_id)
    values (new.order_key, new.subscription_id, new.asset_id);
    return null;
end $$;
create trigger order_made_marked after insert on orders for each row
    when (new.subscription_id is not null and new.filled_size_micros > 0)
    execute function mark_slippage();
create trigger order_marked after update of filled_size_micros, filled_notional_micros on orders
    for each row
    when (new.subscription_id is not null
          and (old.filled_size_micros, old.filled_notional_micros)
              is distinct from (new.filled_size_micros, new.filled_notional_micros))
    execute function mark_slippage();

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
create trigger decision_made_counted after insert on decision referencing new table as made
    for each statement execute function count_decisions();

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
create trigger decision_recounted after update on decision for each row
    when ((old.copied, old.frozen, old.leader_size_micros, old.leader_notional_micros)
          is distinct from
          (new.copied, new.frozen, new.leader_size_micros, new.leader_notional_micros))
    execute function recount_decision();

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
create trigger lot_counted after update on lot
    referencing old table as before_all new table as after_all
    for each statement execute function count_lots();

-- Lots are made empty; one that was not is counted all the same.
create function count_made_lot() returns trigger language plpgsql as $$
begin
    insert into statistics_delta (subscription_id, bought, sold, fees, realised, open_cost, payouts)
    values (new.origin, new.bought_notional_micros, new.sold_notional_micros, new.fee_micros,
            new.realised_micros, new.cost_micros, new.payout_micros);
    return null;
end $$;
create trigger lot_made_counted after insert on lot for each row
    when (new.origin <> 'manual'
          and (new.bought_notional_micros, new.sold_notional_micros, new.fee_micros,
               new.realised_micros, new.cost_micros, new.payout_micros)
              is distinct from (0, 0, 0, 0, 0, 0))
    execute function count_made_lot();

-- Add differences to the sums; returns how many there were, 0 as well when another one does it just now.
-- At most so many of each kind at once: a read takes what is left as it is.
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
               sum(payouts), sum(paper_bought), sum(paper_sold), sum(paper_open_cost), sum(slippage)
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
            slippage = kept.slippage + excluded.slippage
    )
    select count(*) into v_deltas from taken;
    return v_marks + v_deltas;
end $$;

-- What has come before. The triggers hold everybody off until this is committed.
insert into statistics_delta (subscription_id, leader_trades, copied, paper_bought, paper_sold,
                              paper_open_cost)
select subscription_id, count(*), count(*) filter (where copied),
       coalesce(sum((frozen->>'paper_notional_micros')::bigint)
                filter (where side = 'BUY' and frozen ? 'paper_size_micros'), 0),
       coalesce(-sum((frozen->>'paper_notional_micros')::bigint)
                filter (where side = 'SELL' and frozen ? 'paper_size_micros'), 0),
       coalesce(sum((frozen->>'paper_cost_micros')::bigint)
                filter (where frozen ? 'paper_size_micros'), 0)
from decision group by subscription_id;

insert into statistics_delta (subscription_id, confirmed, failed, unresolved)
select subscription_id, count(*) filter (where state = 'CONFIRMED'),
       count(*) filter (where state in ('FAILED', 'LOST')),
       count(*) filter (where state in ('UNKNOWN', 'DEAD', 'RESURRECTED'))
from orders where subscription_id is not null group by subscription_id;

insert into statistics_delta (subscription_id, bought, sold, fees, realised, open_cost, payouts)
select origin, sum(bought_notional_micros), sum(sold_notional_micros), sum(fee_micros),
       sum(realised_micros), sum(cost_micros), sum(payout_micros)
from lot where origin <> 'manual' group by origin;

insert into slippage_due (order_key, subscription_id, asset_id)
select order_key, subscription_id, asset_id from orders
where subscription_id is not null and filled_size_micros > 0;

-- What it holds now, without what it held once.
create index lot_held_by on lot (origin) where shares_micros > 0;

-- A page of fills, newest first, without reading all there are.
alter table fill add column subscription_id text;
update fill f set subscription_id = o.subscription_id from orders o where o.order_key = f.order_key;
create index fill_subscription on fill
    (subscription_id, matched_at desc, order_key desc, trade_id desc);
