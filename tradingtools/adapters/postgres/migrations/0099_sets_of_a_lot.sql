-- confirm asks, when it books a buy, what became of the newest default triggers of its lot.
-- depends: 0098_ideal_shares

create index trigger_made_for on trigger (follower_proxy, asset_id, origin) where made_for <> '';
