-- name: known
-- What a request under this Idempotency-Key has made.
select id, request_hash from bot where request_key = %(request_key)s;

-- name: wallet
select tenant, exchange, state from trading_wallet where id = %(id)s;

-- name: create
-- A bot with the word of who made it; nothing when its name is taken or its wallet not in use.
with made as (
    insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, limits, request_key,
                     request_hash)
    select %(id)s, w.tenant, %(name)s, w.id, %(strategy)s, %(config)s, %(instruments)s, %(limits)s,
           %(request_key)s, %(request_hash)s
    from trading_wallet w
    where w.id = %(wallet_id)s and w.state = 'ACTIVE' and w.tenant = %(tenant)s
    on conflict do nothing
    returning id
), told as (
    insert into bot_event (bot_id, what, actor) select id, 'created', %(actor)s from made
)
select id from made;

-- name: want
-- Another wish, with the word of who has it; nothing when it is wanted already, or does not fit.
with moved as (
    update bot set desired = %(desired)s, version = version + 1,
        from_state = case when state = %(restarts)s then state else from_state end,
        reason = case when state = %(restarts)s then '' else reason end,
        state = case when state = %(restarts)s then 'STARTING' else state end
    where id = %(id)s and state = any(%(states)s)
      and (%(version)s::bigint is null or version = %(version)s)
      and (desired <> %(desired)s or state = %(restarts)s)
    returning id
), told as (
    insert into bot_event (bot_id, what, actor, reason)
    select id, %(word)s, %(actor)s, %(reason)s from moved
)
select id from moved;

-- name: change
-- Other settings and limits, with the word of who wants them; nothing when its version is another.
with moved as (
    update bot set config = %(config)s, limits = %(limits)s, version = version + 1
    where id = %(id)s and version = %(version)s
    returning id
), told as (
    insert into bot_event (bot_id, what, actor, reason)
    select id, 'changed', %(actor)s, %(reason)s from moved
)
select id from moved;

-- name: killed
-- The kill switch that a bot is under.
select k.id from bot b
join trading_wallet w on w.id = b.wallet_id
join kill_switch k on k.tenant = w.tenant and k.exchange in ('', w.exchange)
where b.id = %(id)s and k.cleared_at is null limit 1;

-- name: state
select state from bot where id = %(id)s;

-- name: bots
-- Bots as they stand, with the units of what they have traded.
select b.id, b.tenant, b.name, b.wallet_id, b.strategy, b.config, b.instruments, b.limits, b.desired,
       b.state, b.reason, b.engine, b.created_at, b.changed_at, s.explanation, s.holdings, s.equity,
       s.written_at, b.version, s.version as applied_version,
       (select jsonb_object_agg(one, units.instrument)
        from unnest(b.instruments) one
        cross join lateral (select o.detail -> 'order' -> 'instrument' as instrument
                            from bot_order o
                            where o.bot_id = b.id and o.instrument_id = one limit 1) units
       ) as units
from bot b left join bot_standing s on s.bot_id = b.id

-- name: one
where b.id = %(id)s;

-- name: page
where (%(wallet)s::text = '' or b.wallet_id = %(wallet)s)
  and (%(state)s::text = '' or b.state = %(state)s)
  and (%(strategy)s::text = '' or b.strategy = %(strategy)s)
  and (%(exchanges)s::text[] is null or exists (
      select from trading_wallet w where w.id = b.wallet_id and w.exchange = any(%(exchanges)s::text[])))
  and (%(exchange)s::text = '' or exists (
      select from trading_wallet w where w.id = b.wallet_id and w.exchange = %(exchange)s))
  and (%(at)s::timestamptz is null or (b.created_at, b.id) > (%(at)s, %(after)s::text))
order by b.created_at, b.id limit %(limit)s;

-- name: orders
-- Orders of a bot before a place, the newest first.
select order_id as id, slot, instrument_id, side, price, size, filled, state, pending, venue_order_id,
       settled, created_at, changed_at, detail -> 'order' -> 'instrument' as instrument
