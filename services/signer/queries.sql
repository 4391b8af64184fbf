-- name: wallet
-- One wallet with what is stored of its secrets.
select w.*, k.master_key, k.wrapped,
       array(select s.purpose from trading_wallet_secret s where s.wallet_id = w.id
             and s.edition = w.edition order by s.purpose) as purposes,
       array(select s.ciphertext from trading_wallet_secret s where s.wallet_id = w.id
             and s.edition = w.edition order by s.purpose) as ciphertexts
from trading_wallet w left join trading_wallet_key k on k.wallet_id = w.id
where w.id = %(id)s

-- name: by_request
-- What an Idempotency-Key was used for.
select id, request_hash from trading_wallet where request_key = %(key)s

-- name: taken
-- Whether a name or an account is in use.
select id, tenant = %(tenant)s and name = %(name)s as by_name from trading_wallet
where state = 'ACTIVE' and ((tenant = %(tenant)s and name = %(name)s)
   or (exchange = %(exchange)s and environment = %(environment)s and account = %(account)s))
order by by_name desc limit 1

-- name: add
-- A new wallet.
insert into trading_wallet (id, tenant, name, exchange, environment, account, permissions,
    signature_type, signer_address, max_order_micros, request_key, request_hash)
values (%(id)s, %(tenant)s, %(name)s, %(exchange)s, %(environment)s, %(account)s, %(permissions)s,
    %(signature_type)s, %(signer_address)s, %(max_order_micros)s, %(request_key)s, %(request_hash)s)

-- name: hold_control
-- No subscription is made between this and the commit; asked last, for others wait meanwhile.
select lock_control_shared()

-- name: follows
-- Whether copies trade the account.
select id from subscription
where %(exchange)s = 'polymarket' and follower_proxy = lower(%(account)s) and state <> 'DELETED'
limit 1

-- name: add_key
-- Its data key, wrapped.
insert into trading_wallet_key (wallet_id, master_key, wrapped)
values (%(id)s, %(master_key)s, %(wrapped)s)

-- name: drop_key
-- Without it nothing of the wallet can be opened again, in no backup that is younger.
delete from trading_wallet_key where wallet_id = %(id)s

-- name: add_secrets
-- What is encrypted of an edition.
insert into trading_wallet_secret (wallet_id, purpose, edition, ciphertext)
select %(id)s, s.purpose, %(edition)s, s.ciphertext
from unnest(%(purposes)s::text[], %(ciphertexts)s::bytea[]) as s(purpose, ciphertext)

-- name: drop_secrets
-- Of all editions.
delete from trading_wallet_secret where wallet_id = %(id)s

-- name: replace
-- Another edition takes the place of the one that the client has seen.
update trading_wallet set edition = edition + 1, permissions = %(permissions)s, problem = '',
    checked_at = clock_timestamp(), changed_at = clock_timestamp()
where id = %(id)s and edition = %(edition)s and state = 'ACTIVE'
returning edition

-- name: checked
-- What the exchange says of the credentials.
update trading_wallet set checked_at = clock_timestamp(), problem = %(problem)s,
    permissions = case when %(permissions)s = '' then permissions else %(permissions)s end
where id = %(id)s and edition = %(edition)s and state = 'ACTIVE'
returning id

-- name: retire
-- For good.
update trading_wallet set state = 'RETIRED', changed_at = clock_timestamp()
where id = %(id)s and state = 'ACTIVE'
returning id

-- name: hold_wallet
select from trading_wallet where id = %(id)s for update

-- name: busy_bots
-- Bots of a wallet that trade, are wanted to, or have orders that may still fill.
select b.id from bot b
where b.wallet_id = %(id)s
  and (b.desired = 'RUNNING' or b.state not in ('IDLE', 'STOPPED')
       or exists (select from bot_order o where o.bot_id = b.id and not o.settled))
order by b.id

-- name: changing_sets
-- Whether sets of outcomes of a wallet are being merged or redeemed: nobody else books what comes of it.
select exists (select from outcome_set_change
               where wallet_id = %(id)s and state = 'PENDING') as changing

