"""Bring a database to the present schema.

Migrations are plain SQL files applied by yoyo. The transition table and the rights of the processes
are written from the code afterwards, so that the database enforces exactly what the code says.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
import yoyo

from tradingtools.adapters.postgres import rights
from tradingtools.domain.order_states import TRANSITIONS

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the ids of the migrations that were applied.

    Args:
        url: of the owner of the database.

    Raises:
        psycopg.OperationalError: the database does not answer.
        psycopg.errors.InsufficientPrivilege: the URL's user may not do it.
    """
    backend = yoyo.get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    migrations = yoyo.read_migrations(str(MIGRATIONS))
    with backend.lock(timeout=30):
        missing = backend.to_apply(migrations)
        applied = [migration.id for migration in missing]
        backend.apply_migrations(missing)
        # Under the lock, too: two at once would change the same rights.
        with psycopg.connect(url) as connection:
            connection.cursor().executemany(
                "insert into order_transition (from_state, to_state) values (%s, %s)"
                " on conflict do nothing",
                [(t.source or "", t.target) for t in TRANSITIONS],
            )
            rights.grant(connection)
    backend.connection.close()
    return applied
