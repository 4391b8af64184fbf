-- Orders, their states and reservations.

-- One row per legal transition, filled from the table in tradingtools/domain/order_states.py by
-- `migrate`; the foreign key of order_event makes an illegal one impossible.
create table order_transition (
    from_state text not null,
    to_state   text not null,
    primary key (from_state, to_state)
);

create table orders (
    -- No regular expression: each change of an order would make it anew.
    order_key            text primary key check (octet_length(order_key) = 64
                             and ltrim(order_key, '0123456789abcdef') = ''),
    copy_key             text not null,
    ordinal              integer not null check (ordinal >= 0),
    purpose              text not null check (purpose in ('ENTRY', 'COPY_EXIT', 'GUARD_EXIT')),
    subscription_id      text,
    subscription_version bigint not null,
    trigger_id           text,
    follower_user_id     text not null,
    follower_wallet_id   text not null,
    follower_proxy       text not null,
    partition            integer not null,
    leader               text not null default '',
    leader_tx            text not null default '',
    condition_id         text not null,
    asset_id             text not null,
    side                 text not null check (side in ('BUY', 'SELL')),
    size_micros          bigint not null check (size_micros > 0),
    limit_micros         bigint not null check (limit_micros between 1 and 999999),
    time_in_force        text not null check (time_in_force in ('FAK', 'FOK')),
    not_after_ms         bigint not null,
    body                 bytea not null,
    body_hash            text not null,
    journal_seq          bigint not null,
    control_seq          bigint not null,
    state                text not null,
    failed_kind          text check (failed_kind in ('UNSENT', 'REJECTED', 'KILLED', 'UNDONE')),
    reason               text not null default '',
    epoch                bigint not null default 0,
    attempt              integer not null default 0,
    lease_until          timestamptz,
    not_found_count      integer not null default 0,
    next_check_at        timestamptz,
    venue_order_id       text not null default '',
    filled_size_micros     bigint not null default 0 check (filled_size_micros >= 0),
    filled_notional_micros bigint not null default 0 check (filled_notional_micros >= 0),
    fee_micros             bigint not null default 0 check (fee_micros >= 0),
    traceparent          text not null default '',
    received_ns          bigint not null default 0,
    routed_ns            bigint not null default 0,
    claimed_ns           bigint not null default 0,
    -- How long the collar held it between the two.
    held_ns              bigint not null default 0,
    submitting_ns        bigint not null default 0,
    first_byte_ns        bigint not null default 0,
    answered_ns          bigint not null default 0,
    confirmed_ns         bigint not null default 0,
    chain_head           bytea not null,
    created_at           timestamptz not null default clock_timestamp(),
    -- The epoch of the UNKNOWN that is to be sent again. Any transition after it that counts has a
    -- higher epoch, and any other leaves UNKNOWN: nothing has to be taken back.
    send_again_epoch     bigint,
    -- insiders-api has never said that one key is one order; the settings do.
    send_again_by_settings boolean not null default false,
    check (filled_size_micros <= size_micros),
    check ((state = 'FAILED') = (failed_kind is not null)),
    unique (copy_key, ordinal)
);
create index orders_open on orders (partition, state, next_check_at)
    where state in ('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN');
create index orders_subscription on orders (subscription_id, created_at);
create index orders_lot on orders (follower_proxy, asset_id);
create index orders_trigger on orders (trigger_id) where trigger_id is not null;
create index orders_send_again on orders (partition)
    where state = 'UNKNOWN' and send_again_epoch = epoch;
-- Orders that are asked for although the engine is done with them. One whose watch is over has
-- next_check_at = 9000-01-01 and leaves the index.
create index orders_watched on orders (coalesce(next_check_at, '-infinity'::timestamptz))
    where state in ('DEAD', 'RESURRECTED', 'CONFIRMED', 'FAILED', 'LOST')
      and next_check_at is distinct from '9000-01-01 00:00:00+00'::timestamptz;
-- What a person has to know of: few, listed and counted.
create index orders_unresolved on orders (state)
    where state in ('UNKNOWN', 'DEAD', 'LOST', 'RESURRECTED');
-- What a router remembers of its orders when it starts is the youngest of them.
create index orders_created on orders (partition, created_at);
-- The few entries of a lot that may still fill.
create index orders_entry_open on orders (subscription_id, asset_id)
    where purpose = 'ENTRY' and state not in ('CONFIRMED', 'FAILED', 'LOST');

