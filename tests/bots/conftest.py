"""A desk of bots on a database that the tests of a module share."""

from __future__ import annotations

import pytest

from launcher.temporary import create_database
from services.bots import wallet_run
from services.bots.wallet import account, commands
from tests.bots.exchange import Desk


@pytest.fixture(scope="module")
def url(postgres_server: str, migrated_template: str) -> str:
    return create_database(postgres_server, template=migrated_template)


@pytest.fixture
def desk(url: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(commands, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(wallet_run, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(account, "DEADLINE_MS", 0)
    monkeypatch.setattr(account, "CLOCK_ERROR_MS", 0)
    return Desk(url)
