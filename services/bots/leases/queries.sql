-- name: register
-- Takes or keeps an engine's name, and says what it can. Nothing is returned while another process
-- has the name.
insert into bot_engine as e (name, incarnation, epoch, until, venues, capacity, version, bots,
                             lag_ms)
values (%(name)s, %(incarnation)s, 1, clock_timestamp() + %(lease)s * interval '1 millisecond',
        %(venues)s, %(capacity)s, %(version)s, %(bots)s, %(lag_ms)s)
on conflict (name) do update set
    epoch = e.epoch + (e.incarnation <> excluded.incarnation)::int,
    started_at = case when e.incarnation = excluded.incarnation then e.started_at
                      else clock_timestamp() end,
    incarnation = excluded.incarnation, until = excluded.until, venues = excluded.venues,
    capacity = excluded.capacity, version = excluded.version, bots = excluded.bots,
    lag_ms = excluded.lag_ms, seen_at = clock_timestamp(),
    -- Who is about to end renews its name until then.
    leaving = e.leaving and e.incarnation = excluded.incarnation
    where e.incarnation = excluded.incarnation or e.until < clock_timestamp()
returning draining, (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000 as now_ns

-- name: leaving
-- Nobody gives a wallet to an engine that is about to end.
update bot_engine set leaving = true where name = %(name)s and incarnation = %(incarnation)s

-- name: leave
-- Gives an engine's name back: the next process of it need not wait.
update bot_engine set until = clock_timestamp(), bots = 0
where name = %(name)s and incarnation = %(incarnation)s

-- name: end_standing
-- Ends transactions of engines that wait for their process in the middle of several statements: a
-- process that is stopped there holds its locks, and no timeout of PostgreSQL 15 sees it.
select pg_terminate_backend(pid) from pg_stat_activity
where usename = current_user and pid <> pg_backend_pid() and wait_event = 'ClientRead'
  and xact_start is not null and query_start < clock_timestamp() - %(standing)s * interval '1 millisecond'

-- name: lock
-- Those that give and take wallets do it one after another, so that no capacity is passed.
select pg_advisory_xact_lock(7305004)

-- name: lock_for_a_while
-- Who waits for a lock for longer, to the end of the transaction, gets an error.
select set_config('lock_timeout', %(wait)s::text, true)

-- name: engines
-- All that live.
select name, venues, capacity, draining or leaving as draining from bot_engine
where until >= clock_timestamp() order by name

-- name: wallets
-- Those with an engine, and those whose bots have to run, to end, or to be closed at a loss.
select w.id as wallet_id, w.exchange, coalesce(l.engine, '') as engine, busy.bots,
       coalesce(h.name, '') as heir
from trading_wallet w
left join trading_wallet_lease l on l.wallet_id = w.id and l.until >= clock_timestamp()
left join bot_engine h on h.incarnation = l.heir and l.heir_ready
cross join lateral (
    select count(*) as bots from bot b where b.wallet_id = w.id
    and (b.desired = 'RUNNING' and b.state not in ('RISK_STOPPED', 'ERROR')
         or b.state in ('STARTING', 'RUNNING', 'PAUSING', 'STOPPING')
         or b.state = 'PAUSED' and b.desired <> 'PAUSED' or b.flattening
         or exists (select from bot_order o where o.bot_id = b.id and not o.settled)
         -- What it holds goes on losing, whatever state it is in.
         or b.state <> 'IDLE' and b.limits ?| array['max_unrealised_loss', 'min_liquidation_buffer']
            and exists (select from bot_standing s, jsonb_each(s.holdings) held
                        where s.bot_id = b.id and held.value ->> 'size' <> '0')
         or exists (select from outcome_set_change c
                    where c.wallet_id = w.id and c.state = 'PENDING')
         or exists (select from kill_switch k
                    left join kill_switch_wallet p on p.kill_id = k.id and p.wallet_id = w.id
                    where k.cleared_at is null and k.tenant = w.tenant
                      and k.exchange in ('', w.exchange) and coalesce(p.phase, 'WAITING') <> 'DONE'))
) busy
where w.state = 'ACTIVE' and (busy.bots > 0 or l.wallet_id is not null)
order by w.id

-- name: ended
-- For how long wallets of a former owner have had none, in nanoseconds; and whether its lease ran
-- out: what it gave back before that, it may have sent requests for that a venue takes later.
select wallet_id, (extract(epoch from clock_timestamp() - until) * 1e9)::bigint as ns,
       incarnation <> '' as ran_out
from trading_wallet_lease where wallet_id = any(%(wallets)s)

-- name: take
-- Takes wallets that nobody has. The epoch rises, so that nothing of the owner before is signed or
-- written any more.
insert into trading_wallet_lease as l (wallet_id, engine, incarnation, epoch, until)
select w.id, e.name, e.incarnation, 1, clock_timestamp() + %(lease)s * interval '1 millisecond'
from trading_wallet w, bot_engine e
where w.id = any(%(wallets)s) and w.state = 'ACTIVE'
  and e.name = %(name)s and e.incarnation = %(incarnation)s and e.until >= clock_timestamp()
order by w.id
on conflict (wallet_id) do update set engine = excluded.engine, incarnation = excluded.incarnation,
    epoch = l.epoch + 1, until = excluded.until, heir = '', heir_ready = false
    where l.until < clock_timestamp()
returning wallet_id

-- name: owned
-- Those that a process has: taken, or handed over to it.
select wallet_id, epoch, (extract(epoch from until) * 1000)::bigint as until_ms,
       clean_epoch = epoch - 1 as clean
from trading_wallet_lease
where incarnation = %(incarnation)s and until >= clock_timestamp()

-- name: renew
-- Keeps wallets; one that is not returned is another's by now. One that has run out while the
-- database was away, and that nobody has taken, never had another owner. Rows are locked in the order
-- of their ids, as who takes several does: else the two end in a deadlock.
with mine as (
    select wallet_id from trading_wallet_lease
    where wallet_id = any(%(wallets)s) and incarnation = %(incarnation)s
    order by wallet_id for update
)
update trading_wallet_lease l set until = clock_timestamp() + %(lease)s * interval '1 millisecond'
from mine where l.wallet_id = mine.wallet_id
returning l.wallet_id, l.epoch, (extract(epoch from l.until) * 1000)::bigint as until_ms,
          l.clean_epoch = l.epoch - 1 as clean

-- name: offer
-- Has another engine prepare for a wallet, which stays its owner's until it is handed over.
update trading_wallet_lease l set heir = e.incarnation, heir_ready = false
from bot_engine e
where e.name = %(successor)s and e.until >= clock_timestamp()
  and l.wallet_id = %(wallet)s and l.incarnation = %(incarnation)s and l.epoch = %(epoch)s

-- name: offered
-- Wallets that a process is to prepare for, and the instruments of their bots.
select l.wallet_id, l.epoch, w.exchange, w.environment,
       coalesce((select array_agg(distinct one) from bot b, unnest(b.instruments) one
                 where b.wallet_id = w.id and b.state in ('STARTING', 'RUNNING')), '{}') as instruments
from trading_wallet_lease l join trading_wallet w on w.id = l.wallet_id
where l.heir = %(incarnation)s and l.incarnation <> l.heir and l.until >= clock_timestamp()

-- name: ready
-- An heir can go on at once.
update trading_wallet_lease set heir_ready = true
where wallet_id = %(wallet)s and heir = %(incarnation)s and epoch = %(epoch)s

-- name: heir_ready
select heir_ready from trading_wallet_lease
where wallet_id = %(wallet)s and incarnation = %(incarnation)s and epoch = %(epoch)s

-- name: followed
-- Whether all bots of a wallet that are to run do so under a later epoch.
select not exists (
    select from bot where wallet_id = %(wallet)s and desired = 'RUNNING'
    and (state = 'STARTING' or state = 'RUNNING' and epoch <= %(epoch)s)
) as followed

-- name: hand_over
-- Gives a wallet to another engine: it is never without an owner.
update trading_wallet_lease l set engine = e.name, incarnation = e.incarnation, epoch = l.epoch + 1,
    until = clock_timestamp() + %(lease)s * interval '1 millisecond',
    clean_epoch = case when %(clean)s then l.epoch else l.clean_epoch end,
    heir = '', heir_ready = false
from bot_engine e
where e.name = %(successor)s and e.until >= clock_timestamp()
  and l.wallet_id = %(wallet)s and l.incarnation = %(incarnation)s and l.epoch = %(epoch)s
returning l.wallet_id

-- name: give_back
-- Lets another engine take a wallet at once; whoever gives it back does not keep it any more.
update trading_wallet_lease set until = clock_timestamp(), incarnation = '', heir = '', heir_ready = false,
    clean_epoch = case when %(clean)s then epoch else clean_epoch end
where wallet_id = %(wallet)s and incarnation = %(incarnation)s and epoch = %(epoch)s

-- name: wallet
select id, exchange, environment, account, signature_type, signer_address from trading_wallet
where id = %(wallet)s
