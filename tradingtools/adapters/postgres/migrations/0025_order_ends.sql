-- What becomes of orders after their end: asked for again, and resurrected.
-- depends: 0010_control

-- Ended before anybody watched: not asked for any more.
update orders set next_check_at = 'infinity' where state in ('CONFIRMED', 'FAILED', 'LOST');

-- Orders that are asked for although the engine is done with them. An order whose watch is over
-- has next_check_at = infinity and leaves the index.
create index orders_watched on orders (coalesce(next_check_at, '-infinity'::timestamptz))
    where state in ('DEAD', 'RESURRECTED', 'CONFIRMED', 'FAILED', 'LOST')
      and next_check_at is distinct from 'infinity';

-- What a person has to know of: few, listed and counted.
create index orders_unresolved on orders (state)
    where state in ('UNKNOWN', 'DEAD', 'LOST', 'RESURRECTED');

-- Let a wallet only sell from now on: the same row, the same audit and under the same lock as an
-- operator's halt, so that no SUBMITTING of an entry commits after it. A halt that stands already
-- stays as it is: it may be the stricter one. Call it before any row is locked.
create function reduce_wallet(p_wallet text, p_actor text, p_reason text)
returns boolean language plpgsql as $$
declare
    v_halt halt%rowtype;
begin
    perform lock_control_exclusive();
    insert into halt (scope, subject, mode, reason)
    values ('WALLET', p_wallet, 'REDUCING', p_reason)
    on conflict (scope, subject) do nothing
    returning * into v_halt;
    if not found then
        return false;
    end if;
    perform append_control_change(p_actor, 'engine', 'halt', 'halt', 'WALLET:' || p_wallet,
                                  null, to_jsonb(v_halt));
    return true;
end $$;
