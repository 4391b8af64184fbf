-- Positions and profit by subscription: its lots are asked for by their origin.
-- depends: 0040_leader_holdings

create index lot_origin on lot (origin, condition_id, asset_id);

-- What each copy's fills were worse than the leader's price, USDC 1e-6; less than 0: better. The
-- leader's part is rounded against the follower, so that sums are exact and never too good.
create view copy_slippage as
select o.order_key, o.subscription_id, o.follower_proxy, o.asset_id,
       case o.side
           when 'BUY' then o.filled_notional_micros
               - div(d.leader_notional_micros * o.filled_size_micros, d.leader_size_micros)
           else div(d.leader_notional_micros * o.filled_size_micros + d.leader_size_micros - 1,
                    d.leader_size_micros) - o.filled_notional_micros
       end as micros
from orders o join decision d
  on d.leader_tx = o.leader_tx and d.leader = o.leader and d.asset_id = o.asset_id
 and d.side = o.side and d.subscription_id = o.subscription_id
where o.filled_size_micros > 0 and d.leader_notional_micros > 0;
