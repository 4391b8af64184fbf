-- Trading wallets, whose credentials services/signer keeps: it alone writes here, and nobody else
-- reads the tables of keys and secrets (rights.py).

create table trading_wallet (
    id               text primary key check (id ~ '^wal_[0-9a-f]{32}$'),
    tenant           text not null,
    name             text not null,
    exchange         text not null check (exchange in ('okx', 'polymarket')),
    environment      text not null check (environment in ('live', 'demo')),
    -- Of the account at the exchange: OKX's uid, Polymarket's address that holds cash and shares.
    account          text not null,
    -- What the key may do, as the exchange says it.
    permissions      text not null,
    -- Of Polymarket: how its orders are signed, and the address of the private key.
    signature_type   integer check (signature_type between 0 and 3),
    signer_address   text,
    -- The most USDC that one order may be about.
    max_order_micros bigint not null check (max_order_micros > 0),
    state            text not null default 'ACTIVE' check (state in ('ACTIVE', 'RETIRED')),
    -- Of the credentials; rises when others take their place.
    edition          integer not null default 1,
    created_at       timestamptz not null default clock_timestamp(),
    changed_at       timestamptz not null default clock_timestamp(),
    -- When the exchange was asked last whether the credentials work; empty problem: they do.
    checked_at       timestamptz not null default clock_timestamp(),
    problem          text not null default '',
    -- SHA-256 of caller and Idempotency-Key, and of what was asked under it.
    request_key      bytea unique,
    request_hash     bytea
);
create unique index trading_wallet_name on trading_wallet (tenant, name) where state = 'ACTIVE';
-- Limits, margin and self-trade prevention are an account's: two wallets of one would not know of
-- each other's orders.
create unique index trading_wallet_account on trading_wallet (exchange, environment, account)
    where state = 'ACTIVE';
-- Subscriptions are refused for it.
create index trading_wallet_proxy on trading_wallet (lower(account)) where state = 'ACTIVE';
create index trading_wallet_created on trading_wallet (created_at, id);

-- The data key of a wallet, wrapped by a master key.
create table trading_wallet_key (
    wallet_id  text primary key references trading_wallet,
    master_key text not null,
    wrapped    bytea not null
);

-- What is encrypted under it: nonce and ciphertext, bound to tenant, wallet, exchange, purpose, edition.
create table trading_wallet_secret (
    wallet_id  text not null references trading_wallet,
    purpose    text not null,
    edition    integer not null,
    ciphertext bytea not null,
    primary key (wallet_id, purpose)
);

-- The key pair that clients seal credentials to; the private half is wrapped by a master key.
create table sealing_key (
    id         text primary key,
    master_key text not null,
    wrapped    bytea not null,
    created_at timestamptz not null default clock_timestamp()
);

-- Which engine may have requests of a wallet signed. An engine that has lost it gets no signature.
create table trading_wallet_lease (
    wallet_id   text primary key references trading_wallet,
    engine      text not null,
    -- Rises with each owner.
    epoch       bigint not null check (epoch > 0),
    until       timestamptz not null,
    -- Of the engine's process (bot_engine): another one of its name has nothing of it.
    incarnation text not null default '',
    -- The last epoch whose owner left nothing under way at the exchange: the next one need not wait.
    clean_epoch bigint not null default 0,
    -- The process that the owner is about to hand the wallet to, and whether it can go on at once.
    -- Until the epoch rises it has no right to anything.
    heir        text not null default '',
    heir_ready  boolean not null default false
);

-- Each signature, written before it leaves.
create table wallet_signature (
    id        bigint generated always as identity primary key,
    wallet_id text not null references trading_wallet,
    kind      text not null,
    -- What was signed, for people, and the SHA-256 of it, or its EIP-712 digest.
    summary   text not null,
    digest    bytea not null,
    engine    text not null,
    epoch     bigint not null,
    -- Of the process that asked, as the kernel reported it.
    pid       integer not null,
    uid       integer not null,
    signed_at timestamptz not null default clock_timestamp(),
    -- Of one that leaves while this database is away, too: it is on the signer's own disk before.
    spool_id  uuid
);
create unique index wallet_signature_spooled on wallet_signature (spool_id)
    where spool_id is not null;
create index wallet_signature_wallet on wallet_signature (wallet_id, id);
create index wallet_signature_signed on wallet_signature using brin (signed_at);
create trigger wallet_signature_append_only
    before update or truncate on wallet_signature
    for each statement execute function refuse_to_change_audit();

-- Nobody forgets a signature within 90 days, the owner of the database neither.
create function keep_signature() returns trigger language plpgsql as $$
begin
    if old.signed_at > clock_timestamp() - interval '90 days' then
        raise insufficient_privilege using message = 'a signature is kept for 90 days at least';
    end if;
    return old;
end $$;
create trigger wallet_signature_kept before delete on wallet_signature
    for each row execute function keep_signature();

-- Forgets signatures of more than so many days ago, some at a time; how many they were.
create function forget_signatures(days integer) returns bigint language sql as $$
    with gone as (
        delete from wallet_signature where id in (
            select id from wallet_signature
            where signed_at < clock_timestamp() - days * interval '1 day' order by id limit 10000
        ) returning id
    )
    select count(*) from gone
$$;

-- What has been done to wallets, and by whom.
create table wallet_event (
    event_seq   bigint primary key default log_number(),
    wallet_id   text not null references trading_wallet,
    action      text not null
                    check (action in ('added', 'replaced', 'rewrapped', 'checked', 'retired')),
    actor       text not null,
    -- Of 'checked': why the credentials do not work; empty: they do.
    reason      text not null,
    occurred_at timestamptz not null default clock_timestamp()
);
create trigger wallet_event_append_only
    before update or delete or truncate on wallet_event
    for each statement execute function refuse_to_change_audit();
