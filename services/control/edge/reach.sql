-- name: exchange_of_wallet
select exchange from trading_wallet where id = %(id)s;

-- name: exchange_of_bot
select w.exchange from bot b join trading_wallet w on w.id = b.wallet_id where b.id = %(id)s;

-- name: exchange_of_kill_switch
select exchange from kill_switch where id = %(id)s;

-- name: subscription
select follower_proxy from subscription where id = %(id)s;

-- name: trigger
select follower_proxy from trigger where id = %(id)s;

-- name: resync
select follower_proxy from resync where id = %(id)s;

-- name: order
select follower_proxy from orders where order_key = %(id)s;
