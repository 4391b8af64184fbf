-- name: followed
-- Whose documents are computed in any case.
select distinct leader from subscription where state <> 'DELETED' order by leader

-- name: held
-- Assets whose marks are recorded.
select distinct asset_id from lot where shares_micros > 0 order by asset_id

-- name: claims
-- What the router has decided, as its journal has it. Nothing commits any more below the position of
-- the log of events.
select seq, committed_at, payload from journal
where seq > %(after)s and seq <= (select log_number from event_log_position)
  and kind = 'CLAIMED' and role = 'router'
order by seq limit %(most)s

-- name: log_end
-- How far the log of events is.
select number from event_log_position