-- Audit of every transition: one hash chain per order.
create table order_event (
    event_seq   bigint primary key default nextval('log_number_seq'),
    order_key   text not null references orders,
    from_state  text not null,
    to_state    text not null,
    reason      text not null,
    epoch       bigint not null,
    occurred_at timestamptz not null default clock_timestamp(),
    detail      bytea,
    hash        bytea not null,
    foreign key (from_state, to_state) references order_transition
);
-- Who empties the table begins to count anew.
alter sequence log_number_seq owned by order_event.event_seq;
create index order_event_order on order_event (order_key, event_seq);

create table reservation (
    order_key       text primary key references orders,
    follower_proxy  text not null,
    subscription_id text,
    condition_id    text not null,
    asset_id        text not null,
    money_micros    bigint not null check (money_micros >= 0),
    shares_micros   bigint not null check (shares_micros >= 0),
    released_at     timestamptz
);
create index reservation_open on reservation (follower_proxy, asset_id) where released_at is null;
-- Which slices of exits have ended lately: a router that begins again looks for what they left.
create index reservation_exit_ended on reservation (released_at)
    where shares_micros > 0 and released_at is not null;

-- Acceptances that came after their order had been fenced: evidence, not a transition. What becomes
-- of the order is decided by confirm's question by key, or by a person who finds this here.
create table late_acceptance (
    order_key      text primary key references orders,
    venue_order_id text not null,
    -- The state in which the answer found the order.
    found_state    text not null,
    answered_ns    bigint not null,
    detail         text not null,
    noted_at       timestamptz not null default clock_timestamp()
);

-- What operators have decided about orders that nobody else can end. control writes it together
-- with its audit; confirm, the only one that books, carries it out and says what came of it.
create table order_resolution (
    id                     bigint generated always as identity primary key,
    order_key              text not null references orders,
    from_state             text not null check (from_state in ('DEAD', 'RESURRECTED')),
    epoch                  bigint not null,
    to_state               text not null check (to_state in ('CONFIRMED', 'FAILED')),
    -- What stands at the venue in all, as the operator has found out; null: what is booked.
    filled_size_micros     bigint check (filled_size_micros > 0),
    filled_notional_micros bigint check (filled_notional_micros >= 0),
    fee_micros             bigint check (fee_micros >= 0),
    evidence               text not null check (evidence <> ''),
    operator               text not null check (operator <> ''),
    control_seq            bigint not null,
    requested_at           timestamptz not null default clock_timestamp(),
    done_at                timestamptz,
    -- Why it was not carried out; empty: it was.
    refused                text,
    check (num_nulls(filled_size_micros, filled_notional_micros, fee_micros) in (0, 3)),
    check (to_state = 'CONFIRMED' or filled_size_micros is null),
    check ((done_at is null) = (refused is null))
);
create unique index order_resolution_open on order_resolution (order_key) where done_at is null;
create index order_resolution_order on order_resolution (order_key, id);

