"""One real edge for all tests of this folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from launcher.temporary import create_database
from tests.control.edge import RunningEdge, StartEdge, running_edge
from tests.control.requests import ROUTER_STAND_IN


@pytest.fixture(scope="session")
def start_edge(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> StartEdge:
    """Starts an edge with a directory and a database of its own."""

    def start(
        name: str, trusted: tuple[str, ...] = (), **settings: str
    ) -> AbstractContextManager[RunningEdge]:
        database = create_database(postgres_server, template=migrated_template)
        with psycopg.connect(database) as connection:
            connection.execute(ROUTER_STAND_IN)
        directory = tmp_path_factory.mktemp(name)
        return running_edge(directory, database, redis_url, trusted, 2, **settings)

    return start


@pytest.fixture(scope="session")
def edge(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """Envoy, control, PostgreSQL and Valkey, all real, shared by the tests of this folder."""
    # Nobody listens there: the engine is told of, and is not well.
    with start_edge("edge", engine_targets="router=127.0.0.1:1") as running:
        yield running


@pytest.fixture
def database(edge: RunningEdge) -> Iterator[psycopg.Connection[DictRow]]:
    """An autocommit connection to the edge's database."""
    with psycopg.connect(edge.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


_numbers = itertools.count(1)


@pytest.fixture
def wallet() -> Callable[[], str]:
    """Makes wallets that no other test uses."""
    return lambda: f"0x{next(_numbers):040x}"
