"""Who waits for an event is passed over no event that came before he began."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from tradingtools.domain.event import Event, Selection
from tradingtools.runtime.event_feed import EVERYTHING, EventFeed

_SOON = 10.0


async def _nothing(after: int, limit: int) -> list[tuple[int, Event]]:
    return []


def _event(number: int, kind: str = "order.filled") -> Event:
    return Event(log_number=number, part=0, type=kind, subject="s", at=datetime.now(UTC), data="{}")


def _feed(*numbers: int) -> EventFeed:
    feed = EventFeed(0, _nothing)
    for number in numbers:
        feed.append(number, _event(number))
    return feed


def _until() -> float:
    return asyncio.get_running_loop().time() + _SOON


async def test_what_comes_before_the_wait_has_begun_is_not_passed_over() -> None:
    feed = _feed(1)
    # A task begins when those before it have had their turn.
    waiting = asyncio.create_task(feed.until_needed(1, EVERYTHING, _until()))
    feed.append(2, _event(2))
    await asyncio.sleep(0)
    feed.append(3, _event(3))
    assert await waiting == 1


async def test_nor_is_it_when_the_time_is_up() -> None:
    feed = _feed(1, 2)
    assert await feed.until_needed(1, EVERYTHING, asyncio.get_running_loop().time()) == 1


async def test_what_nobody_wants_is_passed_over() -> None:
    feed = _feed(1)
    desired = Selection(types=frozenset({"halt.set"}))
    waiting = asyncio.create_task(feed.until_needed(1, desired, _until()))
    await asyncio.sleep(0)
    for number in (2, 3):
        feed.append(number, _event(number))
    feed.append(4, _event(4, "halt.set"))
    assert await waiting == 3
