-- What subscriptions have gained over time, by the hour. control folds it out of bookings, beside the
-- copy path; a read takes it and the few bookings that it does not have yet, so that it is exact at any
-- time.

create table lot_hour (
    origin          text not null,
    asset_id        text not null,
    -- Its first instant, UTC.
    hour            timestamptz not null,
    -- By how much the lot's sums changed within it.
    bought_micros   bigint not null,
    sold_micros     bigint not null,
    payout_micros   bigint not null,
    fee_micros      bigint not null,
    realised_micros bigint not null,
    -- What it held after the last booking within it, and what that had cost.
    shares_micros   bigint not null,
    cost_micros     bigint not null,
    primary key (origin, asset_id, hour)
) with (fillfactor = 80);

-- Bookings up to this one are in `lot_hour`.
create table lot_hour_cursor (
    one      boolean primary key default true check (one),
    fill_seq bigint not null
);

-- The best bid of what is held, at the last look within an hour; of a resolved market its payout. An
-- hour in which nobody looked at a fresh book has no row.
create table mark_hour (
    asset_id   text not null,
    hour       timestamptz not null,
    bid_micros bigint not null check (bid_micros between 0 and 1000000),
    primary key (asset_id, hour)
) with (fillfactor = 80);

-- How each booking moves the lot of a subscription.
create view lot_move as
select b.fill_seq, b.booked_at, coalesce(o.subscription_id, p.origin, c.origin) as origin,
       coalesce(o.asset_id, p.asset_id, c.asset_id) as asset_id,
       case when o.side = 'BUY' then s.sign * b.notional_micros else 0 end as bought_micros,
       case when o.side = 'SELL' then s.sign * b.notional_micros else 0 end as sold_micros,
       case b.kind when 'RESOLVED' then b.notional_micros else 0 end as payout_micros,
       s.sign * b.fee_micros as fee_micros, b.realised_micros,
       b.lot_shares_micros as shares_micros, b.lot_cost_micros as cost_micros
from booking b
cross join lateral (
    select case b.kind when 'MATCHED' then 1 when 'UNDONE' then -1 else 0 end as sign) s
-- A limit keeps the planner from reading these tables whole: it does not know how few bookings there are.
left join lateral (
    select subscription_id, asset_id, side from orders where order_key = b.order_key limit 1) o on true
left join lateral (select origin, asset_id from payout where id = b.payout_id limit 1) p on true
left join lateral (
    select origin, asset_id from lot_correction where id = b.correction_id limit 1) c on true
where b.kind in ('MATCHED', 'UNDONE', 'RESOLVED', 'CORRECTED')
  and coalesce(o.subscription_id, p.origin, c.origin) <> 'manual';

-- What `lot_hour` does not have yet.
create view lot_hour_unkept as
select origin, asset_id, date_trunc('hour', booked_at, 'UTC') as hour,
       sum(bought_micros)::bigint as bought_micros, sum(sold_micros)::bigint as sold_micros,
       sum(payout_micros)::bigint as payout_micros, sum(fee_micros)::bigint as fee_micros,
       sum(realised_micros)::bigint as realised_micros,
       (array_agg(shares_micros order by fill_seq desc))[1] as shares_micros,
       (array_agg(cost_micros order by fill_seq desc))[1] as cost_micros
from lot_move
where fill_seq > coalesce((select c.fill_seq from lot_hour_cursor c), 0)
group by origin, asset_id, date_trunc('hour', booked_at, 'UTC');

-- Fold so many bookings at most; how many were. Bookings are committed in the order of their numbers.
create function fold_lot_hours(p_limit integer) returns bigint language plpgsql as $$
declare
    v_from bigint;
    v_to bigint;
    v_number bigint;
begin
    -- Alone. Each statement below sees what whoever was here before has left.
    if not pg_try_advisory_xact_lock(hashtext('fold_lot_hours')) then
        return 0;
    end if;
    perform set_config('synchronous_commit', 'off', true);
    v_from := coalesce((select fill_seq from lot_hour_cursor), 0);
    select max(fill_seq), count(*) into v_to, v_number
    from (select fill_seq from booking where fill_seq > v_from order by fill_seq limit p_limit) t;
    if v_to is null then
        return 0;
    end if;
    insert into lot_hour as h (origin, asset_id, hour, bought_micros, sold_micros, payout_micros,
                               fee_micros, realised_micros, shares_micros, cost_micros)
    select origin, asset_id, date_trunc('hour', booked_at, 'UTC'), sum(bought_micros),
           sum(sold_micros), sum(payout_micros), sum(fee_micros), sum(realised_micros),
           (array_agg(shares_micros order by fill_seq desc))[1],
           (array_agg(cost_micros order by fill_seq desc))[1]
    from lot_move where fill_seq > v_from and fill_seq <= v_to
    group by origin, asset_id, date_trunc('hour', booked_at, 'UTC')
    on conflict (origin, asset_id, hour) do update set
        bought_micros = h.bought_micros + excluded.bought_micros,
        sold_micros = h.sold_micros + excluded.sold_micros,
        payout_micros = h.payout_micros + excluded.payout_micros,
        fee_micros = h.fee_micros + excluded.fee_micros,
        realised_micros = h.realised_micros + excluded.realised_micros,
        shares_micros = excluded.shares_micros, cost_micros = excluded.cost_micros;
    insert into lot_hour_cursor (fill_seq) values (v_to)
    on conflict (one) do update set fill_seq = excluded.fill_seq;
    return v_number;
end $$;
