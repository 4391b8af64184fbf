-- name: trading_wallet
-- Whether bots trade a wallet; the caller holds the control lock, so none is added meanwhile.
select id from trading_wallet
where lower(account) = %(proxy)s and exchange = 'polymarket' and state = 'ACTIVE';

-- name: insert
-- A new subscription; changed_seq follows in the same transaction.
insert into subscription (
    id, follower_user_id, follower_wallet_id, follower_proxy, leader, state, version,
    sizing_mode, sizing_micros, max_per_trade_micros, max_per_market_micros,
    max_slippage_micros, max_age_ms, settings, triggers, performance, changed_seq, created_at,
    updated_at)
values (
    %(id)s, %(user_id)s, %(wallet_id)s, %(proxy)s, %(leader)s, %(state)s, 1,
    %(sizing_mode)s, %(sizing_micros)s, %(max_per_trade_micros)s, %(max_per_market_micros)s,
    %(max_slippage_micros)s, %(max_age_ms)s, %(settings)s, %(triggers)s, %(performance)s, 0,
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
    settings = %(settings)s, triggers = %(triggers)s, performance = %(performance)s,
    paused_at = case when %(paused_by)s::text is null then null
                     when paused_by is distinct from %(paused_by)s then clock_timestamp()
                     else paused_at end,
    paused_by = %(paused_by)s, pause_reason = %(pause_reason)s, exiting = %(exiting)s,
    scale_micros = %(scale_micros)s, session = %(session)s, baseline = %(baseline)s,
    updated_at = clock_timestamp()
where id = %(id)s;

-- name: mark_changed
update subscription set changed_seq = %(seq)s where id = %(id)s;

-- name: shown
-- Subscriptions with what they have done, hold and cost so far: what the product asks most. Which ones
-- say the next two. Held: asset, shares, cost. Unkept: what the sums do not have yet, which is rare; a
-- plan that could add it up by itself would take longer to begin than all of this takes.
select s.*, k.leader_trades, k.copied, k.confirmed, k.failed, k.unresolved, k.bought, k.sold, k.fees,
       k.realised, k.open_cost, k.payouts, k.paper_bought, k.paper_sold, k.paper_open_cost,
       k.slippage, k.delays,
       case when exists (select from statistics_delta d where d.subscription_id = s.id)
              or exists (select from slippage_due d where d.subscription_id = s.id)
            then statistics_unkept(s.id) end as unkept,
       (select json_agg(json_build_array(asset_id, shares_micros, cost_micros))
        from lot where origin = s.id and shares_micros > 0) as held
from subscription s left join statistics_sum k on k.subscription_id = s.id

-- name: shown_by_id
where s.id = %(id)s;

-- name: shown_by_wallet
-- Oldest first, after a key.
where s.follower_proxy = %(proxy)s
  and (%(after_at)s::timestamptz is null
       or (s.created_at, s.id) > (%(after_at)s::timestamptz, %(after_id)s::text))
order by s.created_at, s.id limit %(limit)s;

-- name: shown_of_all
-- Oldest first, after a key.
where (%(after_at)s::timestamptz is null
       or (s.created_at, s.id) > (%(after_at)s::timestamptz, %(after_id)s::text))
order by s.created_at, s.id limit %(limit)s;

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
-- Newest first, after a key, perhaps of one reason, one time or one outcome only; the next two end it.
-- Orders: key, state, reason, filled size; looked up for the rows of the page alone.
select leader_tx, leader, condition_id, asset_id, side, leader_size_micros,
       trunc(leader_notional_micros)::text as leader_notional_micros, copied, reason, detail,
       to_json(order_keys) as order_keys,
       case when order_keys <> '{}' then
           (select json_agg(json_build_array(o.order_key, o.state, o.reason, o.filled_size_micros)
                            order by array_position(d.order_keys, o.order_key))
            from orders o where o.order_key = any(d.order_keys)) end as orders,
       frozen->'paper_size_micros' as paper_size_micros,
       frozen->'paper_notional_micros' as paper_notional_micros, decided_at
from decision d
where subscription_id = %(id)s and (%(reason)s = '' or reason = %(reason)s)
  and (%(from_ms)s::bigint is null or decided_at >= to_timestamp(%(from_ms)s::bigint / 1000.0))
  and (%(to_ms)s::bigint is null or decided_at < to_timestamp(%(to_ms)s::bigint / 1000.0))
  and (%(copied)s::boolean is null or copied = %(copied)s::boolean)
  and (%(after_at)s::timestamptz is null
       or (decided_at, leader_tx, leader, asset_id, side)
          < (%(after_at)s::timestamptz, %(after_tx)s::text, %(after_leader)s::text,
             %(after_asset)s::text, %(after_side)s::text))

-- name: decisions_of_transaction
-- Of one transaction of the leader only. Not a condition of the above: that one's plan is made once,
-- and thought to find so little it would sort all decisions of the subscription for a page.
  and leader_tx = %(leader_tx)s

-- name: newest_decisions
order by decided_at desc, leader_tx desc, leader desc, asset_id desc, side desc
limit %(limit)s;
