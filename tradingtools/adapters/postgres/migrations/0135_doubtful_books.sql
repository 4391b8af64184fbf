-- What an entry does without a book that can be trusted: limits.onDoubtfulBook.

alter table subscription add constraint subscription_doubtful_book_check check (
    coalesce(settings->>'on_doubtful_book' in ('COPY', 'WAIT', 'SKIP'), true)
    and coalesce((settings->>'doubtful_book_wait_ms')::bigint between 1 and 10000, true)
    and (not settings ? 'doubtful_book_wait_ms' or settings->>'on_doubtful_book' = 'WAIT'));

-- What followed leaders hold is watched, the largest first.
create index leader_holding_shares on leader_holding (shares_micros desc);