create function build_claimed(p_seq bigint, p_partition integer, p_payload json)
returns void language sql as $$
    with input as (
        select * from json_to_recordset(p_payload->'orders') as t(
            order_key text, copy_key text, ordinal integer, purpose text, subscription_id text,
            subscription_version bigint, trigger_id text, follower_user_id text,
            follower_wallet_id text, follower_proxy text, leader text, leader_tx text,
            condition_id text, asset_id text, side text, size_micros bigint, limit_micros bigint,
            time_in_force text, not_after_ms bigint, body text, body_hash text,
            reserved_money_micros bigint, reserved_shares_micros bigint, control_seq bigint,
            traceparent text, received_ns bigint, routed_ns bigint)
    ),
    claimed as (
        insert into orders (
            order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
            trigger_id, follower_user_id, follower_wallet_id, follower_proxy, partition, leader,
            leader_tx, condition_id, asset_id, side, size_micros, limit_micros, time_in_force,
            not_after_ms, body, body_hash, journal_seq, control_seq, state, traceparent,
            received_ns, routed_ns, claimed_ns, chain_head)
        select order_key, copy_key, ordinal, purpose, nullif(subscription_id, ''),
               subscription_version, nullif(trigger_id, ''), follower_user_id,
               follower_wallet_id, follower_proxy, p_partition, leader, leader_tx, condition_id,
               asset_id, side, size_micros, limit_micros, time_in_force, not_after_ms,
               convert_to(body, 'UTF8'), body_hash, p_seq, control_seq, 'CLAIMED', traceparent,
               received_ns, routed_ns,
               (select (extract(epoch from committed_at) * 1000000)::bigint * 1000
                from journal where seq = p_seq),
               sha256(convert_to(concat_ws('|', order_key, 'CLAIMED', body_hash, p_seq), 'UTF8'))
        from input
        on conflict (order_key) do nothing
        returning order_key, chain_head
    ),
    noted as (
        insert into order_event (order_key, from_state, to_state, reason, epoch, hash)
        select order_key, '', 'CLAIMED', '', 0, chain_head from claimed
    )
    insert into reservation (order_key, follower_proxy, subscription_id, condition_id, asset_id,
                             money_micros, shares_micros)
    select i.order_key, i.follower_proxy, nullif(i.subscription_id, ''), i.condition_id,
           i.asset_id, i.reserved_money_micros, i.reserved_shares_micros
    from input i join claimed c on c.order_key = i.order_key;

    insert into decision (
        leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy, copied,
        reason, detail, leader_size_micros, leader_notional_micros, frozen, ordered_size_micros,
        order_keys, journal_seq, title)
    select leader_tx, leader, asset_id, side, subscription_id, condition_id, follower_proxy,
           copied, reason, detail, leader_size_micros, leader_notional_micros, frozen,
           ordered_size_micros,
           array(select json_array_elements_text(order_keys)), p_seq, title
    from json_to_recordset(p_payload->'decisions') as t(
        leader_tx text, leader text, asset_id text, side text, subscription_id text,
        condition_id text, follower_proxy text, copied boolean, reason text, detail text,
        leader_size_micros bigint, leader_notional_micros numeric, frozen jsonb,
        ordered_size_micros bigint, order_keys json, title text)
    on conflict (leader_tx, leader, asset_id, side, subscription_id) do update set
        copied = excluded.copied, reason = excluded.reason, detail = excluded.detail,
        leader_size_micros = excluded.leader_size_micros,
        leader_notional_micros = excluded.leader_notional_micros, frozen = excluded.frozen,
        ordered_size_micros = excluded.ordered_size_micros, order_keys = excluded.order_keys,
        journal_seq = excluded.journal_seq, updated_at = clock_timestamp()
    where decision.journal_seq < excluded.journal_seq;

    insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros, source,
                            count, price_micros, condition_id, traded_ms, held_before_micros,
                            partition)
    select leader_tx, leader, asset_id, side, price_text, size_micros, source, count,
           price_micros, condition_id, traded_ms, held_before_micros, p_partition
    from json_to_recordset(p_payload->'rows') as t(
        leader_tx text, leader text, asset_id text, side text, price_text text,
        size_micros bigint, source text, count integer, price_micros bigint, condition_id text,
        traded_ms bigint, held_before_micros bigint)
    on conflict (leader_tx, leader, asset_id, side, partition, price_text, size_micros, source)
        do update set count = greatest(leader_row.count, excluded.count),
                      held_before_micros = coalesce(leader_row.held_before_micros,
                                                    excluded.held_before_micros);
$$;

-- As before, and with a transition come the sums of what was booked with it. Orders are looked up by
-- their keys: a plan that was made while there were few of them would read all there are ever since.
create function apply_transitions(p_transitions jsonb)
returns table (order_key text, event_seq bigint) language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off as $$
    with instant as materialized (select clock_timestamp() as at),
    input as (
        select * from jsonb_to_recordset(p_transitions) as t(
            order_key text, from_state text, to_state text, expected_epoch bigint, epoch bigint,
            attempt integer, reason text, failed_kind text, venue_order_id text,
            lease_ms integer, next_check_ms integer, not_found_count integer,
            held_ns bigint, submitting_ns bigint, first_byte_ns bigint, answered_ns bigint,
            confirmed_ns bigint, detail text, size bigint, notional bigint, fee bigint)
    ),
    changed as (
        update orders o set
            state = i.to_state,
            epoch = coalesce(i.epoch, o.epoch),
            attempt = coalesce(i.attempt, o.attempt),
            reason = coalesce(i.reason, ''),
            failed_kind = i.failed_kind,
            venue_order_id = coalesce(i.venue_order_id, o.venue_order_id),
            lease_until = instant.at + make_interval(secs => i.lease_ms / 1000.0),
            next_check_at = instant.at + make_interval(secs => i.next_check_ms / 1000.0),
            not_found_count = coalesce(i.not_found_count, 0),
            held_ns = coalesce(i.held_ns, o.held_ns),
            submitting_ns = coalesce(i.submitting_ns, o.submitting_ns),
            first_byte_ns = coalesce(i.first_byte_ns, o.first_byte_ns),
            answered_ns = coalesce(i.answered_ns, o.answered_ns),
            confirmed_ns = coalesce(i.confirmed_ns, o.confirmed_ns),
            filled_size_micros = o.filled_size_micros + coalesce(i.size, 0),
            filled_notional_micros = o.filled_notional_micros + coalesce(i.notional, 0),
            fee_micros = o.fee_micros + coalesce(i.fee, 0),
            chain_head = sha256(o.chain_head || convert_to(concat_ws('|', i.from_state, i.to_state,
                coalesce(i.reason, ''), coalesce(i.epoch, o.epoch),
                (extract(epoch from instant.at) * 1000000)::bigint), 'UTF8'))
        from input i, instant
        where o.order_key = i.order_key and o.state = i.from_state
          and o.epoch = i.expected_epoch
        returning o.order_key, i.from_state, o.state as to_state, o.reason, o.epoch,
                  i.detail, o.chain_head
    ),
    noted as (
        insert into order_event (order_key, from_state, to_state, reason, epoch, occurred_at,
                                 detail, hash)
        select c.order_key, c.from_state, c.to_state, c.reason, c.epoch, instant.at,
               convert_to(c.detail, 'UTF8'), c.chain_head
        from changed c, instant
        returning order_key, event_seq
    ),
    released as (
        update reservation r set released_at = clock_timestamp()
        from changed c
        where r.order_key = c.order_key and r.released_at is null
          and c.to_state in ('CONFIRMED', 'FAILED', 'LOST')
    )
    select order_key, event_seq from noted order by event_seq
