-- The audit of the control surface: one way to append to it, and no way to change it.
-- depends: 0002_money_path_functions

-- What a change says, as one text: the same for the one who writes the hash and the one who
-- checks it. jsonb has one spelling for equal values.
create function control_change_text(p control_change) returns text language sql stable as $$
    select jsonb_build_object(
        'seq', p.seq, 'changed_at_us', (extract(epoch from p.changed_at) * 1000000)::bigint,
        'actor', p.actor, 'source', p.source, 'action', p.action,
        'subject_kind', p.subject_kind, 'subject_id', p.subject_id,
        'before', p.before, 'after', p.after)::text
$$;

-- Append one change to the chain and return its number. Takes the exclusive control lock, so that
-- the chain has one end and numbers are committed in their order.
create function append_control_change(
    p_actor text, p_source text, p_action text, p_kind text, p_id text,
    p_before jsonb, p_after jsonb
) returns bigint language plpgsql as $$
declare
    v control_change%rowtype;
begin
    perform lock_control_exclusive();
    v.seq := nextval(pg_get_serial_sequence('control_change', 'seq'));
    v.changed_at := clock_timestamp();
    v.actor := p_actor;
    v.source := p_source;
    v.action := p_action;
    v.subject_kind := p_kind;
    v.subject_id := p_id;
    v.before := p_before;
    v.after := p_after;
    select hash into v.previous_hash from control_change order by seq desc limit 1;
    v.previous_hash := coalesce(v.previous_hash, decode(repeat('00', 32), 'hex'));
    v.hash := sha256(v.previous_hash || convert_to(control_change_text(v), 'UTF8'));
    insert into control_change overriding system value select v.*;
    return v.seq;
end $$;

create function refuse_to_change_audit() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;

create trigger control_change_append_only
    before update or delete or truncate on control_change
    for each statement execute function refuse_to_change_audit();
