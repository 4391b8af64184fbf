"""Books count as stale while their stream is silent, and as what they are once it speaks again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import pytest

from tradingtools.domain.book import Book, BookStatus
from tradingtools.runtime import books
from tradingtools.runtime.books import SILENT_SECONDS, Books, OnBooks
from tradingtools.v1 import bookfeed_service_pb2 as pb

BOUND_SECONDS = 20.0


class Hand:
    """A clock that stands still until it is moved on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Feed:
    """A channel to a bookfeed in the test's hands: every opened stream is a queue of its own."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Queue[Any]] = []
        self.requested: list[str] = []
        self.requests: list[pb.GetBookRequest] = []
        self.answer: tuple[str, int] | pb.Mark | None = None
        """What GetBook gives; None: bookfeed does not answer."""

    def unary_stream(self, *_: object, **__: object) -> Callable[[pb.StreamMarksRequest], Any]:
        return self._open

    def unary_unary(self, *_: object, **__: object) -> Any:
        return self._get

    async def _get(self, request: pb.GetBookRequest, **_: object) -> pb.GetBookResponse:
        self.requested.append(request.asset_id)
        self.requests.append(request)
        if self.answer is None:
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing)
        return pb.GetBookResponse(mark=_as_mark(self.answer))

    def _open(self, _request: pb.StreamMarksRequest) -> Any:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.calls.append(queue)
        return _Call(queue)

    def say(self, *marks: tuple[str, int] | pb.Mark, let_go: Sequence[str] = ()) -> None:
        """Marks, or their assets and revisions; none: a checkpoint."""
        self.calls[-1].put_nowait(
            pb.StreamMarksResponse(marks=map(_as_mark, marks), cursor="1", let_go=let_go)
        )

    async def begin_again(self) -> None:
        """The stream ends; the reader opens the next one."""
        number = len(self.calls)
        self.calls[-1].put_nowait(grpc.aio.EOF)
        await until(lambda: len(self.calls) > number)


def _as_mark(reported: tuple[str, int] | pb.Mark) -> pb.Mark:
    if isinstance(reported, pb.Mark):
        return reported
    return pb.Mark(asset_id=reported[0], revision=reported[1], status=pb.BOOK_STATUS_FRESH)


def _torn(asset: str, revision: int) -> pb.Mark:
    """A mark with a price that has no size."""
    mark = _as_mark((asset, revision))
    mark.bid_prices_micros.append(400_000)
    return mark


class _Call:
    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self._queue = queue

    async def read(self) -> Any:
        return await self._queue.get()

    def cancel(self) -> None:
        """Nothing to end."""


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    made = Hand()
    monkeypatch.setattr(books, "clock", made)
    monkeypatch.setattr(books, "_WATCH_SECONDS", 0.01)
    return made


@asynccontextmanager
async def following(feed: Feed, on_books: OnBooks) -> AsyncIterator[Books]:
    made = Books(cast(Any, feed), timeout_ms=1000)
    task = asyncio.create_task(made.keep(on_books))
    await until(lambda: bool(feed.calls))
    yield made
    task.cancel()
    await asyncio.wait([task])


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)


def stands(found: Books, asset: str) -> tuple[int, BookStatus] | None:
    book = found.known(asset)
    return None if book is None else (book.revision, book.status)


async def test_who_is_slow_to_take_a_book_is_told_the_newest_next(hand: Hand) -> None:
    feed, free, reported = Feed(), asyncio.Event(), list[list[tuple[str, int]]]()

    async def slow(some: Sequence[Book]) -> None:
        reported.append([(book.market.asset_id, book.revision) for book in some])
        await free.wait()

    async with following(feed, slow) as found:
        feed.say(("a", 1))
        await until(lambda: reported == [[("a", 1)]])
        for number in range(2, 9):
            feed.say(("a", number), ("b", number))
        await until(lambda: stands(found, "b") == (8, BookStatus.FRESH))
        free.set()
        await until(lambda: len(reported) == 2)
        assert reported == [[("a", 1)], [("a", 8), ("b", 8)]]


async def test_a_slow_taker_is_no_silence(hand: Hand) -> None:
    feed, never = Feed(), asyncio.Event()

    async def stuck(_some: Sequence[Book]) -> None:
        await never.wait()

    async with following(feed, stuck) as found:
        feed.say(("a", 1))
        await until(lambda: stands(found, "a") is not None)
        hand.seconds += 2 * SILENT_SECONDS
        feed.say(("a", 2))
        await until(lambda: stands(found, "a") == (2, BookStatus.FRESH))


async def test_a_book_is_good_again_when_its_stream_speaks_again(hand: Hand) -> None:
    feed, reported = Feed(), list[BookStatus]()

    async def note(some: Sequence[Book]) -> None:
        reported.extend(book.status for book in some)

    async with following(feed, note) as found:
        feed.say(("a", 1))
        await until(lambda: reported == [BookStatus.FRESH])
        hand.seconds += SILENT_SECONDS
        await until(lambda: reported[1:] == [BookStatus.STALE])
        assert stands(found, "a") == (1, BookStatus.STALE)
        feed.say()
        await until(lambda: reported[2:] == [BookStatus.FRESH])
        assert stands(found, "a") == (1, BookStatus.FRESH)


async def test_a_new_stream_after_a_silence_tells_its_own_books(hand: Hand) -> None:
    feed = Feed()

    async def take(_some: Sequence[Book]) -> None:
        """Take whatever comes."""

    async with following(feed, take) as found:
        feed.say(("a", 1), ("b", 1))
        await until(lambda: stands(found, "b") is not None)
        hand.seconds += SILENT_SECONDS
        await until(lambda: stands(found, "a") == (1, BookStatus.STALE))
        await feed.begin_again()
        feed.say(("b", 2))
        await until(lambda: stands(found, "b") == (2, BookStatus.FRESH))
        assert stands(found, "a") == (1, BookStatus.STALE)


async def take(_some: Sequence[Book]) -> None:
    """Take whatever comes."""


async def test_what_was_let_go_is_stale_is_told_so_and_is_asked_for(hand: Hand) -> None:
    feed, reported = Feed(), list[tuple[str, BookStatus]]()

    async def notify(some: Sequence[Book]) -> None:
        reported.extend((book.market.asset_id, book.status) for book in some)

    async with following(feed, notify) as found:
        feed.say(("a", 1), ("b", 1))
        await until(lambda: stands(found, "b") is not None)
        feed.say(let_go=["a", "never told"])
        # Not gone: an exit may leave on a stale book, and on none it waits.
        await until(lambda: stands(found, "a") == (1, BookStatus.STALE))
        await until(lambda: ("a", BookStatus.STALE) in reported)
        assert stands(found, "never told") is None
        feed.answer = ("a", 7)
        assert await found.get("a") is not None
        assert stands(found, "a") == (7, BookStatus.FRESH)
        assert await found.get("b") == found.known("b")
        assert feed.requested == ["a"]


async def test_book_missing_from_a_new_stream_is_stale_and_fetched(hand: Hand) -> None:
    feed = Feed()
    async with following(feed, take) as found:
        feed.say(("a", 1), ("b", 1))
        await until(lambda: stands(found, "b") is not None)
        await feed.begin_again()
        # While nobody answers, what was told lately is the best there is.
        assert stands(found, "a") == (1, BookStatus.FRESH)
        feed.say(("b", 2))
        await until(lambda: stands(found, "b") == (2, BookStatus.FRESH))
        assert stands(found, "a") == (1, BookStatus.STALE)
        assert await found.get("a") == found.known("a")
        assert feed.requested == ["a"]
        feed.answer = ("a", 7)
        await found.get("a")
        assert stands(found, "a") == (7, BookStatus.FRESH)
        await found.get("a")
        await found.get("b")
        assert feed.requested == ["a", "a"]


async def test_book_long_missing_from_a_new_stream_is_reported_stale(hand: Hand) -> None:
    feed, reported = Feed(), list[tuple[str, BookStatus]]()

    async def note(some: Sequence[Book]) -> None:
        reported.extend((book.market.asset_id, book.status) for book in some)

    async with following(feed, note) as found:
        feed.say(("a", 1), ("b", 1))
        await until(lambda: len(reported) == 2)
        await feed.begin_again()
        feed.say(("b", 2))
        await until(lambda: len(reported) == 3)
        hand.seconds += SILENT_SECONDS / 2
        feed.say(("b", 3))
        await until(lambda: stands(found, "b") == (3, BookStatus.FRESH))
        hand.seconds += SILENT_SECONDS / 2
        await until(lambda: reported[-1] == ("a", BookStatus.STALE))


async def test_unreadable_mark_costs_its_asset_alone(hand: Hand) -> None:
    feed, reported = Feed(), list[tuple[str, BookStatus]]()

    async def note(some: Sequence[Book]) -> None:
        reported.extend((book.market.asset_id, book.status) for book in some)

    async with following(feed, note) as found:
        feed.say(("a", 1), ("b", 1))
        await until(lambda: len(reported) == 2)
        feed.say(_torn("a", 2), _torn("c", 1), ("b", 2))
        await until(lambda: stands(found, "b") == (2, BookStatus.FRESH))
        await until(lambda: ("a", BookStatus.STALE) in reported)
        assert stands(found, "a") == (1, BookStatus.STALE)
        assert stands(found, "c") is None
        feed.answer = _torn("c", 1)
        assert await found.get("c") is None
        feed.say(("a", 3), ("c", 2))
        await until(lambda: stands(found, "c") == (2, BookStatus.FRESH))
        assert stands(found, "a") == (3, BookStatus.FRESH)


def _unseen(asset: str) -> pb.Mark:
    market = pb.MarketInfo(asset_id=asset, tick_micros=10_000)
    return pb.Mark(asset_id=asset, status=pb.BOOK_STATUS_UNSEEN, market=market)


async def test_market_without_a_book_serves_those_without_levels(hand: Hand) -> None:
    feed = Feed()
    feed.answer = _unseen("1")
    async with following(feed, take) as found:
        cold = await found.get("1", condition_id="0xc", levels=False)
        assert cold is not None
        assert (cold.status, cold.market.tick_micros) == (BookStatus.UNSEEN, 10_000)
        assert not cold.usable
        assert (feed.requests[-1].market_suffices, feed.requests[-1].condition_id) == (True, "0xc")
        # It stays until there is a book: no second question.
        assert await found.get("1", levels=False) == cold
        assert len(feed.requested) == 1
        feed.answer = ("1", 7)
        assert await found.get("1") is not None
        assert stands(found, "1") == (7, BookStatus.FRESH)
        assert not feed.requests[-1].market_suffices
        assert await found.get("1", levels=False) == found.known("1")
        assert len(feed.requested) == 2


async def test_a_market_without_its_book_takes_no_levels_away(hand: Hand) -> None:
    feed = Feed()
    async with following(feed, take) as found:
        feed.say(("1", 3))
        await until(lambda: stands(found, "1") == (3, BookStatus.FRESH))
        feed.say(let_go=["1"])
        await until(lambda: stands(found, "1") == (3, BookStatus.STALE))
        feed.answer = _unseen("1")
        assert await found.get("1", levels=False) == found.known("1")
        assert stands(found, "1") == (3, BookStatus.STALE)


async def test_a_condition_that_is_none_costs_no_book(hand: Hand) -> None:
    feed = Feed()
    feed.answer = ("1", 1)
    async with following(feed, take) as found:
        assert await found.get("1", condition_id="x" * 1000) is not None
        assert feed.requests[-1].condition_id == ""


async def test_books_are_asked_for_before_anybody_waits_and_once(hand: Hand) -> None:
    feed, may_answer = Feed(), asyncio.Event()
    feed.answer = ("1", 7)
    answer = feed._get

    async def late(request: pb.GetBookRequest, **named: object) -> pb.GetBookResponse:
        reported = await answer(request, **named)
        await may_answer.wait()
        return reported

    feed._get = late  # type: ignore[method-assign]
    async with following(feed, take) as found:
        for number in range(2 * books.BEGUN_AT_ONCE):
            found.begin(str(number), "0xc")
        await until(lambda: len(feed.requested) == books.BEGUN_AT_ONCE)
        waiting = asyncio.create_task(found.get("1"))
        found.begin("1", "0xc")
        await asyncio.sleep(0)
        may_answer.set()
        assert await waiting is not None
        assert len(feed.requested) == books.BEGUN_AT_ONCE, (
            "one question each, and no more at a time"
        )
        await until(lambda: not found._started)
        found.begin("1", "0xc")
        assert not found._started, "it is in memory"
