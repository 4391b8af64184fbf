"""An edge with the console before it, and a browser."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, sync_playwright

from launcher.ports import free_port
from launcher.temporary import temporary_database
from tests.control.requests import ROUTER_STAND_IN
from tests.events.edge import Listening, listening
from tests.replay import made
from tradingtools import login_codes

FAILED_LOGINS = 30
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


class Served:
    """A console and what is behind it."""

    def __init__(self, world: Listening, port: int, redis_url: str) -> None:
        self.world = world
        self.redis_url = redis_url
        self.port = port
        self.directory = world.directory / "console"
        """Of the process."""
        self.recording = world.directory / "recording"
        """Of a router."""
        self.url = f"http://127.0.0.1:{self.port}/console/"
        self.edge_url = f"{world.url}/console/"
        world.environment |= {
            "TT_CONSOLE_HTTP_LISTEN": f"127.0.0.1:{self.port}",
            "TT_CONSOLE_REST_URL": world.url,
            "TT_CONSOLE_OPERATOR_TARGET": f"127.0.0.1:{world.ports['inside']}",
            "TT_CONSOLE_STATE_DIR": str(self.directory),
            "TT_CONSOLE_TRUSTED_NETWORKS": "127.0.0.0/8",
            "TT_CONSOLE_FAILED_LOGINS": str(FAILED_LOGINS),
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.world.start("console")
        with httpx.Client(trust_env=False) as client:
            for _ in range(1200):
                try:
                    client.get(self.url, timeout=5.0)
                except httpx.TransportError:
                    time.sleep(0.05)
                else:
                    return
        raise AssertionError(self.world.log[-2000:])

    def link(self, *tokens: str, edge: bool = False) -> str:
        """Return an address that logs in once."""
        url = self.edge_url if edge else self.url
        return f"{url}#code={login_codes.leave(self.directory, tokens, time.time())}"

    def client(self, *, edge: bool = False) -> httpx.Client:
        """Return a client without a session."""
        return httpx.Client(
            base_url=self.edge_url if edge else self.url,
            timeout=30.0,
            trust_env=False,
            headers={"content-type": "application/json"},
        )


@pytest.fixture(scope="session")
def served(
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
        made.analytics(directory / "analytics", {})
        with listening(
            directory,
            url,
            redis_url,
            also=("webhooks",),
            trusted=("127.0.0.1/32",),
            console_port=port,
            TT_WEBHOOKS_ALLOWED_NETWORKS="127.0.0.0/8",
            TT_ANALYTICS_DIR=str(directory / "analytics"),
            TT_RECORDING_DIR=str(directory / "recording"),
        ) as world:
            served = Served(world, port, redis_url)
            served.start()
            yield served


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
def pictures() -> Path:
    """Where the pages' pictures go: build/console."""
    directory = Path(__file__).resolve().parents[2] / "build" / "console"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
