-- name: newest
-- The newest booking and the newest control change: what is read afterwards has them.
select (select coalesce(max(fill_seq), 0) from booking) as booked_to,
       (select coalesce(max(seq), 0) from control_change) as control_seq

-- name: changed
-- Subscriptions that a control change has touched.
select id, follower_proxy, state, version, performance, scale_micros, performance_actions, session,
       baseline, paused_by
from subscription where changed_seq > %(after)s and (%(after)s > 0 or performance <> '{}')
order by id

-- name: some
select id, follower_proxy, state, version, performance, scale_micros, performance_actions, session,
       baseline, paused_by
from subscription where id = any(%(ids)s)
order by id

-- name: standings
-- Where subscriptions stood when it was last written, and the last step of each scale.
select s.id, p.state, p.standing, a.anchor_micros, a.baseline as step_baseline,
       floor(extract(epoch from a.acted_at) * 1000)::bigint as stepped_ms
from subscription s
left join performance p on p.subscription_id = s.id
left join lateral (
    select anchor_micros, baseline, acted_at from performance_action
    where subscription_id = s.id and kind = 'SCALE'
    order by ordinal desc limit 1
) a on true
where s.id = any(%(ids)s)

-- name: of_subscriptions
-- What lots have settled, by asset the shares that they hold with their cost, and the same of what has
-- come without an order and not gone again.
select origin as key, sum(realised_micros - fee_micros - cost_micros)::bigint as settled,
       json_object_agg(asset_id, json_build_array(shares_micros, cost_micros))
           filter (where shares_micros > 0) as held,
       json_object_agg(asset_id, json_build_array(by_hand_micros - elsewhere_micros,
                                                  by_hand_cost_micros - elsewhere_cost_micros))
           filter (where by_hand_micros <> 0 or elsewhere_micros <> 0) as flows
from lot where origin = any(%(keys)s)
group by origin

-- name: of_wallets
-- The same of all subscriptions of wallets; of those that were funded what was put in less what was
-- taken out, and what of the money is cash.
select k.key, coalesce(l.settled, 0)::bigint as settled, l.held, l.flows, f.funded_micros,
       (f.funded_micros - f.before_micros + coalesce(l.moved, 0))::bigint as cash_micros
from unnest(%(keys)s::text[]) as k(key)
left join funding f on f.follower_proxy = k.key
left join lateral (
    select sum(settled) as settled, sum(moved) as moved,
           json_object_agg(asset_id, json_build_array(shares, cost))
               filter (where shares > 0) as held,
           json_object_agg(asset_id, json_build_array(came, came_cost))
               filter (where flows) as flows
    from (select asset_id,
                 sum(sold_notional_micros + payout_micros - bought_notional_micros - fee_micros)
                     as moved,
                 sum(realised_micros - fee_micros - cost_micros)
                     filter (where origin <> 'manual') as settled,
                 coalesce(sum(shares_micros) filter (where origin <> 'manual'), 0)::bigint
                     as shares,
                 coalesce(sum(cost_micros) filter (where origin <> 'manual'), 0)::bigint as cost,
                 coalesce(sum(by_hand_micros - elsewhere_micros)
                     filter (where origin <> 'manual'), 0)::bigint as came,
                 coalesce(sum(by_hand_cost_micros - elsewhere_cost_micros)
                     filter (where origin <> 'manual'), 0)::bigint as came_cost,
                 coalesce(bool_or(by_hand_micros <> 0 or elsewhere_micros <> 0)
                     filter (where origin <> 'manual'), false) as flows
          from lot where follower_proxy = k.key
          group by asset_id) assets
) l on true

-- name: funded_since
select follower_proxy from funding where changed_seq > %(after)s

-- name: put
insert into performance as p (subscription_id, state, from_state, standing)
select id, state, '', standing
from jsonb_to_recordset(%(rows)s::jsonb) as t(id text, state text, standing jsonb)
order by id
on conflict (subscription_id) do update set
    from_state = case when p.state = excluded.state then p.from_state else p.state end,
    state = excluded.state, standing = excluded.standing, updated_at = clock_timestamp()

-- name: drop
delete from performance where subscription_id = any(%(ids)s)
