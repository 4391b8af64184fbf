-- Trailing stops and time stops. A trailing stop's price is where it becomes active.
-- depends: 0010_control

alter table trigger drop constraint trigger_trigger_type_check;
alter table trigger alter column price_micros drop not null;
alter table trigger
    add column callback_micros bigint check (callback_micros between 1 and 999999),
    add column callback_ppm    integer check (callback_ppm between 1 and 999999),
    -- The best price that was seen while active: it only rises. The second is the last one that
    -- the history tells.
    add column peak_micros       bigint check (peak_micros between 1 and 999999),
    add column peak_noted_micros bigint,
    add column fire_at_ms        bigint check (fire_at_ms > 0),
    add check (trigger_type in ('TAKE_PROFIT', 'STOP_LOSS', 'TRAILING_STOP', 'TIME_STOP')),
    add check ((trigger_type = 'TIME_STOP') = (fire_at_ms is not null)),
    add check ((trigger_type = 'TIME_STOP') = (price_micros is null)),
    add check (num_nonnulls(callback_micros, callback_ppm)
               = case when trigger_type = 'TRAILING_STOP' then 1 else 0 end),
    add check (peak_micros is null or trigger_type = 'TRAILING_STOP');

create function keep_trigger_peak() returns trigger language plpgsql as $$
begin
    if new.peak_micros is null or new.peak_micros < old.peak_micros then
        raise exception 'a trailing stop never loosens: %', new.id;
    end if;
    return new;
end $$;

create trigger trigger_peak_only_rises before update of peak_micros on trigger
    for each row when (old.peak_micros is not null) execute function keep_trigger_peak();
