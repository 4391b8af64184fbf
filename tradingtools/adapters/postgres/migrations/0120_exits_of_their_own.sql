-- What a subscription says of its exits alone.

alter table subscription add constraint subscription_exit_settings_check check (
    coalesce((settings->>'exit_max_slippage_micros')::bigint between 0 and 1000000, true));
