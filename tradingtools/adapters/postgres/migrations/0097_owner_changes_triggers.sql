-- What a guard changes without claiming anything needs its lease as well.
-- depends: 0096_terms_are_checked_when_they_change

-- For a transaction whose answers nobody reads before its commit. Raises no_data_found: the lease is
-- not held. Its row stays locked until the transaction ends, so that a takeover finds what it did.
create function as_owner(p_role text, p_partition integer, p_epoch bigint)
returns boolean language plpgsql as $$
begin
    if not holds_lease(p_role, p_partition, p_epoch) then
        raise no_data_found using message = format('%s %s is another''s by now', p_role, p_partition);
    end if;
    return true;
end $$;
