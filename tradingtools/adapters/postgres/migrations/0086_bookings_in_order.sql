-- Bookings are committed in the order of their numbers.
-- depends: 0085_statistics

-- Whether confirm may book, until the transaction ends; asked before the first number is taken. Readers
-- of bookings go on after the last number that they have seen: of a smaller one that is committed after
-- a larger one, by a backend whose client has given up, nobody would ever hear.
create function may_book(p_epoch bigint) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock(7305003);
    return holds_lease('confirm', 0, p_epoch);
end $$;
