-- A message that an operator has handled again is a change like any other.
-- depends: 0028_seals 0023_breaker

alter table control_change drop constraint control_change_subject_kind_check;
alter table control_change add constraint control_change_subject_kind_check
    check (subject_kind in ('subscription', 'trigger', 'halt', 'order', 'breaker', 'message'));

create index control_change_actor on control_change (actor, seq);
