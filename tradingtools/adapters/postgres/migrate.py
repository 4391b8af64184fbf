"""Bring a database to the present schema.

Migrations are plain SQL files applied by yoyo; the transition table is written from the domain
afterwards, so that the database enforces exactly what the code says.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
import yoyo

from tradingtools.domain.order_states import TRANSITIONS

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the ids of the migrations that were applied.

    Raises:
        psycopg.OperationalError: the database does not answer.
    """
    backend = yoyo.get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    migrations = yoyo.read_migrations(str(MIGRATIONS))
    with backend.lock(timeout=30):
        missing = backend.to_apply(migrations)
        applied = [migration.id for migration in missing]
        backend.apply_migrations(missing)
    backend.connection.close()
    with psycopg.connect(url) as connection:
        connection.cursor().executemany(
            "insert into order_transition (from_state, to_state) values (%s, %s)"
            " on conflict do nothing",
            [(t.source or "", t.target) for t in TRANSITIONS],
        )
    return applied
