"""Exits of an outcome wait at the collar for so long in all, however its book flaps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any, cast

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from services.executor.collar import Collar
from services.executor.core.collar import Quote
from tests.unit.samples import order
from tradingtools import clock
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Order, Purpose

_FAR, _NEAR = Quote(600_000, 620_000), Quote(200_000, 220_000)
_POLL_MS, _WAIT_MS = 100, 1_000


class Flapping:
    """A book that is another one at each look, which takes 100 ms."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.reported: Iterator[Quote] = repeat(_FAR)
        self.looks = 0

    def known(self, asset_id: str) -> Quote | None:
        return _FAR

    async def quote(self, asset_id: str) -> Quote | None:
        self.looks += 1
        self.now_ms += _POLL_MS
        return next(self.reported)


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Flapping:
    found = Flapping()
    monkeypatch.setattr(clock, "monotonic_ms", lambda: found.now_ms)
    monkeypatch.setattr("services.executor.collar._FIRST_POLL_SECONDS", 0.0)
    return found


def _sell(name: str) -> Order:
    return structs.replace(
        order(),
        order_key=name,
        side=Side.SELL,
        purpose=Purpose.GUARD_EXIT,
        limit_micros=50_000,
    )


async def _leave(collar: Collar, *orders: Order) -> None:
    """Hold orders and wait until all have left."""
    left = asyncio.Semaphore(0)
    for one in orders:
        collar.hold(one, lambda _held_ns: left.release(), pytest.fail)
    async with asyncio.timeout(10):
        for _ in orders:
            await left.acquire()


def _collar(book: Flapping) -> Collar:
    return Collar(cast(Any, book), 500_000 - 100_000, _WAIT_MS)


async def test_a_book_that_came_near_for_a_moment_begins_no_new_wait(book: Flapping) -> None:
    collar = _collar(book)
    book.reported = chain(repeat(_FAR, 7), [_NEAR], repeat(_FAR))
    await _leave(collar, _sell("first"))
    assert book.looks == 8
    assert collar.outside([_sell("second")])
    await _leave(collar, _sell("second"))
    assert book.looks == _WAIT_MS // _POLL_MS
    assert not collar.outside([_sell("third")])


async def test_each_that_leaves_beyond_the_collar_calls_a_person(book: Flapping) -> None:
    collar = _collar(book)
    # Its look ends the wait: nobody was told, and who follows does not wait.
    book.reported = chain(repeat(_FAR, 9), [_NEAR], repeat(_FAR))
    with capture_logs() as logs:
        await _leave(collar, _sell("first"))
        assert not logs, "it left near the book"
        assert not collar.outside([_sell("second"), _sell("third")])
    reported = [line["order"] for line in logs if line.get("alert")]
    assert reported == ["second", "third"]


async def test_order_near_the_book_starts_no_wait_for_others(
    book: Flapping,
) -> None:
    collar = _collar(book)
    book.reported = chain(repeat(_FAR, 6), [_NEAR], repeat(_FAR))
    await _leave(collar, _sell("first"), _sell("second"))
    assert book.looks <= _WAIT_MS // _POLL_MS + 1


async def test_a_minute_later_they_wait_again(book: Flapping) -> None:
    collar = _collar(book)
    await _leave(collar, _sell("first"))
    assert not collar.outside([_sell("second")])
    book.now_ms += 60_001
    assert collar.outside([_sell("second")])
    before = book.looks
    await _leave(collar, _sell("second"))
    assert book.looks - before == _WAIT_MS // _POLL_MS
