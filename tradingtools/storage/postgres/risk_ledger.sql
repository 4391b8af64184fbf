-- name: limits
select scope, subject, limits, instruments, day, day_start_micros, peak_micros, reached, changed_by,
       changed_at
from risk_limit where tenant = %(tenant)s order by scope, subject

-- name: shares
-- What bots that trade have not written lately has an age; of the others it stays as it was.
select s.bot_id, b.wallet_id, s.instrument_id, s.market, s.long_micros, s.short_micros, s.held_micros,
       case when s.held_micros <> 0 and b.state in ('STARTING', 'RUNNING', 'PAUSING', 'STOPPING')
            then (extract(epoch from clock_timestamp() - coalesce(s.marked_at, b.changed_at)) * 1000)
                 ::bigint end as age_ms
from risk_share s join bot b on b.id = s.bot_id
where b.tenant = %(tenant)s and (s.long_micros, s.short_micros, s.held_micros) <> (0, 0, 0)

-- name: results
select r.bot_id, b.wallet_id, w.exchange, r.result_micros as micros
from risk_result r join bot b on b.id = r.bot_id join trading_wallet w on w.id = b.wallet_id
where b.tenant = %(tenant)s

-- name: copies
-- What copies hold and have ordered, by market; and how old the oldest record is that has no rows yet.
select 'polymarket:' || condition_id as market, sum(micros)::bigint as micros,
       (select coalesce(extract(epoch from clock_timestamp() - min(committed_at)) * 1000, 0)::bigint
        from journal where rows_built_at is null and set_aside is null) as age_ms
from (select condition_id, cost_micros as micros from lot where shares_micros > 0
      union all
      select condition_id, money_micros from reservation where released_at is null
      union all
      select '', 0) of_copies
group by condition_id
