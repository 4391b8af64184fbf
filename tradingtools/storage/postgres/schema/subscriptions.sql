-- Subscriptions, and what holds their orders back: halts, breakers, funding.

create table subscription (
    id                 text primary key check (id ~ '^sub_[0-9a-f]{32}$'),
    follower_user_id   text not null,
    follower_wallet_id text not null,
    follower_proxy     text not null check (follower_proxy ~ '^0x[0-9a-f]{40}$'),
    leader             text not null check (leader ~ '^0x[0-9a-f]{40}$'),
    state              text not null check (state in ('ACTIVE', 'PAUSED', 'DELETED')),
    version            bigint not null check (version > 0),
    sizing_mode        text not null
                           check (sizing_mode in ('FIXED', 'RATIO', 'PROPORTIONAL', 'TIERS')),
    sizing_micros      bigint not null check (sizing_micros >= 0),
    max_per_trade_micros  bigint check (max_per_trade_micros >= 0),
    max_per_market_micros bigint check (max_per_market_micros >= 0),
    max_slippage_micros   bigint check (max_slippage_micros between 0 and 999999),
    max_age_ms            integer check (max_age_ms > 0),
    changed_seq        bigint not null,
    created_at         timestamptz not null default clock_timestamp(),
    updated_at         timestamptz not null default clock_timestamp(),
    -- All other settings as one value (tradingtools/domain/copy_settings.py): a name that is not
    -- there is absent, what equals the default is not stored. Nobody queries the database by them.
    settings           jsonb not null default '{}',
    -- What guards each of its positions.
    triggers           jsonb not null default '{}' check (jsonb_typeof(triggers) = 'object'),
    -- Rules on its performance (tradingtools/domain/performance.py); empty: none.
    performance        jsonb not null default '{}' check (jsonb_typeof(performance) = 'object'),
    -- Who paused it, why and when; null: it is not paused.
    paused_by          text check (paused_by in ('PERSON', 'PERFORMANCE')),
    pause_reason       text not null default '',
    paused_at          timestamptz,
    -- A loss stop sells all that it holds, and what its orders under way still bring.
    exiting            boolean not null default false,
    -- By which performance rules multiply what is copied, 1e-6. It moves without a new version: what
    -- was sized before it moved stands.
    scale_micros       bigint not null default 1000000 check (scale_micros > 0),
    -- How many performance actions it has had; names the next one.
    performance_actions integer not null default 0 check (performance_actions >= 0),
    -- Rises when a person resumes it, and when he does so after a loss stop.
    session            integer not null default 1,
    baseline           integer not null default 1,
    constraint subscription_settings_check check (
        jsonb_typeof(settings) = 'object'
        and ((settings ? 'tiers') = (sizing_mode = 'TIERS'))
        and coalesce((settings->>'multiplier_micros')::bigint > 0, true)
        and coalesce((settings->>'max_per_leader_micros')::bigint >= 0, true)
        and coalesce((settings->>'max_total_micros')::bigint >= 0, true)
        and coalesce((settings->>'max_per_day_micros')::bigint >= 0, true)
        and coalesce((settings->>'max_spread_micros')::bigint between 0 and 1000000, true)
        and coalesce((settings->>'min_depth_micros')::bigint between 0 and 1000000, true)
        and coalesce((settings->>'max_positions')::bigint >= 0, true)
        and coalesce((settings->>'max_buys_per_outcome')::bigint >= 0, true)
        and coalesce((settings->>'min_price_micros')::bigint between 0 and 1000000, true)
        and coalesce((settings->>'max_price_micros')::bigint between 0 and 1000000, true)
        and coalesce((settings->>'min_leader_micros')::bigint >= 0, true)
        and coalesce((settings->>'min_seconds_to_end')::bigint >= 0, true)
        and coalesce(jsonb_typeof(settings->'leader') = 'object', true)
        and coalesce(settings->'leader'->>'on_missing' in ('SKIP', 'COPY'), true)
        and coalesce((settings->'leader'->>'min_trades_30d')::bigint >= 0, true)
        and coalesce((settings->'leader'->>'max_age_seconds')::bigint between 10 and 604800, true)
        and coalesce(settings->>'below_minimum' in ('SKIP', 'ROUND_UP', 'ACCUMULATE'), true)
        and coalesce(settings->>'sides' in ('BOTH', 'BUYS', 'SELLS'), true)
        and coalesce(settings->>'opposite_side' in ('COPY', 'FIRST_ONLY', 'SKIP'), true)
        and coalesce(settings->>'exit_mode' in ('MIRROR', 'ALL', 'NONE'), true)
        and coalesce(jsonb_typeof(settings->'shadow') = 'boolean', true)),
    constraint subscription_exit_settings_check check (
        coalesce((settings->>'exit_max_slippage_micros')::bigint between 0 and 1000000, true)),
    constraint subscription_exit_minimum_check check (
        coalesce(settings->>'exit_below_minimum' in ('ACCUMULATE', 'ROUND_UP', 'WAIT'), true)),
    constraint subscription_doubtful_book_check check (
        coalesce(settings->>'on_doubtful_book' in ('COPY', 'WAIT', 'SKIP'), true)
        and coalesce((settings->>'doubtful_book_wait_ms')::bigint between 1 and 10000, true)
        and (not settings ? 'doubtful_book_wait_ms' or settings->>'on_doubtful_book' = 'WAIT'))
);
create index subscription_follower on subscription (follower_proxy, created_at, id);
create index subscription_created on subscription (created_at, id);
create index subscription_leader on subscription (leader);
create index subscription_changed on subscription (changed_seq);

