-- What one person has asked for and a second one has to ask for as well, before it is done.
create table approval (
    kind        text not null,
    digest      bytea not null,
    asked_by    text not null,
    asked_at    timestamptz not null default clock_timestamp(),
    approved_by text,
    primary key (kind, digest),
    check (approved_by <> asked_by)
);
