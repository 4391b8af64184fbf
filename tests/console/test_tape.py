"""The live tape under load: no event dropped, memory flat, the reader's place kept.

The short form plays a minute of them as fast as the log takes them. The long one plays an hour at
its own speed, or so many minutes as TAPE_MINUTES says, and writes its figures to build/console.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.console.facts import Facts
from tests.console.world import go

EVENTS_PER_SECOND = 100
_A_TRADE = 2
"""Events of a trade: the leader's, and what a follower made of it."""
_RETAINED = 500
"""Trades that the tape shows at most."""
_FOLLOW = """async () => {
    const { live } = await import(new URL("lib/live.js", document.baseURI));
    window.told = { count: 0, first: 0, last: 0, gaps: 0, drawn: 0 };
    const drawn = () => { told.drawn += 1; };
    new MutationObserver(drawn).observe(document.querySelector(".tape"), { childList: true });
    live.follow((events) => {
        for (const { sequence } of events) {
            const number = Number(sequence);
            told.first ||= number;
            told.gaps += told.last && number <= told.last ? 1 : 0;
            told.last = number;
            told.count += 1;
        }
    });
}"""


class Watched:
    """A page whose memory is looked at."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def reported(self) -> dict[str, int]:
        """Return what the page's stream has brought: count, first and last number, disorder."""
        found: dict[str, int] = self._page.evaluate("told")
        return found

    def memory(self) -> dict[str, int]:
        """Return the bytes and nodes that are left after a collection."""
        self._session.send("HeapProfiler.collectGarbage")
        metrics: Any = self._session.send("Performance.getMetrics")["metrics"]
        values = {one["name"]: int(one["value"]) for one in metrics}
        return {"bytes": values["JSHeapUsedSize"], "nodes": values["Nodes"]}

    def until_told(self, count: int) -> None:
        """Wait until the stream has brought so many events."""
        self._page.wait_for_function("count => told.count >= count", arg=count, timeout=60_000)

    def until_drawn(self, before: int) -> None:
        """Wait until the tape was drawn again."""
        self._page.wait_for_function("before => told.drawn > before", arg=before, timeout=60_000)


@pytest.fixture
def watched(page: Page, facts: Facts) -> Watched:
    """The tape, following the log."""
    go(page, "tape")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    # The frame says so before the page in it is there.
    expect(page.locator(".tape")).to_be_visible()
    # A row without any figure in its words: a template that is kept must keep nothing alive.
    facts.trade(0, decided=False)
    expect(page.get_by_text("not decided yet")).to_be_visible()
    page.evaluate(_FOLLOW)
    return Watched(page)


def _held(page: Page) -> Any:
    """Scroll down, and return where a trade stands."""
    feed = page.get_by_role("feed")
    feed.evaluate("node => { node.scrollTop = 2000 }")
    expect(page.get_by_role("button", name="back to the top")).to_be_visible()
    return feed.get_by_role("article").nth(60).bounding_box()


def _play(watched: Watched, facts: Facts, batches: int) -> None:
    """Play trades of a hundred each, and let each hundred be drawn."""
    for _ in range(batches):
        before = watched.reported()
        facts.trade(*range(100))
        watched.until_told(before["count"] + 100 * _A_TRADE)
        watched.until_drawn(before["drawn"])


def test_a_minute_of_the_tape_drops_nothing_and_leaves_no_memory_behind(
    page: Page, watched: Watched, facts: Facts
) -> None:
    _play(watched, facts, 6)
    before = watched.memory()
    _play(watched, facts, 14)
    after = watched.memory()
    # Of 2,800 events of a kilobyte each, and of 1,400 rows, nothing is left.
    assert after["bytes"] - before["bytes"] < 1_000_000
    assert after["nodes"] < 1.2 * before["nodes"]
    place = _held(page)
    facts.trade(*range(1000))
    watched.until_told(3000 * _A_TRADE)
    assert page.get_by_role("article").nth(60).bounding_box() == place
    page.get_by_role("button", name="500 newer trades").click()
    expect(page.get_by_role("button", name="back to the top")).to_have_count(0)
    assert page.get_by_role("article").count() == _RETAINED
    reported = watched.reported()
    assert reported["gaps"] == 0
    assert reported["last"] - reported["first"] + 1 == reported["count"]


def test_a_tape_that_is_opened_late_begins_with_the_newest_trade(page: Page, facts: Facts) -> None:
    """More has happened than the log gives in one page."""
    before = facts.logged()
    facts.trade(*range(1200))
    deadline = time.monotonic() + 60
    while facts.logged() < before + 1200 * _A_TRADE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    go(page, "tape")
    newest = page.get_by_role("feed").get_by_role("article").first
    expect(newest).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(_RETAINED)
    newest.get_by_role("button").click()
    expect(newest.get_by_text("number 1199")).to_be_visible()


@pytest.mark.long
@pytest.mark.timeout(0)
def test_an_hour_of_the_tape(page: Page, watched: Watched, facts: Facts, pictures: Path) -> None:
    minutes = int(os.environ.get("TAPE_MINUTES", "60"))
    figures: list[dict[str, int]] = []
    sent, place, read = 0, None, False
    started = time.monotonic()
    while time.monotonic() - started < 60 * minutes:
        due = int((time.monotonic() - started) * EVENTS_PER_SECOND / _A_TRADE)
        for number in range(sent, due):
            facts.trade(number)
        sent = max(sent, due)
        if len(figures) < (time.monotonic() - started) / 60:
            figures.append(
                {"minute": len(figures), "sent": sent} | watched.memory() | watched.reported()
            )
            (pictures / "tape.json").write_text(json.dumps(figures, indent=1))
        # A third of it the reader reads, by the clock: a busy machine has few figures.
        part = (time.monotonic() - started) / (60 * minutes)
        if place is None and part > 1 / 3:
            place = _held(page)
        if not read and part > 2 / 3:
            assert page.get_by_role("article").nth(60).bounding_box() == place
            page.get_by_role("button", name="newer trades").click()
            read = True
        page.wait_for_timeout(20)
    watched.until_told(sent * _A_TRADE)
    reported = watched.reported()
    assert (reported["count"], reported["gaps"]) == (sent * _A_TRADE, 0)
    warm = figures[min(2, len(figures) - 1)]
    assert figures[-1]["bytes"] - warm["bytes"] < 2_000_000
    assert figures[-1]["nodes"] < 1.2 * warm["nodes"]
