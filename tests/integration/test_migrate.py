"""The schema can be built from nothing, again, and enforces the transition table."""

from __future__ import annotations

import psycopg
import pytest

from tradingtools.domain.order_states import TRANSITIONS
from tradingtools.storage.postgres.migrate import TooOldError, migrate


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


def test_a_database_of_before_the_first_release_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("delete from _yoyo_migration where migration_id = '0001_schema'")
    with pytest.raises(TooOldError, match="name an empty one"):
        migrate(database_url)
