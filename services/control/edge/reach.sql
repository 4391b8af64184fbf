-- name: subscription
select follower_proxy from subscription where id = %(id)s;

-- name: trigger
select follower_proxy from trigger where id = %(id)s;

-- name: resync
select follower_proxy from resync where id = %(id)s;

-- name: order
select follower_proxy from orders where order_key = %(id)s;
