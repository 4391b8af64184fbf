"""A booking that is committed while a router recovers counts: as money set aside, or as a lot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.unit.router.test_budget import SUB, WALLET, buy, fund, recovered, subscribe
from tests.unit.samples import CONDITION
from tradingtools.domain.leader_trade import merge
from tradingtools.testing.memory_database import MemoryDatabase, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction

_COST = 9_990_000
_FUNDED = 100_000_000


class _Meanwhile(NoFaults):
    """Something is committed behind the n-th statement."""

    def __init__(self, number: int, commit: Callable[[], None]) -> None:
        self.left = number
        self._commit = commit

    async def reply(self, _what: str) -> None:
        self.left -= 1
        if self.left == 0:
            self._commit()


def _book(tx: Transaction) -> None:
    """The entry has filled: its shares are in the lot, its money is not set aside any more."""
    (order,) = tx.where("orders", subscription_id=SUB)
    (reserved,) = tx.where("reservation", subscription_id=SUB)
    money = reserved["money_micros"]
    tx.insert(
        "lot",
        {
            "follower_proxy": WALLET, "asset_id": "7", "origin": SUB, "condition_id": CONDITION,
            "shares_micros": order["size_micros"], "cost_micros": money,
            "bought_notional_micros": money, "bought_size_micros": order["size_micros"],
        },
    )  # fmt: skip
    tx.update("reservation", reserved, released_at=tx.now)
    tx.update(
        "orders", order, state="CONFIRMED", filled_size_micros=order["size_micros"],
        filled_notional_micros=money,
    )  # fmt: skip


async def test_it_is_never_forgotten() -> None:
    statements = 0
    while True:
        database = MemoryDatabase()
        database.write(subscribe)
        database.write(fund(_FUNDED, before=0))
        first = await recovered(database)
        await first.on_facts([buy(1)])
        await first._catch_up()
        meanwhile = _Meanwhile(statements + 1, partial(database.write, _book))
        router = await recovered(database, meanwhile)
        if meanwhile.left > 0:
            break
        statements += 1
        held: Any = _held(router)
        assert held.market_micros >= _COST, statements
        assert held.total_micros >= _COST, statements
        assert held.day_micros >= _COST, statements
        assert held.budget_micros <= _FUNDED - _COST, statements
    assert statements > 10


def _held(router: Any) -> Any:
    trade = merge(None, buy(2))
    assert trade is not None
    (follower,) = router._state.index.followers_of(trade.key.leader)
    return router._state.exposures(trade, trade.traded_ms)(follower)
