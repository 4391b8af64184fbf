"""The sample tape through a router that dies and is told everything again: one decision each.

The router is the real one, on the memory database; what is compared is what it leaves there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, cast

from paper.venue.tape import SAMPLE
from services.router.settings import Settings
from services.router.worker import Router
from tests.unit.router.test_tape import market_of
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.money import parse_exact, parse_rounded
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import lease
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.venues.insiders.order_body import order_body

FOLLOWERS = 2
ROWS = 300
_KEY = ("leader_tx", "leader", "asset_id", "side", "subscription_id")
SETTINGS = Settings(ingest_target="x:1", bookfeed_target="x:1", confirm_target="x:1")


def facts() -> Iterator[LeaderRow]:
    """The first rows of the tape as ingest would tell them."""
    seen: dict[tuple[object, ...], int] = {}
    lines = files("paper.venue").joinpath("sample", SAMPLE).read_text().splitlines()
    for line in lines[:ROWS]:
        body = json.loads(line, parse_float=str, parse_int=str)["frame"]["payload"]
        key = TradeKey(
            leader_tx=body["transactionHash"], leader=body["proxyWallet"], asset_id=body["asset"],
            side=Side(body["side"]),
        )  # fmt: skip
        row = (key, body["price"], body["size"])
        seen[row] = seen.get(row, 0) + 1
        yield LeaderRow(
            key=key, condition_id=body["conditionId"], price_text=body["price"],
            price_micros=parse_rounded(body["price"]), size_micros=parse_exact(body["size"]),
            count=seen[row], source=Source.FEED, traded_ms=int(body["timestamp"]) * 1000,
            received_ns=int(body["timestamp"]) * 10**9, held_before_micros=None,
        )  # fmt: skip


FACTS = tuple(facts())


def trades() -> dict[TradeKey, LeaderTrade]:
    """The leader trades of these rows."""
    found: dict[TradeKey, LeaderTrade] = {}
    for fact in FACTS:
        found[fact.key] = merge(found.get(fact.key), fact) or found[fact.key]
    return found


TRADES = trades()


class Shelf:
    """Books made up from the tape."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        for key, trade in TRADES.items():
            self._books.setdefault(key.asset_id, market_of(trade))

    async def get(self, asset_id: str, **_: Any) -> Book | None:
        """The book of an asset."""
        return self.known(asset_id)

    def known(self, asset_id: str) -> Book | None:
        """The same."""
        return self._books.get(asset_id)


@dataclass
class Times:
    """The tape's clock."""

    now_ns: int = 0

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


def subscription_rows() -> Iterator[dict[str, Any]]:
    """Followers of every leader of the tape, each with a wallet of his own."""
    leaders = list(dict.fromkeys(key.leader for key in TRADES))
    for number in range(FOLLOWERS * len(leaders)):
        yield {
            "id": f"sub_{number:032x}", "follower_user_id": "u", "follower_wallet_id": "w",
            "follower_proxy": f"0x{number:040x}", "leader": leaders[number // FOLLOWERS],
            "state": "ACTIVE", "version": 1, "sizing_mode": "RATIO",
            "sizing_micros": 10_000 + 90_000 * (number % FOLLOWERS),
            "max_per_market_micros": 40_000_000, "changed_seq": number + 1,
        }  # fmt: skip


def _subscribe(tx: Transaction) -> None:
    for row in subscription_rows():
        tx.insert("subscription", row)


async def _nothing(_after: int, _limit: int) -> list[Any]:
    return []


@dataclass
class Life:
    """A router that may end at any message, and what it leaves."""

    seed: int
    often: float
    settings: Settings = SETTINGS
    database: MemoryDatabase = field(
        default_factory=lambda: MemoryDatabase(now=lambda: datetime.now(UTC))
    )
    reported: list[LeaderRow] = field(default_factory=list)

    async def born(self) -> Router:
        pool = cast(Any, MemoryPool(self.database))
        owned = await lease.acquire(pool, "router", 0, "router-0")

        def keep(tx: Transaction) -> None:
            (row,) = tx.rows("partition_lease")
            tx.update("partition_lease", row, expires_at=tx.now + timedelta(days=1))

        self.database.write(keep)
        router = Router(
            pool, owned, cast(Any, Shelf()), Tail(0, _nothing), self.settings, body_of=order_body
        )
        await router.recover()
        return router

    async def live(self) -> None:
        # The messages are the same in every life, only the deaths are not.
        pieces = random.Random(0)  # noqa: S311 - a seed makes it repeatable
        rng = random.Random(self.seed)  # noqa: S311
        times = Times()
        self.database.write(_subscribe)
        with clock.replaced(times):
            times.now_ns = FACTS[0].received_ns
            router, left = await self.born(), list(FACTS)
            while left:
                number = pieces.randrange(1, 4)
                message, left = left[:number], left[number:]
                times.now_ns = max(fact.received_ns for fact in message)
                if rng.random() < self.often:
                    router = await self.born()
                    message = [*self.reported[-rng.randrange(1, 8) :], *message]
                await router.on_facts(message)
                self.reported += message
            await self.born()

    def decisions(self) -> dict[tuple[str, ...], tuple[Any, ...]]:
        """By leader trade and subscription: reason, numbers and orders."""
        rows = self.database.table("decision").values()
        return {
            tuple(str(row[name]) for name in _KEY): (
                row["reason"], row["detail"], row["copied"], row["ordered_size_micros"],
                tuple(row["order_keys"]), row["leader_size_micros"],
            )
            for row in rows
        }  # fmt: skip


async def test_every_trade_has_one_decision_each_over_kills() -> None:
    calm = Life(seed=0, often=0.0)
    await calm.live()
    decided = calm.decisions()
    assert set(decided) == {
        (key.leader_tx, key.leader, key.asset_id, key.side.value, made["id"])
        for key in TRADES
        for made in subscription_rows()
        if made["leader"] == key.leader
    }
    assert len({reason for reason, *_ in decided.values()}) > 3
    for seed in range(1, 3):
        # Also when each follower's copy is claimed by itself.
        together = replace(SETTINGS, claimed_together=seed)
        restless = Life(seed=seed, often=0.1, settings=together)
        await restless.live()
        assert restless.decisions() == decided
