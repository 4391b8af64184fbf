-- A lone exit is decided on what the guard's memory has, and travels in one message with this, its
-- first statement: locks trigger and lot, in the order that everybody keeps, and raises
-- serialization_failure unless all that was decided on is so. Nobody else changes a trigger without
-- its version; a peak has none.
create function hold_foreseen(
    p_id text, p_version bigint, p_peak_micros bigint, p_condition_id text, p_user_id text,
    p_wallet_id text, p_leader text, p_subscription_version bigint, p_shares_micros bigint
) returns boolean language plpgsql as $$
declare
    v_proxy text;
    v_asset text;
    v_origin text;
begin
    select t.follower_proxy, t.asset_id, t.origin into v_proxy, v_asset, v_origin
    from trigger t left join subscription s on s.id = t.origin
    where t.id = p_id and t.version = p_version
      and t.peak_micros is not distinct from p_peak_micros
      and t.condition_id = p_condition_id
      and coalesce(s.follower_user_id, t.follower_user_id) = p_user_id
      and coalesce(s.follower_wallet_id, t.follower_wallet_id) = p_wallet_id
      and coalesce(s.leader, '') = p_leader
      and coalesce(s.version, 0) = p_subscription_version
    for update of t;
    if found then
        perform from lot
        where follower_proxy = v_proxy and asset_id = v_asset and origin = v_origin
          and shares_micros = p_shares_micros
        for update;
        if found then
            -- In a snapshot that was taken after the lock.
            perform from reservation r join orders o using (order_key)
            where r.released_at is null and r.follower_proxy = v_proxy and r.asset_id = v_asset
              and r.shares_micros > 0 and coalesce(o.subscription_id, 'manual') = v_origin;
            if not found then
                return true;
            end if;
        end if;
    end if;
    raise serialization_failure using message = format('%s is not as it was foreseen', p_id);
end $$;
