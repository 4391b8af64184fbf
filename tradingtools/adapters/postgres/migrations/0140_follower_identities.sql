-- Whose a follower's wallet is: the user and wallet id with which insiders-api is asked for it. Once a
-- wallet has been seen it belongs to them; only an operator moves it. What is there already counts as
-- seen, the oldest first.
create table follower_identity (
    follower_proxy     text primary key,
    follower_user_id   text not null,
    follower_wallet_id text not null,
    seen_at            timestamptz not null default clock_timestamp()
);

insert into follower_identity
select distinct on (follower_proxy) follower_proxy, follower_user_id, follower_wallet_id, created_at
from (
    select follower_proxy, follower_user_id, follower_wallet_id, created_at from subscription
    union all
    select follower_proxy, follower_user_id, follower_wallet_id, created_at from trigger
    where follower_user_id <> ''
) seen
order by follower_proxy, created_at;

alter table control_change drop constraint control_change_subject_kind_check;
alter table control_change add constraint control_change_subject_kind_check
    check (subject_kind in
        ('subscription', 'trigger', 'halt', 'order', 'breaker', 'message', 'funding', 'wallet'));