-- Whose a follower's wallet is: the user and wallet id with which insiders-api is asked for it. Once a
-- wallet has been seen it belongs to them; only an operator moves it.
create table follower_identity (
    follower_proxy     text primary key,
    follower_user_id   text not null,
    follower_wallet_id text not null,
    seen_at            timestamptz not null default clock_timestamp()
);

create table halt (
    scope   text not null check (scope in ('GLOBAL', 'WALLET', 'LEADER', 'MARKET')),
    subject text not null,
    mode    text not null check (mode in ('HALTED', 'REDUCING')),
    reason  text not null,
    set_at  timestamptz not null default clock_timestamp(),
    primary key (scope, subject)
);

-- Circuit breakers of what the executors depend on, shared by all of them: one row each, moved by
-- compare-and-set on its version. Executors read it from memory; nothing on the hot path asks here.
create table breaker (
    dependency  text primary key,
    state       text not null default 'CLOSED' check (state in ('CLOSED', 'OPEN', 'HALF_OPEN')),
    version     bigint not null default 1,
    -- How often in a row it opened: the pause doubles with it.
    openings    integer not null default 0 check (openings >= 0),
    -- From when a probe may leave (OPEN), or the one under way counts as lost (HALF_OPEN).
    retry_at_ms bigint not null default 0,
    prober      text not null default '',
    reason      text not null default '',
    changed_at  timestamptz not null default clock_timestamp(),
    check ((state = 'HALF_OPEN') = (prober <> ''))
);

-- Each move of a circuit breaker; `breaker` has only where it stands.
create table breaker_event (
    event_seq   bigint primary key default log_number(),
    dependency  text not null,
    from_state  text not null,
    to_state    text not null,
    reason      text not null,
    occurred_at timestamptz not null default clock_timestamp()
);

-- What copies of a wallet may spend, moved by the product's backend.
create table funding (
    follower_proxy text primary key check (follower_proxy ~ '^0x[0-9a-f]{40}$'),
    -- Put in less taken out.
    funded_micros  bigint not null check (funded_micros >= 0),
    -- What trading had moved of the wallet's money before the first movement: it counts neither way.
    before_micros  bigint not null,
    changed_seq    bigint not null
);
create index funding_changed on funding (changed_seq);

-- One row a movement, for ever: what makes repeating it harmless.
create table funding_operation (
    operation_id   text primary key,
    follower_proxy text not null references funding,
    amount_micros  bigint not null check (amount_micros <> 0),
    reason         text not null,
    -- After this movement.
    funded_micros  bigint not null,
    control_seq    bigint not null,
    moved_at       timestamptz not null default clock_timestamp()
);

-- False: what stands already is as strict. Call it before any row is locked.
create function halt_by_engine(
    p_scope text, p_subject text, p_mode text, p_actor text, p_reason text
) returns boolean language plpgsql as $$
declare
    v_before halt%rowtype;
    v_after halt%rowtype;
begin
    perform lock_control_exclusive();
    select * into v_before from halt where scope = p_scope and subject = p_subject;
    if v_before.mode = 'HALTED' or v_before.mode = p_mode then
        return false;
    end if;
    insert into halt (scope, subject, mode, reason)
    values (p_scope, p_subject, p_mode, p_reason)
    on conflict (scope, subject) do update
        set mode = excluded.mode, reason = excluded.reason, set_at = clock_timestamp()
    returning * into v_after;
    perform append_control_change(p_actor, 'engine', 'halt', 'halt', p_scope || ':' || p_subject,
                                  case when v_before.mode is null then null
                                       else to_jsonb(v_before) end,
                                  to_jsonb(v_after));
    return true;
end $$;

-- Let a wallet only sell from now on: under the same lock as an operator's halt, so that no SUBMITTING
-- of an entry commits after it. Call it before any row is locked.
create function reduce_wallet(p_wallet text, p_actor text, p_reason text)
returns boolean language sql as $$
    select halt_by_engine('WALLET', p_wallet, 'REDUCING', p_actor, p_reason)
$$;

create function note_breaker_move() returns trigger language plpgsql as $$
begin
    insert into breaker_event (dependency, from_state, to_state, reason)
    values (new.dependency, coalesce(old.state, 'CLOSED'), new.state, new.reason);
    return null;
end $$;

create trigger breaker_moved after update on breaker
    for each row when (old.state is distinct from new.state) execute function note_breaker_move();
create trigger breaker_event_append_only
    before update or delete or truncate on breaker_event
    for each statement execute function refuse_to_change_audit();
