"""A console before an edge, and how a person opens it in a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.events.edge import Listening
from tradingtools import login_codes

FAILED_LOGINS = 30
MS = 20_000
"""A browser on a loaded machine takes its time."""
expect.set_options(timeout=MS)


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


_COMPUTED = re.compile(r"/(simulation|backtest|settings-preview)(\?|$)")
"""What stands back for others, and says on a busy machine that it was not done in time."""


class Seen:
    """What a page must not do."""

    def __init__(self, page: Page, own: str) -> None:
        self.problems: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("response", lambda answer: self._answered(answer.status, answer.url))
        page.on("request", lambda request: self._requested(request.url, own))

    def _said(self, message: ConsoleMessage) -> None:
        # The browser itself tells of each refusal, which the page shows in words.
        if message.type == "error" and "responded with a status of" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _answered(self, status: int, url: str) -> None:
        if status >= 500 and not (status == 503 and _COMPUTED.search(url)):
            self.problems.append(f"{status}: {url}")

    def _requested(self, url: str, own: str) -> None:
        if not url.startswith((own, "data:", "blob:")):
            self.problems.append(f"another host: {url}")


def opened(browser: Browser, served: Served, *tokens: str, **options: Any) -> Iterator[Page]:
    context = browser.new_context(**options)
    context.set_default_timeout(MS)
    page = context.new_page()
    seen = Seen(page, served.url.removesuffix("console/"))
    page.goto(served.link(*tokens))
    expect(page.get_by_role("navigation")).to_be_visible()
    try:
        yield page
        assert not seen.problems, seen.problems
    finally:
        context.close()


def go(page: Page, where: str) -> None:
    page.evaluate("where => { location.hash = where }", f"#/{where}")
    page.wait_for_load_state()


def computed(page: Page, ask: Locator, outcome: Locator) -> None:
    """Click until an outcome is there: on a busy machine it is not computed in time."""
    late = page.get_by_text("no answer within")
    for _ in range(20):
        ask.click()
        expect(outcome.or_(late)).to_be_visible(timeout=60_000)
        if outcome.is_visible():
            return
        cancel = page.get_by_role("dialog").get_by_role("button", name="Cancel")
        if cancel.count():
            cancel.click()
    raise AssertionError("nothing was computed in time")


def settled(page: Page) -> None:
    """Wait until nothing is being loaded."""
    expect(page.locator(".skeleton")).to_have_count(0)