$$;

-- One SUBMITTING commit of a partition at a time: the second sees the record of the first.
create function lock_submitting(p_partition integer) returns void language sql as
$$ select pg_advisory_xact_lock(7305002, p_partition) $$;

-- What holds these orders back now, whatever became of them before; no row: nothing.
create function held_back(
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
) returns table (order_key text, reason text) language sql as $$
    with o as (
        select * from unnest(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets,
                             p_leaders, p_conditions, p_not_afters)
            as t(order_key, purpose, subscription_id, version, wallet, leader, condition_id,
                 not_after_ms)
    ), held as (
        select o.order_key, bool_or(h.mode = 'HALTED') as halted,
               bool_or(h.mode = 'REDUCING') as reducing
        from o join halt h
          on h.scope = 'GLOBAL'
          or (h.scope = 'WALLET' and h.subject = o.wallet)
          or (h.scope = 'LEADER' and h.subject = o.leader)
          or (h.scope = 'MARKET' and h.subject = o.condition_id)
        group by o.order_key
    ), judged as (
        select o.order_key,
               case
                   when o.not_after_ms <= extract(epoch from clock_timestamp()) * 1000
                       then 'EXPIRED'
                   when held.halted then 'HALTED'
                   when o.purpose = 'ENTRY' and held.reducing then 'HALTED'
                   when o.purpose = 'ENTRY' and s.state is distinct from 'ACTIVE' then 'PAUSED'
                   when o.purpose = 'ENTRY' and s.version <> o.version
                       then 'SUBSCRIPTION_CHANGED'
               end as reason
        from o
        left join held on held.order_key = o.order_key
        left join subscription s on s.id = o.subscription_id
    )
    select j.order_key, j.reason from judged j where j.reason is not null
$$;

-- Why each of these orders may not be sent now; no row: it may.
create function denials(
    p_keys text[], p_purposes text[], p_subscriptions text[], p_versions bigint[],
    p_wallets text[], p_leaders text[], p_conditions text[], p_not_afters bigint[]
) returns table (order_key text, reason text) language sql as $$
    with handled as (
        select k.order_key from unnest(p_keys) k(order_key)
        join orders o on o.order_key = k.order_key
        where o.state <> 'CLAIMED'
        union
        -- It has no row to be accounted for in, or it may have been sent.
        select a.order_key from journal j, unnest(j.aside_keys) a(order_key)
        where j.set_aside is not null and a.order_key = any(p_keys)
    )
    select h.order_key, 'HANDLED_BEFORE' from handled h
    union all
    select b.order_key, b.reason
    from held_back(p_keys, p_purposes, p_subscriptions, p_versions, p_wallets, p_leaders,
                   p_conditions, p_not_afters) b
    where not exists (select 1 from handled h where h.order_key = b.order_key)
$$;

-- Make a batch durable as SUBMITTING, or say why not.
-- p_not_after: the earliest of its orders, milliseconds. p_orders: for the gates, JSON, an object of
-- order_key, purpose, subscription_id, version, wallet, leader, condition_id, not_after_ms for each.
-- {"seq": n} | {"fenced": true} | {"duplicate": true} | {"denied": {order_key: reason}}
create function submit_batch(
    p_record_key text, p_partition integer, p_epoch bigint, p_payload bytea,
    p_control_seq bigint, p_keys text[], p_not_after bigint, p_orders text
) returns jsonb language plpgsql as $$
declare
    v_denied jsonb;
    v_seq bigint;
    v_open bigint;
    v_hashes bigint[] := key_hashes(p_keys);
