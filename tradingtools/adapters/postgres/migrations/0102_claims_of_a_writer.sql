-- Where a tail of claims starts is asked at each start of its writer. Without this, one that has not
-- claimed for long reads the journal from its end until it finds a claim of its own: all of it, for a
-- guard that has never fired.
-- depends: 0099_sets_of_a_lot

create index journal_claimed on journal (role, partition, seq) where kind = 'CLAIMED';
