-- Messages that a reader could not handle, with the reason; the stream moved on without them.
-- depends: 0002_money_path_functions

create table poison (
    id                  bigint generated always as identity primary key,
    stream              text not null,
    consumer            text not null,
    cursor              text not null,
    reason              text not null,
    payload             bytea not null,
    quarantined_at      timestamptz not null default clock_timestamp(),
    replay_requested_at timestamptz,
    replayed_at         timestamptz
);
create index poison_replay on poison (consumer, stream)
    where replay_requested_at is not null and replayed_at is null;
