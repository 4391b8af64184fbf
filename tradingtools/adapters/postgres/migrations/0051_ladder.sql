-- Ladders, stops that move to the entry price, and triggers that want a second tick.
-- depends: 0050_trigger_kinds

alter table trigger drop constraint trigger_trigger_type_check;
alter table trigger drop constraint trigger_check1;
alter table trigger
    -- A ladder's rungs, lowest price first: price_micros, and share_ppm of basis_micros.
    add column rungs        jsonb check (jsonb_array_length(rungs) between 1 and 10),
    -- What the lot held when its first rung was reached.
    add column basis_micros bigint check (basis_micros > 0),
    -- Rungs whose exits have ended, and those whose exits were claimed in this generation.
    add column rungs_done   integer not null default 0,
    add column rungs_fired  integer not null default 0,
    -- A stop-loss that moves up to the entry price once a rung of its lot has sold.
    add column break_even   boolean not null default false,
    -- Fires only when two books in a row reach its price.
    add column two_ticks    boolean not null default false,
    add check (trigger_type in
               ('TAKE_PROFIT', 'STOP_LOSS', 'TRAILING_STOP', 'TIME_STOP', 'LADDER')),
    add constraint trigger_price_check
        check ((trigger_type in ('TIME_STOP', 'LADDER')) = (price_micros is null)),
    add constraint trigger_ladder_check
        check ((trigger_type = 'LADDER') = (rungs is not null)),
    add constraint trigger_rungs_order_check
        check (rungs_done between 0 and rungs_fired
               and rungs_fired <= coalesce(jsonb_array_length(rungs), 0)),
    add constraint trigger_break_even_check
        check (not break_even or trigger_type = 'STOP_LOSS'),
    add constraint trigger_two_ticks_check
        check (not two_ticks or trigger_type <> 'TIME_STOP');

create function keep_trigger_rungs() returns trigger language plpgsql as $$
begin
    if new.rungs_done < old.rungs_done then
        raise exception 'a rung that has ended does not come back: %', new.id;
    end if;
    if new.rungs_fired < old.rungs_fired and new.generation = old.generation then
        raise exception 'a rung fires once in a generation: %', new.id;
    end if;
    return new;
end $$;

create trigger trigger_rungs_only_rise before update of rungs_done, rungs_fired on trigger
    for each row execute function keep_trigger_rungs();
