"""Test what an entry does without a book that can be trusted: doubtful, or not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from msgspec import structs

from services.router.core import doubtful_book
from services.router.core.caps import Skip
from services.router.worker import Router
from tests.unit.router.test_batch_claimer import PROFILES, Shelf, _claims, _database, recovered
from tests.unit.router.test_budget import buy
from tests.unit.samples import TX, book, subscription
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.copy_settings import CopySettings, DoubtfulBook
from tradingtools.domain.leader_trade import LeaderTrade, Side, merge
from tradingtools.domain.reasons import Reason
from tradingtools.tasks import cancel_all
from tradingtools.testing.memory_database import MemoryDatabase

SKIP = CopySettings(on_doubtful_book=DoubtfulBook.SKIP)
WAIT = CopySettings(on_doubtful_book=DoubtfulBook.WAIT, doubtful_book_wait_ms=10_000)
BRIEF = CopySettings(on_doubtful_book=DoubtfulBook.WAIT, doubtful_book_wait_ms=1)
FIRST, SECOND = (f"sub_{number:031x}b" for number in range(2))


class Turning(Shelf):
    """A book that is in doubt until it is good."""

    def __init__(self, status: BookStatus = BookStatus.STALE) -> None:
        self.status = status

    def known(self, _asset_id: str) -> Book | None:
        """As it is now."""
        return book(status=self.status)


class Cold(Shelf):
    """A market that nobody watches: its book comes only when it is asked for with its levels."""

    def __init__(self, tick: int = 10_000) -> None:
        self.requested: list[bool] = []
        self.held: Book | None = None
        self.tick = tick
        self.comes = asyncio.Event()
        self.comes.set()

    async def get(self, asset_id: str, *, levels: bool = True, **_: Any) -> Book | None:
        """Return what bookfeed would say."""
        self.requested.append(levels)
        if levels:
            await self.comes.wait()
            self.held = book()
        elif self.held is None:
            self.held = structs.replace(
                book(bids=(), asks=(), status=BookStatus.UNSEEN, tick=self.tick, fee_rate=70_000)
            )
        return self.held

    def known(self, _asset_id: str) -> Book | None:
        """Return what was asked for."""
        return self.held


@asynccontextmanager
async def waiting(router: Router) -> AsyncIterator[None]:
    task = asyncio.create_task(router.deferred_entries.run())
    try:
        yield
    finally:
        await cancel_all([task])


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what it waits for is no event
            await asyncio.sleep(0.005)


def profiled(monkeypatch: pytest.MonkeyPatch, *wishes: CopySettings) -> MemoryDatabase:
    for number, sizing_input in enumerate(wishes):
        monkeypatch.setitem(PROFILES, f"wish {number}", {"settings": sizing_input})
    return _database([f"wish {number}" for number in range(len(wishes))])


def _reasons(database: MemoryDatabase) -> list[tuple[str, str]]:
    """The newest decision of each subscription, by subscription."""
    newest: dict[str, str] = {}
    for claim in _claims(database):
        for decision in claim["decisions"]:
            newest[decision["subscription_id"]] = decision["reason"]
    return sorted(newest.items())


def _ordered(database: MemoryDatabase) -> list[str]:
    return [o["subscription_id"] for claim in _claims(database) for o in claim["orders"]]


@pytest.mark.parametrize("status", [BookStatus.STALE, BookStatus.CROSSED, BookStatus.UNSEEN])
def test_a_follower_says_what_a_doubtful_book_is_good_for(status: BookStatus) -> None:
    doubtful = book(status=status)
    assert doubtful_book.objection(CopySettings(), doubtful) is None
    for sizing_input in (SKIP, WAIT, CopySettings(min_depth_micros=1)):
        found = doubtful_book.objection(sizing_input, doubtful)
        assert isinstance(found, Skip)
        assert found.reason is Reason.BOOK_STALE
        assert str(status) in found.detail
    for good in (BookStatus.FRESH, BookStatus.EMPTY):
        assert doubtful_book.objection(SKIP, book(status=good)) is None


@pytest.mark.parametrize("burst", [1, 3])
async def test_who_skips_doubtful_books_skips_them_and_no_others(
    monkeypatch: pytest.MonkeyPatch, burst: int
) -> None:
    database = profiled(monkeypatch, SKIP)
    router = await recovered(database)
    shelf = Turning()
    router._books = cast(Any, shelf)
    await router.on_facts([buy(number) for number in range(burst)])
    assert not _ordered(database)
    assert _reasons(database) == [(FIRST, "BOOK_STALE")]
    shelf.status = BookStatus.FRESH
    await router.on_facts([buy(50)])
    assert _ordered(database) == [FIRST]


@pytest.mark.parametrize("burst", [1, 3])
async def test_who_waits_for_a_good_book_is_copied_when_it_comes(
    monkeypatch: pytest.MonkeyPatch, burst: int
) -> None:
    database = profiled(monkeypatch, WAIT)
    router = await recovered(database)
    shelf = Turning()
    router._books = cast(Any, shelf)
    async with waiting(router):
        await router.on_facts([buy(number) for number in range(burst)])
        assert not _ordered(database)
        shelf.status = BookStatus.FRESH
        await until(lambda: len(_ordered(database)) == burst)
        # Once: the same rows again, and the time, lead to nothing more.
        await router.on_facts([buy(number) for number in range(burst)])
        await until(lambda: not router.deferred_entries._since)
    assert _reasons(database) == [(FIRST, "")]
    assert len(_ordered(database)) == burst


async def test_who_waits_holds_up_nobody_and_is_skipped_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = profiled(monkeypatch, BRIEF, CopySettings())
    router = await recovered(database)
    shelf = Turning()
    router._books = cast(Any, shelf)
    async with waiting(router):
        await router.on_facts([buy(1)])
        assert _ordered(database) == [SECOND]
        await until(lambda: not router.deferred_entries._since)
        shelf.status = BookStatus.FRESH
        await router.on_facts([buy(2)])
    assert _ordered(database) == [SECOND, FIRST, SECOND]
    assert [c["decisions"][0]["reason"] for c in _claims(database)] == ["BOOK_STALE", ""]


async def test_who_dies_while_somebody_waits_leaves_him_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = profiled(monkeypatch, WAIT)
    router = await recovered(database)
    router._books = cast(Any, Turning())
    fact = buy(1)
    await router.on_facts([fact])
    again = await recovered(database)
    async with waiting(again):
        await again.on_facts([fact])
        assert not again.deferred_entries._since
    assert not _ordered(database)
    assert _reasons(database) == [(FIRST, "BOOK_STALE")]


@pytest.mark.parametrize("burst", [1, 3])
async def test_a_cold_market_is_copied_by_its_rules_alone(burst: int) -> None:
    database = _database(["free"])
    router = await recovered(database)
    shelf = Cold()
    router._books = cast(Any, shelf)
    await router.on_facts([buy(number) for number in range(burst)])
    assert len(_ordered(database)) == burst
    assert True not in shelf.requested, "nobody asked for a book"
    (order, *_) = [order for claim in _claims(database) for order in claim["orders"]]
    # The leader's price and the slippage; the fee that is not known is the highest.
    assert order["limit_micros"] == 510_000
    assert order["reserved_money_micros"] <= 10_000_000
    size, limit = order["size_micros"], order["limit_micros"]
    assert order["reserved_money_micros"] - size * limit // 10**6 >= size * 7 // 100 // 4 - 10


async def test_only_who_asks_something_of_the_book_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spread = CopySettings(max_spread_micros=20_000)
    database = profiled(monkeypatch, spread, CopySettings(), SKIP)
    router = await recovered(database)
    shelf = Cold()
    shelf.comes.clear()
    router._books = cast(Any, shelf)
    routed = asyncio.create_task(router.on_facts([buy(1)]))
    await until(lambda: _ordered(database) == [SECOND])
    assert not router._state.trades, "it counts as never seen until all are decided"
    shelf.comes.set()
    await routed
    assert len(_ordered(database)) == 3
    assert len(router._state.trades) == 1


async def test_kill_between_two_parts_decides_the_rest_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = profiled(monkeypatch, SKIP, CopySettings())
    router = await recovered(database)
    shelf = Cold()
    shelf.comes.clear()
    router._books = cast(Any, shelf)
    fact = buy(1)
    routed = asyncio.create_task(router.on_facts([fact]))
    await until(lambda: _ordered(database) == [SECOND])
    await cancel_all([routed])
    again = await recovered(database)
    await again.on_facts([fact])
    assert sorted(_ordered(database)) == [FIRST, SECOND]


def _at(price_micros: int) -> LeaderTrade:
    trade = merge(None, replace(buy(1), price_micros=price_micros))
    assert trade is not None
    return trade


@pytest.mark.parametrize(
    ("price", "tick", "sure"),
    [
        (500_000, 10_000, True),
        (40_000, 10_000, True),
        (960_000, 10_000, True),
        (30_000, 10_000, False),
        (970_000, 10_000, False),
        # Between two prices of the grid: it has become finer.
        (505_000, 10_000, False),
        (997_000, 1_000, True),
        # On no grid: the average of what a taker's order has met.
        (328_032, 10_000, True),
        (960_001, 10_000, False),
    ],
)
def test_old_tick_is_not_trusted_near_the_extremes(price: int, tick: int, sure: bool) -> None:
    assert doubtful_book.tick_is_sure(_at(price), tick) is sure
    unseen = book(status=BookStatus.UNSEEN, tick=tick)
    now, later = doubtful_book.split_by_need([subscription()], _at(price), unseen)
    assert (len(now), len(later)) == ((1, 0) if sure else (0, 1))


@pytest.mark.parametrize(
    ("price", "tick", "used"),
    [
        (500_000, 10_000, 10_000),
        # On the coarse grid, which every finer one has: refused by neither.
        (500_000, 1_000, 10_000),
        (505_000, 1_000, 1_000),
        (328_032, 1_000, 1_000),
        (990_000, 1_000, 1_000),
        (500_000, 100_000, 100_000),
    ],
)
def test_limits_lie_on_the_coarsest_possible_grid(price: int, tick: int, used: int) -> None:
    unseen = book(status=BookStatus.UNSEEN, tick=tick)
    assert doubtful_book.cautious(_at(price), unseen).market.tick_micros == used
    seen = book(tick=tick)
    assert doubtful_book.cautious(_at(price), seen) is seen


def test_what_a_follower_asks_of_a_book_needs_it() -> None:
    def needs(**settings: Any) -> bool:
        return doubtful_book.needs_levels(
            replace(subscription(), settings=CopySettings(**settings))
        )

    assert not needs()
    assert not needs(min_depth_micros=0)
    assert needs(min_depth_micros=1)
    assert needs(max_spread_micros=0)
    assert needs(on_doubtful_book=DoubtfulBook.WAIT)
    assert needs(shadow=True)


async def test_a_sell_of_what_nobody_holds_waits_for_no_book() -> None:
    database = _database(["free"])
    router = await recovered(database)
    shelf = Cold()
    router._books = cast(Any, shelf)
    bought = buy(1)
    sell = replace(bought, key=replace(bought.key, leader_tx=TX, side=Side.SELL))
    await router.on_facts([sell])
    assert shelf.requested == [False]
    assert _reasons(database) == [(FIRST, "NOTHING_HELD")]


async def test_a_sell_of_what_may_be_held_waits_for_its_book() -> None:
    database = _database(["free"])
    router = await recovered(database)
    shelf = Cold()
    router._books = cast(Any, shelf)
    bought = buy(1)
    await router.on_facts([bought])
    sell = replace(bought, key=replace(bought.key, leader_tx=TX, side=Side.SELL))
    await router.on_facts([sell])
    assert shelf.requested == [False, True]