from bot_order
where bot_id = %(bot)s and (not %(unsettled)s or not settled)
  and (%(at)s::timestamptz is null or (created_at, order_id) < (%(at)s, %(after)s::text))
order by created_at desc, order_id desc limit %(limit)s;

-- name: order
select order_id as id, slot, instrument_id, side, price, size, filled, state, pending, venue_order_id,
       settled, created_at, changed_at, detail -> 'order' -> 'instrument' as instrument
from bot_order where bot_id = %(bot)s and order_id = %(order_id)s;

-- name: settle
-- An operator's word on an order that nobody could settle; nothing when it is settled by now.
with asked as (
    insert into bot_order_settlement (order_id, bot_id, filled, actor, reason)
    select order_id, bot_id, %(filled)s, %(actor)s, %(reason)s from bot_order
    where bot_id = %(bot)s and order_id = %(order_id)s and state = any(%(states)s)
      and %(filled)s >= filled
      -- What is filled for its money fills more than its size at better prices, the best is one tick.
      and %(filled)s <= greatest(size, coalesce((detail #>> '{change,size}')::bigint, 0))
                        * case when coalesce((detail ->> 'spends')::boolean, false)
                               then price::numeric / (detail #>> '{order,instrument,tick_size}')::bigint
                               else 1 end
    on conflict (order_id) do update set filled = excluded.filled, actor = excluded.actor,
        reason = excluded.reason, asked_at = clock_timestamp(), done_at = null
    returning bot_id, order_id
), told as (
    insert into bot_event (bot_id, what, actor, reason)
    select bot_id, 'order_settled', %(actor)s, order_id || ': ' || %(reported)s || ': ' || %(reason)s
    from asked
)
select order_id from asked;

-- name: explain
with explained as (
    update position_gap g set explained = true from bot b
    where b.id = %(bot)s and g.wallet_id = b.wallet_id and g.instrument_id = %(instrument)s
      and g.missing > 0
    returning b.id, g.believed, g.held
), told as (
    insert into bot_event (bot_id, what, actor, reason)
    select id, 'position_explained', %(actor)s,
           %(instrument)s || ', ' || held || ' of ' || believed || ' units: ' || %(reason)s
    from explained
)
select id from explained;

-- name: fills
-- Fills of a bot before a place, the last booked first.
select f.event_seq, f.trade_id, f.order_id, f.instrument_id, f.side, f.price, f.size, f.fee,
       f.fee_currency, f.maker, f.undone, f.mid_price, f.traded_at,
       o.detail -> 'order' -> 'instrument' as instrument
from bot_fill f
-- The exchange's own trades have no order: any of that instrument knows its units.
join lateral (select detail from bot_order o
              where o.bot_id = f.bot_id
                and (o.order_id = f.order_id or o.instrument_id = f.instrument_id)
              order by o.order_id = f.order_id desc limit 1) o on true
where f.bot_id = %(bot)s and (%(before)s::bigint is null or f.event_seq < %(before)s)
order by f.event_seq desc limit %(limit)s;

-- name: tell_signal
-- Keeps a signal under its id, once; returns the one that is kept.
insert into bot_signal (tenant, id, instrument_id, direction, confidence, made_at, expires_at, actor)
values (%(tenant)s, %(id)s, %(instrument)s, %(direction)s, %(confidence)s, %(made_at)s,
        %(expires_at)s, %(actor)s)
on conflict (tenant, id) do update set id = excluded.id
returning tenant, id, instrument_id, direction, confidence, made_at, expires_at, received_at;

-- name: signals
-- Signals before a place, the last received first.
select tenant, id, instrument_id, direction, confidence, made_at, expires_at, received_at
from bot_signal
where (%(instrument)s::text = '' or instrument_id = %(instrument)s)
  and (%(at)s::timestamptz is null
       or (received_at, tenant, id) < (%(at)s, %(tenant)s::text, %(id)s::text))
order by received_at desc, tenant desc, id desc limit %(limit)s;
