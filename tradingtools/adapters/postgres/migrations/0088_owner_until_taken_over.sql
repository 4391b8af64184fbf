-- An owner stays the owner until another has taken its partition over.
-- depends: 0087_rows_of_a_partition

-- Whether an owner may write; the row stays locked until its transaction ends, so that a takeover
-- waits for what the old owner is just committing, and then finds it. The epoch alone decides: when a
-- lease has run out it may be taken, and until then nobody else writes. An owner that could not renew
-- because the database was away goes on, with the answers that it has in memory.
create or replace function holds_lease(p_role text, p_partition integer, p_epoch bigint)
returns boolean language plpgsql as $$
begin
    perform 1 from partition_lease
    where role = p_role and partition = p_partition and epoch = p_epoch
    for share;
    return found;
end $$;
