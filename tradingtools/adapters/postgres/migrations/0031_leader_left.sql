-- A leader who sells takes along the entries that were not sent yet.
-- depends: 0020_submitting_once 0030_copy_settings

-- Fail those of these entries that are still CLAIMED. Provably nothing of them was sent: no
-- SUBMITTING commit of the partition happens until this transaction ends, and afterwards it finds
-- them FAILED. What a record that was set aside names may have been sent, and stays.
create function leader_left(p_partition integer, p_keys text[])
returns table (order_key text) language plpgsql as $$
begin
    perform lock_submitting(p_partition);
    perform build_rows(j.seq)
    from (select seq from journal
          where partition = p_partition and rows_built_at is null and set_aside is null
          order by seq) j;
    return query
    select t.order_key from apply_transitions((
        select coalesce(jsonb_agg(jsonb_build_object(
            'order_key', o.order_key, 'from_state', 'CLAIMED', 'to_state', 'FAILED',
            'expected_epoch', o.epoch, 'failed_kind', 'UNSENT', 'reason', 'LEADER_LEFT')),
            '[]'::jsonb)
        from orders o
        where o.order_key = any(p_keys) and o.state = 'CLAIMED' and o.purpose = 'ENTRY'
          and not exists (
              select 1 from journal j,
                   json_array_elements(convert_from(j.payload, 'UTF8')::json -> 'orders') e
              where j.set_aside is not null and j.kind = 'SUBMITTING'
                and e->>'order_key' = o.order_key)
    )) t;
end $$;

-- The few entries of a lot that may still fill.
create index orders_entry_open on orders (subscription_id, asset_id)
    where purpose = 'ENTRY' and state not in ('CONFIRMED', 'FAILED', 'LOST');
