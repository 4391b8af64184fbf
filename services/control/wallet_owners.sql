-- name: note
insert into follower_identity (follower_proxy, follower_user_id, follower_wallet_id)
values (%(proxy)s, %(user_id)s, %(wallet_id)s)
on conflict (follower_proxy) do nothing;

-- name: get
-- The caller holds the control lock: nobody moves it meanwhile.
select follower_proxy, follower_user_id, follower_wallet_id from follower_identity
where follower_proxy = %(proxy)s;

-- name: move
update follower_identity
set follower_user_id = %(user_id)s, follower_wallet_id = %(wallet_id)s
where follower_proxy = %(proxy)s;
