"""An edge with the console before it, and a browser."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg.rows import dict_row

from launcher.ports import free_port
from launcher.temporary import temporary_database
from tests.console.admin import Admin
from tests.console.books import Books, serving
from tests.console.facts import Facts, traded_before
from tests.console.world import Served, opened
from tests.control.edge import MANAGE, OPERATE
from tests.control.requests import ROUTER_STAND_IN
from tests.events.edge import listening
from tests.replay import made

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def books() -> Iterator[Books]:
    """The order books that positions are valued by."""
    with serving() as books:
        yield books


@pytest.fixture(scope="session")
def served(
    books: Books,
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """The console, before an edge with the log of events."""
    with temporary_database(postgres_server, template=migrated_template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(ROUTER_STAND_IN)
        directory, port = tmp_path_factory.mktemp("console"), free_port()
        made.analytics(directory / "analytics", {"polymarket.trades": traded_before()})
        with listening(
            directory,
            url,
            redis_url,
            also=("webhooks",),
            trusted=("127.0.0.1/32",),
            console_port=port,
            TT_WEBHOOKS_ALLOWED_NETWORKS="127.0.0.0/8",
            TT_CONTROL_LOGIN_SECRET="5e" * 32,
            TT_CONTROL_SIGNER_SOCKET=str(directory / "signer" / "signer.sock"),
            TT_CONTROL_BOOKFEED_TARGET=books.target,
            TT_CONTROL_SIMULATION_MS="9000",
            TT_ANALYTICS_DIR=str(directory / "analytics"),
            TT_RECORDING_DIR=str(directory / "recording"),
        ) as world:
            served = Served(world, port, redis_url)
            served.start()
            yield served


@pytest.fixture(scope="session")
def admin(served: Served) -> Admin:
    """Makes users."""
    return Admin(served)


def chromium() -> str:
    """Return the path of a browser; skips loudly where there is none."""
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        missing = "there is no Chromium (apt-get install chromium, or make browser as root)"
        assert not os.environ.get("BROWSER_REQUIRED"), missing
        warnings.warn(f"the console's pages are NOT tried: {missing}", stacklevel=2)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser.

    Of a module: while it runs, its event loop is the worker's, and no asynchronous test has one.
    """
    path = chromium()
    with sync_playwright() as playwright:
        # Run by root in a container, Chromium has no sandbox to offer.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def facts(served: Served, books: Books) -> Iterator[Facts]:
    """A follower with a subscription, an order, a position and a trigger, and a seasoned one."""
    with psycopg.connect(
        served.world.database_url, autocommit=True, row_factory=dict_row
    ) as database:
        yield Facts(served, database, books)


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A page of somebody who may do everything."""
    yield from opened(browser, served, MANAGE, OPERATE)


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where the pages' pictures go: build/console."""
    directory = Path(__file__).resolve().parents[2] / "build" / "console"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
