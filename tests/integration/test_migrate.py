"""The schema can be built from nothing, again, and enforces the transition table."""

from __future__ import annotations

import hashlib

import psycopg
import pytest

from tradingtools.adapters.postgres.migrate import MIGRATIONS, migrate
from tradingtools.domain.order_states import TRANSITIONS


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    assert migrate(database_url) == []


def test_the_database_knows_exactly_the_legal_transitions(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select from_state, to_state from order_transition").fetchall()
    assert set(rows) == {(t.source or "", t.target) for t in TRANSITIONS}


def test_an_illegal_transition_cannot_be_stored(database_url: str) -> None:
    with (
        psycopg.connect(database_url) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute(
            "insert into order_event (order_key, from_state, to_state, reason, epoch, hash)"
            " values ('x', 'CONFIRMED', 'CLAIMED', '', 0, '')"
        )


def test_keys_that_were_kept_as_they_came_are_found_by_their_digest(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into idempotency values ('manage', 'Create', '5f0c-1', '', 'x')")
        connection.execute((MIGRATIONS / "0091_digests_of_keys.sql").read_bytes())
        rows = connection.execute("select key from idempotency where resource_id = 'x'").fetchall()
        connection.rollback()
    assert rows == [(hashlib.sha256(b"5f0c-1").hexdigest(),)]
