"""Real stores for every test that wants them: one server per session, one database per test."""

from __future__ import annotations

import os
from collections.abc import Iterator

# initdb is started with a fork (it runs as another user); gRPC's own handling of forks would stop
# the servers that a test process has. Read when gRPC is imported, which is after this line.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import pytest
from hypothesis import settings

from launcher import temporary
from tradingtools.storage.postgres.migrate import migrate

for _name in [name for name in os.environ if name.startswith("TT_")]:
    # A setting of the person's shell must not change what the tests see.
    del os.environ[_name]


# An example that takes long on a busy machine says nothing about the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a real PostgreSQL that belongs to this test session."""
    # Hundreds of databases are made in it, and nothing of them outlives it.
    with temporary.temporary_postgres(durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """Name of a migrated database from which the tests' databases are copied."""
    url = temporary.create_database(postgres_server)
    migrate(url)
    return url.rsplit("/", 1)[1]


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """URL of a migrated, empty database of this test alone."""
    with temporary.temporary_database(postgres_server, template=migrated_template) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a real Valkey that belongs to this test session."""
    with temporary.temporary_valkey() as url:
        yield url
