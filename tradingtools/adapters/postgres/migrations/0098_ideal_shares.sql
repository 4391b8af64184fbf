-- What a subscription would hold if every copy had worked is added up where its history is.
-- depends: 0097_owner_changes_triggers

-- One step; micros of shares. ENTRY: ordered. LEADER_SELL: sold by the leader, who held p_before
-- (null: unknown); the same part of what would be held goes, all of it when that is unknown or the
-- subscription leaves with the first sell, as the router does. OWN_SALE: filled, of a trigger: the
-- follower's own decision, whatever came of the copies. RESYNC: what the lot was to hold after it.
-- RESOLVED: nothing is left.
create function ideal_shares_after(
    p_held bigint, p_kind text, p_size bigint, p_before bigint, p_everything boolean
) returns bigint language plpgsql immutable as $$
begin
    return case p_kind
        when 'ENTRY' then p_held + p_size
        when 'LEADER_SELL' then
            case when p_everything or coalesce(p_before, 0) = 0 or p_size >= p_before then 0
                 else p_held - div(p_held::numeric * p_size, p_before)::bigint end
        when 'OWN_SALE' then greatest(0, p_held - p_size)
        when 'RESYNC' then p_size
        when 'RESOLVED' then 0
    end;
end $$;

create aggregate ideal_shares(text, bigint, bigint, boolean)
    (sfunc = ideal_shares_after, stype = bigint, initcond = '0');
