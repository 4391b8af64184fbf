-- PostgreSQL reads all CHECKs of a table anew for each statement that writes it: for a trigger 19 kB of
-- expressions in the midst of each exit, of which 13 are about terms that an exit does not change.
-- These are judged when a trigger is made and when its terms change.
-- depends: 0095_lone_exits_in_one

alter table trigger
    drop constraint trigger_id_check,
    drop constraint trigger_trigger_type_check,
    drop constraint trigger_price_micros_check,
    drop constraint trigger_price_check,
    drop constraint trigger_size_micros_check,
    drop constraint trigger_callback_micros_check,
    drop constraint trigger_callback_ppm_check,
    drop constraint trigger_check2,
    drop constraint trigger_fire_at_ms_check,
    drop constraint trigger_check,
    drop constraint trigger_rungs_check,
    drop constraint trigger_ladder_check,
    drop constraint trigger_break_even_check,
    drop constraint trigger_two_ticks_check,
    drop constraint trigger_manual_check;

create function check_trigger_terms() returns trigger language plpgsql as $$
declare
    -- As in a CHECK, what is null breaks nothing.
    v_broken text := case
        when not new.id ~ '^trg_[0-9a-f]{32}$' then 'trigger_id_check'
        when new.trigger_type not in
            ('TAKE_PROFIT', 'STOP_LOSS', 'TRAILING_STOP', 'TIME_STOP', 'LADDER')
            then 'trigger_trigger_type_check'
        when new.price_micros not between 1 and 999999 then 'trigger_price_micros_check'
        when (new.trigger_type in ('TIME_STOP', 'LADDER')) <> (new.price_micros is null)
            then 'trigger_price_check'
        when new.size_micros <= 0 then 'trigger_size_micros_check'
        when new.callback_micros not between 1 and 999999 then 'trigger_callback_micros_check'
        when new.callback_ppm not between 1 and 999999 then 'trigger_callback_ppm_check'
        when num_nonnulls(new.callback_micros, new.callback_ppm)
            <> (new.trigger_type = 'TRAILING_STOP')::integer then 'trigger_callback_check'
        when new.fire_at_ms <= 0 then 'trigger_fire_at_ms_check'
        when (new.trigger_type = 'TIME_STOP') <> (new.fire_at_ms is not null)
            then 'trigger_time_stop_check'
        when jsonb_array_length(new.rungs) not between 1 and 10 then 'trigger_rungs_check'
        when (new.trigger_type = 'LADDER') <> (new.rungs is not null)
            then 'trigger_ladder_check'
        when new.break_even and new.trigger_type <> 'STOP_LOSS' then 'trigger_break_even_check'
        when new.two_ticks and new.trigger_type = 'TIME_STOP' then 'trigger_two_ticks_check'
        when (new.origin = 'manual') <> (new.follower_wallet_id <> '')
            then 'trigger_manual_check'
    end;
begin
    if v_broken is not null then
        raise check_violation using
            message = format('terms of trigger %s violate %I', new.id, v_broken),
            table = 'trigger', constraint = v_broken;
    end if;
    return new;
end $$;

create trigger trigger_terms_are_sound
    before insert or update of id, trigger_type, price_micros, size_micros, callback_micros,
        callback_ppm, fire_at_ms, rungs, break_even, two_ticks, origin, follower_wallet_id
    on trigger for each row execute function check_trigger_terms();
