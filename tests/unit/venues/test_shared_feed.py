"""Markets that many follow are read once; who comes later is told how they stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from tests.unit.bots.samples import book, swap
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.venues.shared_feed import SharedFeed
from tradingtools.venues.trading import MarketEvent, MarkPrice, PhaseChange, Print, TradingBook

ONE = swap()
OTHER = swap(inverse=True)
BOOK = book(ONE, [(640_000, 9)], [(640_001, 9)])
NEXT = book(ONE, [(640_002, 9)], [(640_003, 9)])
MARK = MarkPrice(instrument_id=ONE.id, price=640_000, venue_ms=1)
TRADE = Print(instrument_id=ONE.id, trade_id="1", side="BUY", price=640_000, size=1, venue_ms=1)


class Feed:
    """Tells what a test says."""

    def __init__(self) -> None:
        self.requested: list[list[str]] = []
        self.ended = 0
        self.reported: asyncio.Queue[MarketEvent | Exception] = asyncio.Queue()

    async def events(self, instruments: Sequence[Instrument]) -> AsyncIterator[MarketEvent]:
        self.requested.append([one.id for one in instruments])
        try:
            while True:
                event = await self.reported.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.ended += 1


class Reader:
    """Follows markets in a task of its own."""

    def __init__(self, feed: SharedFeed, *instruments: Instrument) -> None:
        self.received: list[MarketEvent] = []
        self.task = asyncio.create_task(self._follow(feed, instruments))

    async def _follow(self, feed: SharedFeed, instruments: Sequence[Instrument]) -> None:
        async for event in feed.events(instruments):
            self.received.append(event)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_market_is_read_once_and_told_to_all_who_follow_it() -> None:
    feed = Feed()
    shared = SharedFeed(feed)
    first = Reader(shared, ONE)
    await settled()
    for event in (BOOK, TRADE, MARK):
        feed.reported.put_nowait(event)
    await settled()
    second, third = Reader(shared, ONE, OTHER), Reader(shared, OTHER)
    await settled()
    assert feed.requested == [[ONE.id], [OTHER.id]]
    assert first.received == [BOOK, TRADE, MARK]
    assert second.received == [BOOK, MARK], "what is over is not told again"
    assert third.received == []
    await third.leave()
    feed.reported.put_nowait(NEXT)
    await settled()
    assert (first.received[-1], second.received[-1]) == (NEXT, NEXT)
    await first.leave()
    assert feed.ended == 0
    await second.leave()
    assert feed.ended == 2, "nobody follows either"


async def test_who_knows_an_instrument_as_it_was_is_told_what_it_is() -> None:
    feed = Feed()
    shared = SharedFeed(feed)
    first = Reader(shared, ONE)
    await settled()
    late = Reader(shared, replace(ONE, phase=TradingPhase.SUSPENDED))
    await settled()
    (news,) = late.received
    assert isinstance(news, PhaseChange)
    assert (news.instrument, news.phase) == (ONE, TradingPhase.OPEN)
    assert first.received == []
    wider = replace(ONE, tick_size=10 * ONE.tick_size)
    reported = PhaseChange(instrument=wider, phase=wider.phase, cause="tick_change", venue_ms=1)
    feed.reported.put_nowait(reported)
    await settled()
    later = Reader(shared, ONE)
    await settled()
    assert later.received == [reported]
    for one in (first, late, later):
        await one.leave()


async def test_each_who_follows_hears_what_a_feed_died_of() -> None:
    feed = Feed()
    shared = SharedFeed(feed)
    readers = [Reader(shared, ONE), Reader(shared, ONE)]
    await settled()
    feed.reported.put_nowait(RuntimeError("a defect"))
    await asyncio.gather(*(one.task for one in readers), return_exceptions=True)
    for one in readers:
        with pytest.raises(RuntimeError, match="a defect"):
            one.task.result()
    again = Reader(shared, ONE)
    await settled()
    assert feed.requested == [[ONE.id], [ONE.id]]
    await again.leave()


async def test_who_comes_while_others_leave_a_feed_that_died_has_one_that_lives() -> None:
    feed = Feed()
    shared = SharedFeed(feed)
    # It has not taken the end yet.
    busy = shared.events([ONE])
    first = asyncio.ensure_future(anext(busy))
    await settled()
    feed.reported.put_nowait(BOOK)
    assert await first == BOOK
    feed.reported.put_nowait(RuntimeError("a defect"))
    await settled()
    late = Reader(shared, ONE)
    await settled()
    feed.reported.put_nowait(NEXT)
    await settled()
    assert late.received == [NEXT]
    with pytest.raises(RuntimeError, match="a defect"):
        await anext(busy)
    feed.reported.put_nowait(BOOK)
    await settled()
    assert late.received == [NEXT, BOOK], "who left the dead one has not ended it"
    await late.leave()


async def test_a_slow_one_gets_the_newest_book_and_keeps_nobody_waiting() -> None:
    feed = Feed()
    shared = SharedFeed(feed)
    slow = shared.events([ONE])
    waiting = asyncio.ensure_future(anext(slow))
    fast = Reader(shared, ONE)
    await settled()
    feed.reported.put_nowait(BOOK)
    assert await waiting == BOOK
    for event in (NEXT, BOOK, NEXT):
        feed.reported.put_nowait(event)
        await settled()
    assert [one for one in fast.received if isinstance(one, TradingBook)] == [
        BOOK,
        NEXT,
        BOOK,
        NEXT,
    ]
    assert await anext(slow) == NEXT
    await slow.aclose()
    await fast.leave()
