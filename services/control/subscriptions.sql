-- name: insert
-- A new subscription; changed_seq follows in the same transaction.
insert into subscription (
    id, follower_user_id, follower_wallet_id, follower_proxy, leader, state, version,
    sizing_mode, sizing_micros, max_per_trade_micros, max_per_market_micros,
    max_slippage_micros, max_age_ms, settings, triggers, changed_seq, created_at, updated_at)
values (
    %(id)s, %(user_id)s, %(wallet_id)s, %(proxy)s, %(leader)s, 'ACTIVE', 1,
    %(sizing_mode)s, %(sizing_micros)s, %(max_per_trade_micros)s, %(max_per_market_micros)s,
    %(max_slippage_micros)s, %(max_age_ms)s, %(settings)s, %(triggers)s, 0,
    statement_timestamp(), statement_timestamp());

-- name: lock
-- One subscription, held until the transaction ends, with the form that the audit keeps.
select s.*, to_jsonb(s) - 'changed_seq' as audit from subscription s
where id = %(id)s for update;

-- name: get
select s.* from subscription s where id = %(id)s;

-- name: update
-- The whole changeable state; the caller has locked the row.
update subscription set
    state = %(state)s, version = version + 1, sizing_mode = %(sizing_mode)s,
    sizing_micros = %(sizing_micros)s, max_per_trade_micros = %(max_per_trade_micros)s,
    max_per_market_micros = %(max_per_market_micros)s,
    max_slippage_micros = %(max_slippage_micros)s, max_age_ms = %(max_age_ms)s,
    settings = %(settings)s, triggers = %(triggers)s,
    updated_at = clock_timestamp()
where id = %(id)s;

-- name: mark_changed
update subscription set changed_seq = %(seq)s where id = %(id)s;

-- name: list
-- Oldest first, after a key.
select s.* from subscription s
where follower_proxy = %(proxy)s
  and (%(after_at)s::timestamptz is null
       or (created_at, id) > (%(after_at)s::timestamptz, %(after_id)s::text))
order by created_at, id limit %(limit)s;

-- name: shown
-- Subscriptions with what they have done, hold and cost so far, in one statement: it is what the
-- product asks most. Ids with commas between. Held: asset, shares, cost. Delays are of the last 200 copies.
select s.*, coalesce((s.settings->>'shadow')::boolean, false) as shadow,
       k.*, h.held, t.p50, t.p90, t.last
from subscription s
cross join lateral (
    select coalesce(sum(leader_trades), 0)::bigint as leader_trades,
           coalesce(sum(copied), 0)::bigint as copied,
           coalesce(sum(confirmed), 0)::bigint as confirmed,
           coalesce(sum(failed), 0)::bigint as failed,
           coalesce(sum(unresolved), 0)::bigint as unresolved,
           coalesce(sum(bought), 0)::bigint as bought,
           coalesce(sum(sold), 0)::bigint as sold,
           coalesce(sum(fees), 0)::bigint as fees,
           coalesce(sum(realised), 0)::bigint as realised,
           coalesce(sum(open_cost), 0)::bigint as open_cost,
           coalesce(sum(payouts), 0)::bigint as payouts,
           coalesce(sum(paper_bought), 0)::bigint as paper_bought,
           coalesce(sum(paper_sold), 0)::bigint as paper_sold,
           coalesce(sum(paper_open_cost), 0)::bigint as paper_open_cost,
           coalesce(sum(slippage), 0)::bigint as slippage
    from (select * from statistics where subscription_id = s.id
          union all
          select s.id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, micros
          from slippage_unkept where subscription_id = s.id) parts) k
cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_array(asset_id, shares_micros, cost_micros)), '[]') as held
    from lot where origin = s.id and shares_micros > 0) h
cross join lateral (
    select percentile_disc(0.5) within group (order by us) as p50,
           percentile_disc(0.9) within group (order by us) as p90,
           (array_agg(us order by answered_ns desc))[1] as last
    from (select (answered_ns - received_ns) / 1000 as us, answered_ns from orders
          where subscription_id = s.id and received_ns > 0 and answered_ns > 0
            and purpose in ('ENTRY', 'COPY_EXIT')
          order by created_at desc limit 200) recent) t
where s.id = any(string_to_array(%(ids)s, ','));

-- name: fills
-- Newest first, after a key; what failed to settle did not stand.
select f.order_key, f.trade_id, f.size_micros, f.notional_micros, f.fee_micros, f.matched_at,
       f.final_at is not null as final, o.condition_id, o.asset_id, o.side, o.leader_tx, o.trigger_id
from fill f join orders o on o.order_key = f.order_key
where f.subscription_id = %(id)s and f.status <> 'FAILED'
  and (%(after_at)s::timestamptz is null
       or (f.matched_at, f.order_key, f.trade_id)
          < (%(after_at)s::timestamptz, %(after_order)s::text, %(after_trade)s::text))
order by f.matched_at desc, f.order_key desc, f.trade_id desc limit %(limit)s;

-- name: decisions
-- Newest first, after a key, perhaps of one reason, one time or one outcome only.
select leader_tx, leader, condition_id, asset_id, side, leader_size_micros,
       trunc(leader_notional_micros)::text as leader_notional_micros, copied, reason, detail,
       to_json(order_keys) as order_keys, frozen->'paper_size_micros' as paper_size_micros,
       frozen->'paper_notional_micros' as paper_notional_micros, decided_at
from decision
where subscription_id = %(id)s and (%(reason)s = '' or reason = %(reason)s)
  and (%(from_ms)s::bigint is null or decided_at >= to_timestamp(%(from_ms)s::bigint / 1000.0))
  and (%(to_ms)s::bigint is null or decided_at < to_timestamp(%(to_ms)s::bigint / 1000.0))
  and (%(copied)s::boolean is null or copied = %(copied)s::boolean)
  and (%(after_at)s::timestamptz is null
       or (decided_at, leader_tx, leader, asset_id, side)
          < (%(after_at)s::timestamptz, %(after_tx)s::text, %(after_leader)s::text,
             %(after_asset)s::text, %(after_side)s::text))
order by decided_at desc, leader_tx desc, leader desc, asset_id desc, side desc
limit %(limit)s;