begin
    perform lock_control_shared();
    perform lock_submitting(p_partition);
    if not holds_lease('executor', p_partition, p_epoch) then
        return jsonb_build_object('fenced', true);
    end if;
    -- A key that an open record has already becomes a row, in the order of the records, and is then
    -- refused below like any other row that is not CLAIMED any more.
    select max(j.seq) into v_open
    from journal j
    where j.partition = p_partition and j.kind = 'SUBMITTING'
      and j.rows_built_at is null and j.set_aside is null
      and exists (select unnest(j.key_hashes) intersect select unnest(v_hashes));
    if v_open is not null then
        perform build_rows(j.seq)
        from (select seq from journal
              where partition = p_partition and seq <= v_open
                and rows_built_at is null and set_aside is null
              order by seq) j;
    end if;
    -- The cheap question first: nothing halted, nothing changed since, nothing too old.
    if exists (select 1 from halt)
       or exists (select 1 from control_change
                  where seq > p_control_seq and subject_kind = 'subscription')
       or p_not_after <= extract(epoch from clock_timestamp()) * 1000
       or exists (select 1 from orders o
                  where o.order_key = any(p_keys) and o.state <> 'CLAIMED')
       or exists (select 1 from journal where set_aside is not null) then
        select jsonb_object_agg(d.order_key, d.reason) into v_denied
        from (select array_agg(order_key) as keys, array_agg(purpose) as purposes,
                     array_agg(subscription_id) as subscriptions, array_agg(version) as versions,
                     array_agg(wallet) as wallets, array_agg(leader) as leaders,
                     array_agg(condition_id) as conditions, array_agg(not_after_ms) as not_afters
              from json_to_recordset(p_orders::json) as t(
                  order_key text, purpose text, subscription_id text, version bigint, wallet text,
                  leader text, condition_id text, not_after_ms bigint)) o,
             denials(o.keys, o.purposes, o.subscriptions, o.versions, o.wallets, o.leaders,
                     o.conditions, o.not_afters) d;
        if v_denied is not null then
            return jsonb_build_object('denied', v_denied);
        end if;
    end if;
    insert into journal (kind, role, record_key, partition, epoch, payload, order_count,
                         key_hashes)
    values ('SUBMITTING', 'executor', p_record_key, p_partition, p_epoch, p_payload,
            cardinality(p_keys), v_hashes)
    on conflict (record_key) do nothing
    returning seq into v_seq;
    if v_seq is null then
        return jsonb_build_object('duplicate', true);
    end if;
    return jsonb_build_object('seq', v_seq);
end $$;

-- UNKNOWN -> SUBMITTING of one order that confirm wants to be sent again. Same locks and same gates
-- as the first time; nothing leaves before its commit is acknowledged.
-- {"epoch": n, "attempt": n} | {"fenced": true} | {"denied": reason} | {} (not wanted any more)
create function submit_again(
    p_partition integer, p_lease_epoch bigint, p_key text, p_epoch bigint, p_lease_ms integer
) returns jsonb language plpgsql as $$
declare
    v_order orders%rowtype;
    v_denied text;
begin
    perform lock_control_shared();
    if not holds_lease('executor', p_partition, p_lease_epoch) then
        return jsonb_build_object('fenced', true);
    end if;
    select * into v_order from orders
    where order_key = p_key and partition = p_partition
      and state = 'UNKNOWN' and epoch = p_epoch and send_again_epoch = p_epoch
    for update;
    if not found then
        return '{}';
    end if;
    select reason into v_denied from held_back(
        array[p_key], array[v_order.purpose], array[v_order.subscription_id],
        array[v_order.subscription_version], array[v_order.follower_proxy],
        array[v_order.leader], array[v_order.condition_id], array[v_order.not_after_ms]);
    if v_denied is not null then
        -- Asked once; whether it is wanted still is confirm's to say.
        update orders set send_again_epoch = null where order_key = p_key;
        return jsonb_build_object('denied', v_denied);
    end if;
    perform apply_transitions(jsonb_build_array(jsonb_build_object(
        'order_key', p_key, 'from_state', 'UNKNOWN', 'to_state', 'SUBMITTING',
        'expected_epoch', p_epoch, 'epoch', p_epoch + 1, 'attempt', v_order.attempt + 1,
        'lease_ms', p_lease_ms)));
    return jsonb_build_object('epoch', p_epoch + 1, 'attempt', v_order.attempt + 1);
end $$;

create trigger order_event_append_only
    before update or delete or truncate on order_event
    for each statement execute function refuse_to_change_audit();
