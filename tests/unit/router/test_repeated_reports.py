"""A leader trade of hours ago that is told again was judged, and once is enough.

ingest tells what its leaders did last whenever it begins, however long ago that was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from services.router.worker import Router
from tests.unit.router.test_budget import SUB, WALLET, Shelf, buy, recovered, subscribe
from tests.unit.router.test_exits_caught_up import SELL, ages, killed, position, selling, slices
from tests.unit.samples import CONDITION, LEADER
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, Source
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction

_HOURS_MS = 3 * 3_600_000
_HELD, _SOLD = 100_000_000, 30_000_000


class Forgetting(Shelf):
    """While a book is waited for, what is old is forgotten."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def get(self, asset_id: str, **_: Any) -> Book:
        """The usual one."""
        self._router.forget_old(clock.now_ms())
        return await super().get(asset_id)


async def _forgotten(router: Router, _database: MemoryDatabase) -> Router:
    router.forget_old(clock.now_ms())
    return router


async def _started_again(_router: Router, database: MemoryDatabase) -> Router:
    return await recovered(database)


Later = Callable[[Router, MemoryDatabase], Awaitable[Router]]
both = pytest.mark.parametrize("later", [_forgotten, _started_again])


def _again(fact: LeaderRow) -> LeaderRow:
    return replace(fact, source=Source.CATCH_UP)


def _sell() -> LeaderRow:
    fact = replace(buy(2), key=SELL, size_micros=_SOLD, held_before_micros=_HELD)
    return replace(fact, traded_ms=fact.traded_ms - _HOURS_MS)


def _decided(database: MemoryDatabase) -> Any:
    (row,) = database.table("decision").values()
    return row["copied"], row["ordered_size_micros"], row["order_keys"]


@both
async def test_a_buy_stays_copied(later: Later) -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    router = await recovered(database)
    await router.on_facts([buy(1)])
    await router._catch_up()
    decided = _decided(database)
    ages(database)
    old = replace(buy(1), traded_ms=clock.now_ms() - _HOURS_MS)
    router._state.trades[old.key] = replace(router._state.trades[old.key], traded_ms=old.traded_ms)
    router = await later(router, database)
    router._books = cast(Any, Forgetting(router))
    await router.on_facts([_again(old)])
    await router._catch_up()
    assert _decided(database) == decided
    assert decided[0]


@pytest.mark.parametrize("dear", [False, True])
async def test_repeat_by_another_source_keeps_the_reason(
    dear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    router = await recovered(database)
    fact = replace(buy(1), price_text="0.4", price_micros=400_000) if dear else buy(1)
    await router.on_facts([fact])
    await router._catch_up()
    (decided,) = database.table("decision").values()
    assert decided["reason"] == ("SLIPPAGE" if dear else "")
    # Two minutes later, when catch-up is there: too old to be copied.
    monkeypatch.setattr(clock, "now_ms", lambda: fact.traded_ms + 120_000)
    await router.on_facts([_again(fact)])
    await router._catch_up()
    (now,) = database.table("decision").values()
    assert (now["reason"], now["detail"]) == (decided["reason"], decided["detail"])
    assert len(database.table("leader_row")) == 2


@both
async def test_a_sell_sells_nothing_more(later: Later) -> None:
    router, database = await selling(_sell())
    await router.bookings.on_fill(killed(database, filled=_SOLD))
    decided = _decided(database)
    ages(database)
    router._state.open_exits.clear()
    router = await later(router, database)
    router._state.open_exits.clear()
    router._books = cast(Any, Forgetting(router))
    await router.on_facts([_again(_sell())])
    assert _decided(database) == decided
    assert len(slices(database)) == 1
    router._state.open_exits.clear()
    router.forget_old(clock.now_ms())
    assert SELL not in router._state.trades


@both
async def test_a_sell_of_when_nothing_was_held_sells_nothing_now(later: Later) -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    router = await recovered(database)
    await router.on_facts([_sell()])
    ages(database)
    router = await later(router, database)
    database.write(position)
    await router.on_facts([_again(_sell())])
    assert slices(database) == []


async def test_a_sell_is_not_for_who_has_come_since() -> None:
    router, database = await selling(_sell())
    await router.bookings.on_fill(killed(database, filled=_SOLD))

    def comes(tx: Transaction) -> None:
        new, proxy = "sub_" + "2" * 32, "0x" + "3" * 40
        known = tx.get("subscription", SUB) or {}
        tx.insert("subscription", {**known, "id": new, "follower_proxy": proxy, "changed_seq": 2})
        lot = {"follower_proxy": proxy, "asset_id": "7", "origin": new, "condition_id": CONDITION}
        tx.insert("lot", {**lot, "shares_micros": _HELD, "cost_micros": _HELD // 2})

    database.write(comes)
    await router.refresh_index()
    assert len(router._state.index.followers_of(LEADER)) == 2
    await router.on_facts([_again(_sell())])
    assert [row["follower_proxy"] for row in database.table("orders").values()] == [WALLET]


def _followed(seconds_ago: float) -> Callable[[Transaction], None]:
    def since(tx: Transaction) -> None:
        row = tx.get("subscription", SUB) or {}
        tx.update("subscription", row, created_at=tx.now - timedelta(seconds=seconds_ago))

    return since


async def _first_told(followed_for: float, sold_ago: float) -> tuple[Any, MemoryDatabase]:
    """A sell that nobody had told of meets what was bought, and an entry that was not sent yet."""
    database = MemoryDatabase()
    for write in (subscribe, _followed(followed_for), position):
        database.write(write)
    router = await recovered(database)
    await router.on_facts([buy(1)])
    sold_ms = clock.now_ms() - round(sold_ago * 1000)
    await router.on_facts([replace(_again(_sell()), traded_ms=sold_ms)])
    await router._catch_up()
    return {row["side"]: row for row in database.table("decision").values()}, database


async def test_sell_before_its_follower_came_sells_nothing() -> None:
    decided, database = await _first_told(followed_for=3600, sold_ago=3 * 3600)
    assert (decided["SELL"]["reason"], decided["SELL"]["order_keys"]) == ("NOTHING_HELD", [])
    assert decided["BUY"]["reason"] == ""
    assert [row["state"] for row in database.table("orders").values()] == ["CLAIMED"]


@pytest.mark.parametrize(
    "sold_ago",
    [
        pytest.param(3500, id="since he came"),
        pytest.param(3660, id="shortly before he came: copied buys may be older"),
        pytest.param(4500, id="and so may be what the leader was told to hold"),
    ],
)
async def test_a_first_told_sell_of_what_its_follower_may_hold_sells(sold_ago: float) -> None:
    decided, _ = await _first_told(followed_for=3600, sold_ago=sold_ago)
    assert decided["SELL"]["ordered_size_micros"] == _SOLD
    assert decided["BUY"]["reason"] == "LEADER_LEFT"
