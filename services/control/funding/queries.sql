-- name: operation
select follower_proxy, amount_micros, funded_micros, control_seq from funding_operation
where operation_id = %(operation_id)s;

-- name: lock
-- The caller holds the control lock: no two movements at once.
select funded_micros from funding where follower_proxy = %(proxy)s;

-- name: put
insert into funding (follower_proxy, funded_micros, before_micros, changed_seq)
values (%(proxy)s, %(funded)s,
        coalesce((select sum(sold_notional_micros + payout_micros - bought_notional_micros
                          - fee_micros)
                  from lot where follower_proxy = %(proxy)s), 0)::bigint,
        %(seq)s)
on conflict (follower_proxy) do update
    set funded_micros = excluded.funded_micros, changed_seq = excluded.changed_seq;

-- name: note
insert into funding_operation
    (operation_id, follower_proxy, amount_micros, reason, funded_micros, control_seq)
values (%(operation_id)s, %(proxy)s, %(amount)s, %(reason)s, %(funded)s, %(seq)s);
