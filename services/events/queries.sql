-- name: newest_number
-- Asked before `own_xid`: see core/horizon.py.
select last_value as newest from log_number_seq

-- name: own_xid
-- Greater than every transaction id that was given out before. A snapshot's xmax is not: it follows
-- the newest transaction that has ended, and later ones may run.
select pg_current_xact_id()::text::bigint as xid

-- name: oldest_xid
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xid

-- name: position
select log_number, number from event_log_position

-- name: orders_moved
select e.event_seq as number, e.occurred_at as at, e.from_state, e.to_state, e.reason,
       o.order_key, o.purpose, coalesce(o.subscription_id, '') as subscription_id,
       coalesce(o.trigger_id, '') as trigger_id, o.follower_user_id, o.follower_wallet_id,
       o.follower_proxy, o.leader, o.leader_tx, o.condition_id, o.asset_id, o.side, o.size_micros,
       o.limit_micros, o.traceparent
from order_event e join orders o using (order_key)
where e.event_seq > %(after)s and e.event_seq <= %(to)s
  and e.to_state not in ('CLAIMED', 'SUBMITTING', 'CONFIRMED')
order by e.event_seq

-- name: booked
select b.fill_seq as number, b.booked_at as at, b.kind, b.order_state, b.trade_id,
       b.size_micros as fill_size_micros, b.notional_micros, b.fee_micros, b.realised_micros,
       b.order_filled_micros as filled_micros, b.lot_shares_micros, b.lot_cost_micros,
       o.order_key, o.purpose, coalesce(o.subscription_id, '') as subscription_id,
       coalesce(o.trigger_id, '') as trigger_id, o.follower_user_id, o.follower_wallet_id,
       o.follower_proxy, o.leader, o.leader_tx, o.condition_id, o.asset_id, o.side, o.size_micros,
       o.limit_micros, o.traceparent
from booking b join orders o using (order_key)
where b.fill_seq > %(after)s and b.fill_seq <= %(to)s and b.kind <> 'CONFIRMED'
order by b.fill_seq

-- name: paid_out
select b.fill_seq as number, b.booked_at as at, p.follower_proxy, p.asset_id, p.origin,
       p.condition_id, p.size_micros, p.share_micros, p.paid_micros, b.realised_micros
from booking b join payout p on p.id = b.payout_id
where b.fill_seq > %(after)s and b.fill_seq <= %(to)s
order by b.fill_seq

-- name: corrected
select b.fill_seq as number, b.booked_at as at, c.follower_proxy, c.asset_id, c.origin,
       c.condition_id, c.reason, c.shares_micros, c.left_micros
from booking b join lot_correction c on c.id = b.correction_id
where b.fill_seq > %(after)s and b.fill_seq <= %(to)s
order by b.fill_seq

-- name: triggers_moved
select e.event_seq as number, e.occurred_at as at, e.trigger_id, t.follower_proxy, t.condition_id,
       t.asset_id, t.origin, t.trigger_type, e.from_status, e.to_status, e.detail, e.order_key
from trigger_event e join trigger t on t.id = e.trigger_id
where e.event_seq > %(after)s and e.event_seq <= %(to)s
order by e.event_seq

-- name: control_changed
select seq as number, changed_at as at, actor, source, action, subject_kind as kind,
       subject_id as subject, before, after
from control_change
where seq > %(after)s and seq <= %(to)s and subject_kind not in ('trigger', 'breaker')
order by seq

-- name: breakers_moved
select event_seq as number, occurred_at as at, dependency, from_state, to_state, reason
from breaker_event
where event_seq > %(after)s and event_seq <= %(to)s
order by event_seq

-- name: quarantined
select id as number, quarantined_at as at, stream, consumer, cursor, reason
from dead_letter
where id > %(after)s and id <= %(to)s
order by id

-- name: webhooks_changed
select event_seq as number, occurred_at as at, endpoint_id, action, url, actor, reason
from webhook_event
where event_seq > %(after)s and event_seq <= %(to)s
order by event_seq

-- name: credentials_changed
select e.event_seq as number, e.occurred_at as at, e.wallet_id, e.action, e.actor, e.reason,
       w.name, w.exchange, w.environment, w.account
from wallet_event e join trading_wallet w on w.id = e.wallet_id
where e.event_seq > %(after)s and e.event_seq <= %(to)s
order by e.event_seq

