"""Bring a database to the present schema.

The first migration applies `schema/`; later ones are plain SQL files beside it, applied by yoyo.
The transition tables and the rights of the processes are written from the code afterwards, so that
the database enforces exactly what the code says.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import yoyo

from tradingtools.domain import bot_states, performance_states
from tradingtools.domain.order_states import TRANSITIONS
from tradingtools.storage.postgres import rights

MIGRATIONS = Path(__file__).parent / "migrations"


class TooOldError(Exception):
    """A database of before the first release, which no migration leads on from."""


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the ids of the migrations that were applied.

    Args:
        url: of the owner of the database.

    Raises:
        TooOldError: the database was made before 0.1.0, when there was no first release.
        psycopg.OperationalError: the database does not answer.
        psycopg.errors.InsufficientPrivilege: the URL's user may not do it.
    """
    backend = yoyo.get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    migrations = yoyo.read_migrations(str(MIGRATIONS))
    with closing(backend.connection), backend.lock(timeout=30):
        missing = backend.to_apply(migrations)
        _refuse_old(url, [migration.id for migration in missing])
        applied = [migration.id for migration in missing]
        backend.apply_migrations(missing)
        # Under the lock, too: two at once would change the same rights.
        with psycopg.connect(url) as connection:
            connection.cursor().executemany(
                "insert into order_transition (from_state, to_state) values (%s, %s)"
                " on conflict do nothing",
                [(t.source or "", t.target) for t in TRANSITIONS],
            )
            connection.cursor().executemany(
                "insert into performance_transition (from_state, to_state) values (%s, %s)"
                " on conflict do nothing",
                [(source or "", target) for source, target in performance_states.TRANSITIONS],
            )
            connection.cursor().executemany(
                "insert into bot_transition (from_state, to_state) values (%s, %s)"
                " on conflict do nothing",
                [(source or "", target) for source, target in bot_states.TRANSITIONS],
            )
            rights.grant(connection)
    return applied


def _refuse_old(url: str, missing: list[str]) -> None:
    if "0001_schema" not in missing:
        return
    with psycopg.connect(url) as connection:
        (found,) = connection.execute("select to_regclass('journal')").fetchone() or (None,)
    if found:
        raise TooOldError("the database is of a version before 0.1.0: name an empty one")
