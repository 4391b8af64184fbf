"""Twins by statement: files of named SQL on one side, twins on the other.

A service's statement is found by its text, as it was loaded; nobody here imports a service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tradingtools.storage.postgres.sql import load_queries
from tradingtools.testing.memory_database.confirm import CONFIRM
from tradingtools.testing.memory_database.executor import EXECUTOR
from tradingtools.testing.memory_database.guard import GUARD
from tradingtools.testing.memory_database.money_path import DEAD_LETTERS, MONEY_PATH
from tradingtools.testing.memory_database.perfmon import PERFMON
from tradingtools.testing.memory_database.resync import RESYNC
from tradingtools.testing.memory_database.router import ROUTER
from tradingtools.testing.memory_database.transactions import Twin

_ROOT = Path(__file__).parents[3]
TWINS: Final[dict[str, Mapping[str, Twin]]] = {
    "tradingtools/storage/postgres/money_path.sql": MONEY_PATH,
    "tradingtools/storage/postgres/dead_letters.sql": DEAD_LETTERS,
    "services/router/queries.sql": ROUTER,
    "services/router/resync.sql": RESYNC,
    "services/executor/queries.sql": EXECUTOR,
    "services/confirm/queries.sql": CONFIRM,
    "services/guard/queries.sql": GUARD,
    "services/perfmon/queries.sql": PERFMON,
}
"""By file, from the root of the project, and name."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement and its twin."""

    name: str
    twin: Twin


@cache
def loaded(file: str) -> dict[str, str]:
    """The statements of a file by name, as the services load them."""
    return dict(load_queries(_ROOT / file))


def statements(replaced: Mapping[tuple[str, str], Twin]) -> dict[str, Statement]:
    """Every statement that has a twin, by its text.

    Args:
        replaced: twins that take the place of others, by (file, name).
    """
    return {
        text: Statement(name, replaced.get((file, name), twins[name]))
        for file, twins in TWINS.items()
        for name, text in loaded(file).items()
        if name in twins
    }
