-- Lots of what a follower has bought by hand, for the trading terminal's triggers.
-- depends: 0052_default_triggers

-- Shares that a caller has told of, net of what was taken back; no order of ours bought them.
alter table lot add column by_hand_micros bigint not null default 0;
alter table lot_entry alter column order_key drop not null;

-- Whom an exit of such a lot is sent for; empty where a subscription says it.
alter table trigger
    add column follower_user_id   text not null default '',
    add column follower_wallet_id text not null default '',
    add constraint trigger_manual_check
        check ((origin = 'manual') = (follower_wallet_id <> ''));
