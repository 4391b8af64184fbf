-- What a subscription guards each of its positions with, and which triggers were made of it.
-- depends: 0051_ladder

alter table subscription add column triggers jsonb not null default '{}'
    check (jsonb_typeof(triggers) = 'object');

-- The order whose first fill opened the position; empty: a caller made the trigger.
alter table trigger add column made_for text not null default '';
