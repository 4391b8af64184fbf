"""Each process may do in the database what the table of rights says, and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from launcher.embedded import role_url
from launcher.temporary import create_database, temporary_database
from tradingtools.storage.postgres.rights import (
    EACH,
    OWNERS_HANDS,
    READER,
    RIGHTS,
    SECRET,
    make_role,
)

AUDIT = ("control_change", "order_event", "seal")
_Statement = sql.SQL | sql.Composed


@pytest.fixture(scope="module")
def database(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A migrated database that nobody changes for good."""
    with temporary_database(postgres_server, template=migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def tables(database: str) -> dict[str, list[str]]:
    """Every table of ours with its columns that could be written."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select t.table_name, array_agg(c.column_name::text) from information_schema.tables t"
            " join information_schema.columns c using (table_schema, table_name)"
            " where t.table_schema = 'public' and t.table_type = 'BASE TABLE'"
            " and c.is_identity = 'NO' and c.is_generated = 'NEVER' group by 1"
        ).fetchall()
    return dict(found)


def _as(database: str, process: str) -> psycopg.Connection[Any]:
    return psycopg.connect(role_url(database, process), autocommit=True)


def _refused(connection: psycopg.Connection[Any], statement: _Statement) -> bool:
    """Return whether the server says that the role may not; whatever else it says, nothing
    stays."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error:
        return False
    return False


def _attempts(table: str, columns: list[str]) -> Iterator[tuple[str, _Statement]]:
    same = sql.SQL(", ").join(
        sql.SQL("{column} = {column}").format(column=sql.Identifier(one)) for one in columns
    )
    names = {"table": sql.Identifier(table), "same": same}
    texts: dict[str, LiteralString] = {
        "insert": "insert into {table} default values",
        "update": "update {table} set {same}",
        "delete": "delete from {table}",
        "truncate": "truncate {table}",
        "alter": "alter table {table} disable trigger all",
    }
    for verb, text in texts.items():
        yield verb, sql.SQL(text).format(**names)


@pytest.mark.parametrize("process", RIGHTS)
def test_a_process_may_write_what_the_table_says(
    database: str, tables: dict[str, list[str]], process: str
) -> None:
    with _as(database, process) as connection:
        for table, columns in tables.items():
            of_all = {} if process == READER else EACH
            rights = {**of_all, **RIGHTS[process]}.get(table, "")
            # A right to some columns is one to a row of defaults, but not to every column.
            allowed = [*rights.split(", "), *(["insert"] if "insert (" in rights else [])]
            for verb, statement in _attempts(table, columns):
                refused = _refused(connection, statement)
                assert refused == (verb not in allowed), f"{process}: {verb} {table}"
            read = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
            hidden = table in SECRET and "select" not in rights
            assert _refused(connection, read) == hidden, f"{process}: select {table}"


def test_every_right_is_about_a_table(tables: dict[str, list[str]]) -> None:
    assert {table for rights in RIGHTS.values() for table in rights} <= set(tables)


@pytest.mark.parametrize(
    ("process", "statement"),
    [
        ("executor", "update subscription set state = 'ACTIVE'"),
        ("executor", "update subscription set version = version - 1"),
        ("executor", "insert into halt values ('GLOBAL', '', 'HALTED', '')"),
        ("executor", "delete from halt"),
        ("executor", "update lot set shares_micros = 0"),
        ("executor", "update fill set size_micros = 1"),
        ("router", "update lot set shares_micros = 0"),
        ("router", "update funding set funded_micros = 1000000"),
        ("guard", "update lot set cost_micros = 0"),
        ("guard", "update subscription set triggers = '{}'"),
        ("confirm", "update subscription set state = 'PAUSED'"),
        ("confirm", "insert into journal (kind) values ('SUBMITTING')"),
        ("control", "update orders set state = 'CONFIRMED'"),
        ("control", "update lot set realised_micros = 0"),
        ("control", "update lot set origin = 'manual'"),
        ("control", "insert into lot_entry (order_key) values ('x')"),
        ("control", "insert into journal (kind) values ('CLAIMED')"),
        ("ingest", "delete from leader_row"),
        ("bookfeed", "update orders set state = 'CLAIMED'"),
        (READER, "delete from consumer_cursor"),
    ],
)  # fmt: skip
def test_what_one_process_does_no_other_can(
    database: str, process: str, statement: LiteralString
) -> None:
    with _as(database, process) as connection:
        assert _refused(connection, sql.SQL(statement))


@pytest.mark.parametrize("process", RIGHTS)
@pytest.mark.parametrize("table", AUDIT)
def test_nobody_changes_the_audit(database: str, process: str, table: str) -> None:
    with _as(database, process) as connection:
        name = sql.Identifier(table)
        for text in ("delete from {}", "truncate {}", "drop table {}"):
            assert _refused(connection, sql.SQL(text).format(name)), text
        assert _refused(connection, sql.SQL("update {} set hash = ''").format(name))
        for text in ("drop function refuse_to_change_audit() cascade", "set role postgres"):
            assert _refused(connection, sql.SQL(text)), text


@pytest.mark.parametrize("process", RIGHTS)
def test_the_owners_hands_are_for_few(database: str, process: str) -> None:
    change: LiteralString = (
        "select append_control_change('me', 'test', 'halt', 'halt', 'GLOBAL:', null, '{}'::jsonb)"
    )
    halt: LiteralString = "select halt_by_engine('GLOBAL', '', 'HALTED', 'me', 'test')"
    callers = {name.partition("(")[0]: roles for name, roles in OWNERS_HANDS.items()}
    with _as(database, process) as connection:
        for name, text in (("append_control_change", change), ("halt_by_engine", halt)):
            refused = _refused(connection, sql.SQL(text))
            assert refused == (process not in callers[name]), name


def test_a_callers_own_table_stands_in_for_none(database: str) -> None:
    """Test that what runs as the owner takes its tables from the schema, not from the caller."""
    with _as(database, "executor") as connection, connection.transaction(force_rollback=True):
        connection.execute("create temporary table halt (like public.halt)")
        connection.execute("select halt_by_engine('WALLET', '0x1', 'HALTED', 'me', 'test')")
        assert connection.execute("select count(*) from pg_temp.halt").fetchone() == (0,)
        assert connection.execute("select subject from public.halt").fetchone() == ("0x1",)


def test_databases_of_one_server_share_the_roles(postgres_server: str) -> None:
    """Several may be migrated at once, and each may be the first to need a role."""
    role = f"tradingtools_test_{secrets.token_hex(4)}"
    everybody = Barrier(4, timeout=60)

    def make(url: str) -> None:
        with psycopg.connect(url) as connection:
            everybody.wait()
            make_role(connection, role)

    urls = [create_database(postgres_server) for _ in range(everybody.parties)]
    with ThreadPoolExecutor(everybody.parties) as together:
        list(together.map(make, urls))
    with psycopg.connect(postgres_server, autocommit=True) as owner:
        owner.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
