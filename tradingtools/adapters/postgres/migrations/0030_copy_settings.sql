-- Settings of a subscription beyond mode and basic caps (docs/adr/0009), and what they need.

alter table subscription drop constraint subscription_sizing_mode_check;
alter table subscription add constraint subscription_sizing_mode_check
    check (sizing_mode in ('FIXED', 'RATIO', 'PROPORTIONAL', 'TIERS'));
alter table subscription add column settings jsonb not null default '{}';
alter table subscription add constraint subscription_settings_check check (
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
    and coalesce(settings->>'below_minimum' in ('SKIP', 'ROUND_UP', 'ACCUMULATE'), true)
    and coalesce(settings->>'sides' in ('BOTH', 'BUYS', 'SELLS'), true)
    and coalesce(settings->>'opposite_side' in ('COPY', 'FIRST_ONLY', 'SKIP'), true)
    and coalesce(settings->>'exit_mode' in ('MIRROR', 'ALL', 'NONE'), true)
    and coalesce(jsonb_typeof(settings->'shadow') = 'boolean', true));

-- The list of decisions is asked for by reason and by time.
create index decision_reason on decision (subscription_id, reason, decided_at desc);

-- The few decisions that left money to others or moved something on paper, found on start.
create index decision_accrued on decision (subscription_id) where frozen ? 'accrued_micros';
create index decision_paper on decision (subscription_id) where frozen ? 'paper_size_micros';

-- What a router remembers of its orders when it starts is the youngest of them.
create index orders_created on orders (partition, created_at);
