-- name: submit_batch
-- Durable before the first byte leaves; gates are checked again in the same statement.
select submit_batch(
    %(record_key)s, %(partition)s, %(epoch)s, %(payload)s, %(control_seq)s,
    string_to_array(%(keys)s, ','), %(not_after)s, %(orders)s) as answer

-- name: submit_again
-- Durable before the first byte of another attempt leaves; the same gates in the same statement.
select submit_again(%(partition)s, %(epoch)s, %(order_key)s, %(expected_epoch)s,
                    %(lease_ms)s) as answer

-- name: held_back
-- Of orders that were let out a while ago and have not left, those that may not leave any more: gates
-- have closed, or somebody has fenced them.
with asked as materialized (
    select * from jsonb_to_recordset(%(orders)s::jsonb) as t(
        order_key text, epoch bigint, purpose text, subscription_id text, version bigint,
        wallet text, leader text, condition_id text, not_after_ms bigint)
), fenced as (
    select a.order_key from asked a join orders o using (order_key) where o.epoch > a.epoch
)
select order_key, 'HANDLED_BEFORE' as reason from fenced
union all
select b.order_key, b.reason
from (select array_agg(order_key) as keys, array_agg(purpose) as purposes,
             array_agg(subscription_id) as subscriptions, array_agg(version) as versions,
             array_agg(wallet) as wallets, array_agg(leader) as leaders,
             array_agg(condition_id) as conditions, array_agg(not_after_ms) as not_afters
      from asked) o,
     held_back(o.keys, o.purposes, o.subscriptions, o.versions, o.wallets, o.leaders,
               o.conditions, o.not_afters) b
where not exists (select 1 from fenced f where f.order_key = b.order_key)

-- name: to_send_again
-- Unanswered orders that confirm wants to be sent again. Exits first, however many entries wait.
select o.*, r.money_micros as reserved_money_micros, r.shares_micros as reserved_shares_micros
from orders o join reservation r using (order_key)
where o.partition = %(partition)s and o.state = 'UNKNOWN' and o.send_again_epoch = o.epoch
order by o.purpose = 'ENTRY', o.journal_seq
limit 100

-- name: drop_send_again
-- One key is not one order any more: nothing is sent, and confirm decides again at once.
update orders set send_again_epoch = null, next_check_at = clock_timestamp()
where order_key = %(order_key)s and state = 'UNKNOWN' and epoch = %(epoch)s
  and send_again_epoch = %(epoch)s

-- name: halt
-- Entries only: the engine stops no exits, and makes no halt of an operator's stricter.
select halt_by_engine(%(scope)s, %(subject)s, 'REDUCING', %(actor)s, %(reason)s) as changed

-- name: breaker
-- With it, whether nobody has taken over from the executor whose probe is under way.
select b.*, b.prober = '' or exists (
    select 1 from partition_lease l
    where l.role = 'executor' and b.prober = 'executor-' || l.partition || '@' || l.epoch) as prober_lives
from breaker b where dependency = %(dependency)s

-- name: add_breaker
insert into breaker (dependency) values (%(dependency)s) on conflict do nothing

-- name: move_breaker
-- One of the executors moves it.
update breaker set
    state = %(state)s, version = version + 1, openings = %(openings)s,
    retry_at_ms = %(retry_at_ms)s, prober = %(prober)s, reason = %(reason)s,
    changed_at = clock_timestamp()
where dependency = %(dependency)s and version = %(version)s
returning version

-- name: last_record
select coalesce(max(seq), 0) as seq from journal

-- name: claimed_orders
-- Orders that are durable and not sent; the stream should have brought them. Exits first, however
-- many entries wait.
select o.*, r.money_micros as reserved_money_micros, r.shares_micros as reserved_shares_micros
from orders o join reservation r using (order_key)
where o.partition = %(partition)s and o.state = 'CLAIMED'
  and o.created_at <= clock_timestamp() - make_interval(secs => %(older_than_seconds)s)
order by o.purpose = 'ENTRY', o.journal_seq
limit 500

-- name: abandoned
-- Orders of an earlier life: a first byte may have left, and nobody waits for the answer.
select order_key, epoch from orders where partition = %(partition)s and state = 'SUBMITTING'

-- name: left_lately
-- Entries whose SUBMITTING was committed within the last minute, which the last gate counts. None waits
-- for longer than ten minutes (the bound of TT_ROUTER_ENTRY_TTL_MS).
select order_key, follower_proxy, condition_id, size_micros, limit_micros, submitting_ns
from orders
where partition = %(partition)s and purpose = 'ENTRY'
  and created_at >= clock_timestamp() - make_interval(mins => 11)
  and submitting_ns >= %(since_ns)s
order by submitting_ns, order_key

-- name: last_event
select coalesce(max(event_seq), 0) as seq from order_event

-- name: events_after
-- What confirm may have missed, oldest first.
select e.event_seq, e.order_key, e.to_state, e.reason, e.detail, o.venue_order_id, o.traceparent,
       (extract(epoch from e.occurred_at) * 1000000)::bigint * 1000 as occurred_ns
from order_event e join orders o using (order_key)
where e.event_seq > %(after)s
  and (e.from_state = 'SUBMITTING' or (e.from_state = 'CLAIMED' and e.to_state = 'FAILED'))
order by e.event_seq
limit %(limit)s

-- name: note_late_acceptances
-- Acceptances of orders that were fenced meanwhile. They are kept, confirm looks at once, and nothing
-- is sent again until it has. One that was stored before (its commit was not acknowledged) finds its
-- order accepted: nothing to note.
with told as materialized (
    select * from jsonb_to_recordset(%(accepted)s::jsonb) as t(
        order_key text, venue_order_id text, answered_ns bigint, detail text)
), late as materialized (
    select t.*, o.state from told t join orders o using (order_key)
    where o.order_key = any(array(select order_key from told))
      and o.state in ('UNKNOWN', 'LOST', 'DEAD', 'FAILED')
), noted as (
    insert into late_acceptance (order_key, venue_order_id, found_state, answered_ns, detail)
    select order_key, venue_order_id, state, answered_ns, detail from late
    on conflict do nothing
), woken as (
    update orders o set next_check_at = clock_timestamp(), send_again_epoch = null
    from late
    where o.order_key = late.order_key and o.state = 'UNKNOWN'
      and o.order_key = any(array(select order_key from late))
)
select order_key, state from late
