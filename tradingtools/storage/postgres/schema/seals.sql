-- Seals over the chains of orders (docs/adr/0018-seals.md).

-- What ties the chains of all orders together, and to the audit of control: seals over ranges of
-- order events, written behind everything. Taking a tail off one order's chain leaves it whole; the
-- seal still tells of the event.
create table seal (
    seal_seq      bigint primary key check (seal_seq > 0),
    -- Every event that was ever committed with after_seq < event_seq <= to_seq is in it.
    after_seq     bigint not null,
    to_seq        bigint not null check (to_seq > after_seq),
    event_seqs    bigint[] not null check (cardinality(event_seqs) > 0),
    -- 32 bytes each, in the order of event_seqs; they name the event that was changed.
    digests       bytea not null check (octet_length(digests) = 32 * cardinality(event_seqs)),
    root          bytea not null,
    -- Where the audit of control stood.
    control_seq   bigint not null,
    control_hash  bytea not null,
    sealed_at     timestamptz not null,
    previous_hash bytea not null,
    hash          bytea not null
);

-- All that an event says; the chain of its order leaves its detail out.
create function order_event_digest(p order_event) returns bytea language sql immutable as $$
    select sha256(convert_to(concat_ws('|', p.event_seq, p.order_key, p.from_state, p.to_state,
        p.reason, p.epoch, (extract(epoch from p.occurred_at) * 1000000)::bigint,
        coalesce(encode(p.detail, 'hex'), '-'), encode(p.hash, 'hex')), 'UTF8'))
$$;

-- The newest order event, not the newest number: other tables take numbers, too. The numbers below it
-- were given out before it was, to writers that had their transaction ids by then.
create function seal_horizon(out to_seq bigint, out before_xid bigint)
language plpgsql as $$
begin
    select coalesce(max(event_seq), 0) into to_seq from order_event;
    before_xid := pg_current_xact_id()::text::bigint;
end $$;

create function is_settled(p_before_xid bigint) returns boolean language sql as $$
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= p_before_xid
$$;

-- Seal the oldest events that no seal has, up to a number; no row: there are none.
create function append_seal(p_to bigint, p_limit integer) returns setof seal
language plpgsql as $$
declare
    v seal%rowtype;
begin
    select s.seal_seq + 1, s.to_seq, s.hash into v.seal_seq, v.after_seq, v.previous_hash
    from seal s order by s.seal_seq desc limit 1;
    if not found then
        v.seal_seq := 1;
        v.after_seq := 0;
        v.previous_hash := decode(repeat('00', 32), 'hex');
    end if;
    select max(e.event_seq), array_agg(e.event_seq order by e.event_seq),
           string_agg(order_event_digest(e), ''::bytea order by e.event_seq)
    into v.to_seq, v.event_seqs, v.digests
    from (select * from order_event where event_seq > v.after_seq and event_seq <= p_to
          order by event_seq limit p_limit) e;
    if v.to_seq is null then
        return;
    end if;
    v.root := sha256(v.digests);
    select c.seq, c.hash into v.control_seq, v.control_hash
    from control_change c order by c.seq desc limit 1;
    v.control_seq := coalesce(v.control_seq, 0);
    v.control_hash := coalesce(v.control_hash, decode(repeat('00', 32), 'hex'));
    v.sealed_at := clock_timestamp();
    v.hash := sha256(v.previous_hash || convert_to(concat_ws('|', v.seal_seq, v.after_seq,
        v.to_seq, encode(v.root, 'hex'), v.control_seq, encode(v.control_hash, 'hex'),
        (extract(epoch from v.sealed_at) * 1000000)::bigint), 'UTF8'));
    insert into seal select v.*;
    return next v;
end $$;

create trigger seal_append_only
    before update or delete or truncate on seal
    for each statement execute function refuse_to_change_audit();
