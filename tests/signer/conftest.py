"""One signer for the tests of this folder that do not kill it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from launcher.temporary import create_database
from tests.signer.world import World, running


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A signer with a database of its own."""
    url = create_database(postgres_server, template=migrated_template)
    with running(url, tmp_path_factory.mktemp("signer")) as made:
        yield made
