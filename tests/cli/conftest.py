"""One edge for all tests of this folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from launcher.temporary import create_database
from tests.cli.people import PASSWORD, Person
from tests.cli.world import World, world

_numbers = itertools.count(0xC11)


@pytest.fixture(scope="session")
def running(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """An edge that answers, with an operators' port."""
    database = create_database(postgres_server, template=migrated_template)
    with world(tmp_path_factory.mktemp("cli"), database, redis_url) as made:
        yield made


@pytest.fixture(scope="session")
def admin(running: World, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """The first admin, logged in."""
    made = running.json("users", "bootstrap", "root")
    person = Person(running, tmp_path_factory.mktemp("root"))
    assert person.log_in("root", made["oneTimePassword"], PASSWORD)["role"] == "admin"
    return person


@pytest.fixture
def wallet() -> Callable[[], str]:
    """Makes wallets that no other test uses."""
    return lambda: f"0x{next(_numbers):040x}"