-- name: forget_signatures
select forget_signatures(%(days)s::integer) as gone

-- name: note
-- What was done, and by whom.
insert into wallet_event (wallet_id, action, actor, reason)
values (%(id)s, %(action)s, %(actor)s, %(reason)s)

-- name: other_master_keys
-- Keys that another master key than the newest one has wrapped.
select wallet_id as id, k.master_key, k.wrapped, w.tenant, w.exchange
from trading_wallet_key k join trading_wallet w on w.id = k.wallet_id
where k.master_key <> %(current)s and k.wallet_id > %(after)s
order by k.wallet_id limit 100

-- name: rewrap
-- One key; whoever was faster has it wrapped already.
update trading_wallet_key set master_key = %(master_key)s, wrapped = %(wrapped)s
where wallet_id = %(id)s and master_key = %(was)s
returning wallet_id

-- name: masters
-- The names of the master keys that something is wrapped by.
select master_key from trading_wallet_key union select master_key from sealing_key

-- name: sealing_keys
-- The newest first.
select id, master_key, wrapped from sealing_key order by created_at desc, id

-- name: add_sealing_key
-- For clients.
insert into sealing_key (id, master_key, wrapped) values (%(id)s, %(master_key)s, %(wrapped)s)

-- name: rewrap_sealing_key
-- As a wallet's.
update sealing_key set master_key = %(master_key)s, wrapped = %(wrapped)s
where id = %(id)s and master_key = %(was)s

-- name: sign
-- Write down the signatures that may be made, and say which: the wallet is active, its credentials
-- are those that were read, and the engine holds it now. What opens nothing is signed after the end
-- of a lease, too, as long as nobody else has taken the wallet. What was not answered in time was
-- spooled, and may be booked by now: it has one row.
with asked as (
    select * from unnest(%(wallets)s::text[], %(editions)s::integer[], %(kinds)s::text[],
        %(summaries)s::text[], %(digests)s::bytea[], %(engines)s::text[], %(epochs)s::bigint[],
        %(pids)s::integer[], %(uids)s::integer[], %(open_nothing)s::boolean[], %(ids)s::uuid[])
        with ordinality as a(wallet_id, edition, kind, summary, digest, engine, epoch, pid, uid,
                             opens_nothing, spool_id, number)
), allowed as (
    select a.* from asked a
    join trading_wallet w on w.id = a.wallet_id and w.state = 'ACTIVE' and w.edition = a.edition
    -- Engines of one kind, bots-1 and bots-2, have one token; the epoch is one's alone.
    join trading_wallet_lease l on l.wallet_id = a.wallet_id
         and substring(l.engine from '^[a-z]+') = a.engine
         and l.epoch = a.epoch and (l.until > clock_timestamp() or a.opens_nothing)
), written as (
    insert into wallet_signature (wallet_id, kind, summary, digest, engine, epoch, pid, uid, spool_id)
    select wallet_id, kind, summary, digest, engine, epoch, pid, uid, spool_id
    from allowed order by number
    on conflict (spool_id) where spool_id is not null do nothing
)
select number from allowed

-- name: book
-- Write down what was signed while this database was away; each once, however often it is tried.
insert into wallet_signature (wallet_id, kind, summary, digest, engine, epoch, pid, uid, signed_at,
                              spool_id)
select wallet_id, kind, summary, digest, engine, epoch, pid, uid, to_timestamp(signed_ms / 1000.0),
       spool_id
from unnest(%(wallets)s::text[], %(kinds)s::text[], %(summaries)s::text[], %(digests)s::bytea[],
    %(engines)s::text[], %(epochs)s::bigint[], %(pids)s::integer[], %(uids)s::integer[],
    %(signed)s::bigint[], %(ids)s::uuid[])
    as s(wallet_id, kind, summary, digest, engine, epoch, pid, uid, signed_ms, spool_id)
on conflict (spool_id) where spool_id is not null do nothing
