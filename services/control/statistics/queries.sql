-- name: fold
-- Add what has been changed to the sums of subscriptions, so much at most.
select fold_statistics(%(limit)s) as folded;

-- name: differences
-- Subscriptions and positions whose sums are not what adding everything up gives: none, ever. Delays are
-- compared as long as none has been dropped.
with scanned as (
    select s.id as subscription_id, d.leader_trades, d.copied, o.confirmed, o.failed, o.unresolved,
           l.bought, l.sold, l.fees, l.realised, l.open_cost, l.payouts,
           d.paper_bought, d.paper_sold, d.paper_open_cost, c.slippage
    from subscription s
    cross join lateral (
        select count(*) as leader_trades, count(*) filter (where copied) as copied,
               coalesce(sum((frozen->>'paper_notional_micros')::bigint)
                        filter (where side = 'BUY' and frozen ? 'paper_size_micros'), 0)
                   as paper_bought,
               coalesce(-sum((frozen->>'paper_notional_micros')::bigint)
                        filter (where side = 'SELL' and frozen ? 'paper_size_micros'), 0)
                   as paper_sold,
               coalesce(sum((frozen->>'paper_cost_micros')::bigint)
                        filter (where frozen ? 'paper_size_micros'), 0) as paper_open_cost
        from decision where subscription_id = s.id) d
    cross join lateral (
        select count(*) filter (where state = 'CONFIRMED') as confirmed,
               count(*) filter (where state in ('FAILED', 'LOST')) as failed,
               count(*) filter (where state in ('UNKNOWN', 'DEAD', 'RESURRECTED')) as unresolved
        from orders where subscription_id = s.id) o
    cross join lateral (
        select coalesce(sum(bought_notional_micros), 0) as bought,
               coalesce(sum(sold_notional_micros), 0) as sold,
               coalesce(sum(fee_micros), 0) as fees,
               coalesce(sum(realised_micros), 0) as realised,
               coalesce(sum(cost_micros), 0) as open_cost,
               coalesce(sum(payout_micros), 0) as payouts
        from lot where origin = s.id) l
    cross join lateral (
        select coalesce(sum(micros), 0) as slippage
        from copy_slippage where subscription_id = s.id) c
), kept as (
    select subscription_id, sum(leader_trades) as leader_trades, sum(copied) as copied,
           sum(confirmed) as confirmed, sum(failed) as failed, sum(unresolved) as unresolved,
           sum(bought) as bought, sum(sold) as sold, sum(fees) as fees, sum(realised) as realised,
           sum(open_cost) as open_cost, sum(payouts) as payouts, sum(paper_bought) as paper_bought,
           sum(paper_sold) as paper_sold, sum(paper_open_cost) as paper_open_cost,
           sum(slippage) as slippage
    from (select * from statistics
          union all
          select subscription_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, micros
          from slippage_unkept) parts
    group by subscription_id
), delays as (
    select s.id as subscription_id,
           array(select greatest(0, least((answered_ns - received_ns) / 1000, 2147483647))::integer
                 from orders
                 where subscription_id = s.id and purpose in ('ENTRY', 'COPY_EXIT')
                   and received_ns > 0 and answered_ns > 0
                   and state in ('CONFIRMED', 'FAILED', 'LOST', 'RESURRECTED')
                 order by 1) as scanned,
           array(select us
                 from (select unnest(delays) from statistics_sum where subscription_id = s.id
                       union all
                       select delay_us from statistics_delta
                       where subscription_id = s.id and delay_us is not null) of_copies (us)
                 order by 1) as kept
    from subscription s
), positions as (
    select subscription_id, asset_id, count(*) as orders, sum(micros) as micros
    from copy_slippage group by subscription_id, asset_id
), kept_positions as (
    select subscription_id, asset_id, sum(orders) as orders, sum(micros) as micros
    from (select * from slippage_sum union all select * from slippage_unkept) parts
    group by subscription_id, asset_id
)
select s.subscription_id, to_json(s)::text as scanned, to_json(k)::text as kept
from scanned s left join kept k using (subscription_id)
where (to_jsonb(s) - 'subscription_id') <> coalesce(
    to_jsonb(k) - 'subscription_id',
    (select jsonb_object_agg(key, 0) from jsonb_object_keys(to_jsonb(s) - 'subscription_id') key))
union all
select coalesce(p.subscription_id, k.subscription_id), to_json(p)::text, to_json(k)::text
from positions p full join kept_positions k using (subscription_id, asset_id)
where (coalesce(p.orders, 0), coalesce(p.micros, 0))
   <> (coalesce(k.orders, 0), coalesce(k.micros, 0))
union all
select subscription_id, scanned::text, kept::text from delays
where case when cardinality(scanned) <= 200 then kept <> scanned else cardinality(kept) < 200 end;
