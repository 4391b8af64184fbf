-- What lies in the tables of an engine that has run for a while: 4,000 rows of nobody that the calls of
-- the contract name. Ids go down from -1, so that the contract's own begin where they would without.
set session_replication_role = replica;

insert into journal (seq, kind, role, record_key, partition, epoch, payload, order_count,
    key_hashes, rows_built_at)
overriding system value
select -n, case n % 2 when 0 then 'CLAIMED' else 'SUBMITTING' end,
       case n % 2 when 0 then 'router' else 'executor' end, 'old ' || n, n % 2, 1, '', 1,
    array[n::bigint], clock_timestamp()
from generate_series(1, 4000) n;

insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy, leader, state,
    version, sizing_mode, sizing_micros, changed_seq)
select 'sub_' || lpad(to_hex(n), 32, '0'), 'u', 'w', '0x' || lpad(to_hex(n), 40, '0'), '0x' ||
    lpad(to_hex(n % 50), 40, '0'), 'ACTIVE', 1, 'FIXED', 1, n
from generate_series(1, 4000) n;

insert into control_change (seq, actor, source, action, subject_kind, subject_id, previous_hash,
    hash)
overriding system value
select -n, 'a', 's', 'x', 'subscription', 's' || n, '', '' from generate_series(1, 4000) n;

insert into orders (order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
    follower_user_id,
  follower_wallet_id, follower_proxy, partition, leader, leader_tx, condition_id, asset_id, side,
    size_micros, limit_micros,
  time_in_force, not_after_ms, body, body_hash, journal_seq, control_seq, state, chain_head,
    created_at)
select lpad(to_hex(n), 64, '0'), 'copy ' || n, 0, 'ENTRY', 'sub_' || lpad(to_hex(n), 32, '0'), 1,
    'u', 'w',
  '0x' || lpad(to_hex(n), 40, '0'), n % 2, '0x' || lpad(to_hex(n % 50), 40, '0'), '0x' ||
    lpad(to_hex(n), 64, '0'),
  '0x' || lpad(to_hex(n % 99), 64, '0'), n::text, 'BUY', 5000000, 500000, 'FAK', 1, '', '', n, 0,
    'CONFIRMED', '',
  clock_timestamp() - make_interval(mins => n)
from generate_series(1, 4000) n;

insert into reservation (order_key, follower_proxy, subscription_id, condition_id, asset_id,
    money_micros, shares_micros, released_at)
select order_key, follower_proxy, subscription_id, condition_id, asset_id, 1, 0, created_at from
    orders;

insert into order_event (event_seq, order_key, from_state, to_state, reason, epoch, hash)
overriding system value
select -row_number() over (), order_key, 'SUBMITTING', 'SUBMITTED', '', 1, '' from orders;

insert into decision (leader_tx, leader, asset_id, side, subscription_id, condition_id,
    follower_proxy, copied, reason, detail,
  leader_size_micros, leader_notional_micros)
select leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy, true, '',
    '', 1, 1 from orders;

insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros, source, count,
    price_micros, condition_id, traded_ms)
select leader_tx, leader, asset_id, side, '0.5', 1, 'FEED', 1, 500000, condition_id, 1 from orders;

insert into fill (order_key, trade_id, status, size_micros, notional_micros, fee_micros,
    subscription_id)
select order_key, 't', 'CONFIRMED', 1, 1, 0, subscription_id from orders;

insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros, cost_micros)
select follower_proxy, asset_id, subscription_id, condition_id, 5, 1 from orders;

insert into lot_entry (entry_seq, follower_proxy, asset_id, origin, order_key, trade_id,
    size_micros, cost_micros)
overriding system value
select -row_number() over (), follower_proxy, asset_id, subscription_id, order_key, 't', 5, 1 from
    orders;

insert into booking (fill_seq, kind, order_key, trade_id, size_micros, notional_micros, fee_micros,
    realised_micros, order_state,
  order_filled_micros, lot_shares_micros, lot_cost_micros)
overriding system value
select -row_number() over (), 'MATCHED', order_key, 't', 1, 1, 0, 0, 'CONFIRMED', 1, 5, 1 from
    orders;

insert into follower_balance (follower_proxy)
select distinct follower_proxy from orders;

insert into funding (follower_proxy, funded_micros, before_micros, changed_seq)
select distinct follower_proxy, 1, 0, 1 from orders;

insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type, price_micros,
    status)
select 'trg_' || lpad(to_hex(journal_seq), 32, '0'), follower_proxy, condition_id, asset_id,
    subscription_id, 'STOP_LOSS', 400000, 'ARMED' from orders;

insert into trigger_event (event_seq, trigger_id, from_status, to_status, detail)
overriding system value
select -row_number() over (), id, 'ARMED', 'TRIGGERED', '' from trigger;

insert into leader_holding (leader, asset_id, condition_id, shares_micros)
select leader, asset_id, condition_id, 1 from orders;

insert into leader_account (leader, asked_at)
select distinct leader, now() from orders;

insert into redemption (redeem_key, follower_proxy, condition_id, round, body, state, expected_micros)
select order_key, follower_proxy, condition_id, 0, '', 'CONFIRMED', 1 from orders;
insert into payout (id, redeem_key, follower_proxy, asset_id, origin, condition_id, size_micros,
    cost_micros, share_micros, paid_micros)
overriding system value
select -row_number() over (), order_key, follower_proxy, asset_id, subscription_id, condition_id, 5,
    1, 1, 1 from orders;
set session_replication_role = origin;