-- name: bots_moved
-- With the last state of rest before, by which a start is a resumption or a takeover.
select e.event_seq as number, e.occurred_at as at, e.what, e.actor, e.reason,
       coalesce((select p.what from bot_event p
                 where p.bot_id = e.bot_id and p.event_seq < e.event_seq
                   and p.what in ('RUNNING', 'PAUSED', 'STOPPED', 'RISK_STOPPED', 'ERROR')
                 order by p.event_seq desc limit 1), '') as before,
       b.id as bot_id, b.tenant, b.name, b.wallet_id, w.exchange, b.strategy
from bot_event e join bot b on b.id = e.bot_id join trading_wallet w on w.id = b.wallet_id
where e.event_seq > %(after)s and e.event_seq <= %(to)s
order by e.event_seq

-- name: risk_moved
select event_seq as number, occurred_at as at, tenant, scope, subject, limit_name, action, detail
from risk_event
where event_seq > %(after)s and event_seq <= %(to)s
order by event_seq

-- name: bot_orders_moved
select e.event_seq as number, e.occurred_at as at, e.order_id, e.slot, e.instrument_id, e.side,
       e.price, e.size, e.filled, e.from_state, e.to_state, e.code,
       b.id as bot_id, b.tenant, b.name, b.wallet_id, w.exchange, b.strategy
from bot_order_event e join bot b on b.id = e.bot_id join trading_wallet w on w.id = b.wallet_id
where e.event_seq > %(after)s and e.event_seq <= %(to)s
order by e.event_seq

-- name: bots_filled
select f.event_seq as number, f.booked_at as at, f.order_id, o.slot, f.instrument_id, f.side,
       f.trade_id, f.undone, f.maker, f.price, f.size, f.fee, f.fee_currency,
       (select sum(case when p.undone then -p.size else p.size end) from bot_fill p
        where p.venue = f.venue and p.order_id = f.order_id
          and p.event_seq <= f.event_seq)::bigint as filled,
       (o.detail #>> '{order,instrument,price_digits}')::integer as price_digits,
       (o.detail #>> '{order,instrument,size_digits}')::integer as size_digits,
       (o.detail #>> '{order,instrument,money_digits}')::integer as money_digits,
       b.id as bot_id, b.tenant, b.name, b.wallet_id, w.exchange, b.strategy
from bot_fill f join bot_order o on o.order_id = f.order_id join bot b on b.id = f.bot_id
     join trading_wallet w on w.id = b.wallet_id
where f.event_seq > %(after)s and f.event_seq <= %(to)s
order by f.event_seq

-- name: processes_moved
select event_seq as number, occurred_at as at, process, action, detail
from process_event
where event_seq > %(after)s and event_seq <= %(to)s
order by event_seq

-- name: claimed
select seq as number, committed_at as at, convert_from(payload, 'UTF8') as payload
from journal
where seq > %(after)s and seq <= %(to)s and kind = 'CLAIMED' and role = 'router'
order by seq

-- name: append
-- Events behind the newest one, numbered without a gap in the order that they are given in, and the
-- position behind them. No row: the lease is another's, or the position is not where it was left.
with moved as (
    update event_log_position set log_number = %(to)s, number = %(last)s
    where log_number = %(after)s and number = %(number)s
      and holds_lease(%(role)s, %(partition)s, %(epoch)s)
    returning number
), added as (
    insert into event (number, log_number, part, type, subject, occurred_at, follower_proxy,
                       subscription_id, traceparent, data)
    select %(number)s::bigint + e.place, e.log_number, e.part, e.type, e.subject, e.occurred_at,
           e.follower_proxy, e.subscription_id, e.traceparent, e.data
    from moved, rows from (json_to_recordset(%(events)s::json) as (
        log_number bigint, part smallint, type text, subject text, at timestamptz,
        follower_proxy text, subscription_id text, traceparent text, data text
    )) with ordinality as e(log_number, part, type, subject, occurred_at, follower_proxy,
                            subscription_id, traceparent, data, place)
)
select number from moved

-- name: forget
-- The log, to be made again from its sources.
truncate event

-- name: forget_position
update event_log_position set log_number = 0, number = 0

-- name: exits_traced
-- Exits of the guard, with the traces of the newest entries of their lots.
select o.order_key, o.traceparent, o.received_ns, o.state, coalesce(o.trigger_id, '') as trigger_id,
       greatest(o.confirmed_ns, o.answered_ns) as ended_ns,
       array(select e.traceparent from orders e
             where e.follower_proxy = o.follower_proxy and e.asset_id = o.asset_id
               and e.subscription_id = o.subscription_id and e.purpose = 'ENTRY'
               and e.filled_size_micros > 0 and e.traceparent <> ''
               and e.journal_seq < o.journal_seq
             order by e.journal_seq desc limit 8) as entries
from orders o
where o.order_key = any(%(keys)s)
