"""An old and a new router at once over one budget: together they never pass a cap.

The real router on a database in memory, under the simulation's clock: a seed decides who comes to
the database first, how long each of them sleeps, and which acknowledgements are lost. The claim's
own check of the lease, and a new owner that reads what is durable, are all that stands between two
memories and one budget; that is why caps need no second look at SUBMITTING.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import psycopg
import pytest
from msgspec import structs

from services.router.settings import Settings
from services.router.worker import Router
from tests.simulation.loop import PROCESS, WALL_START_NS, VirtualLoop
from tests.unit import samples
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, Side, Source, TradeKey
from tradingtools.domain.money import MICROS
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres import journal, lease
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, nanoseconds
from tradingtools.v1 import common_pb2 as common
from tradingtools.venues.insiders.order_body import order_body

SHORT, LONG = 100, 1_000
CAP = 50 * MICROS
WALLET = "0x" + "d" * 40
LEADERS = ["0x" + digit * 40 for digit in "89"]
TRADES = 6
MONEY_PATH = "tradingtools/storage/postgres/money_path.sql"
_build_open_rows = journal.build_open_rows
Twin = Callable[[Transaction, Row], list[Row]]


@dataclass
class Line:
    """A way to the database on which time passes and acknowledgements get lost."""

    rng: random.Random

    async def request(self, what: str) -> None:
        await asyncio.sleep(self.rng.choice((0.0, 0.001, 0.002, 0.01, 0.3)))

    async def reply(self, what: str) -> None:
        await asyncio.sleep(self.rng.choice((0.0, 0.001, 0.005)))
        if self.rng.random() < 0.02:
            raise psycopg.OperationalError(f"{what}: its answer was lost")


class DeepBooks:
    """Every asset has a good book."""

    async def get(self, asset_id: str, **_: Any) -> Book:
        return self.known(asset_id)

    def known(self, asset_id: str) -> Book:
        made = samples.book()
        market = replace(made.market, asset_id=asset_id, condition_id=_condition(asset_id))
        return structs.replace(made, market=market)


def _condition(asset_id: str) -> str:
    return "0x" + asset_id * 64


def _facts() -> list[LeaderRow]:
    """Leaders buy for far more than the budget, each trade in a market of its own."""
    return [
        LeaderRow(
            key=TradeKey(
                leader_tx=f"0x{number:064x}", leader=LEADERS[number % 2],
                asset_id=str(number + 1), side=Side.BUY,
            ),
            condition_id=_condition(str(number + 1)), price_text="0.5", price_micros=500_000,
            size_micros=1_000 * MICROS, count=1, source=Source.FEED,
            traded_ms=WALL_START_NS // 10**6, received_ns=WALL_START_NS, held_before_micros=None,
        )
        for number in range(TRADES)
    ]  # fmt: skip


def _database(replaced: dict[tuple[str, str], Twin]) -> MemoryDatabase:
    database = MemoryDatabase(replaced=replaced)

    def subscribe(tx: Transaction) -> None:
        for number, leader in enumerate(LEADERS):
            row = {
                "id": f"sub_{number:032x}", "follower_user_id": "u", "follower_wallet_id": "w",
                "follower_proxy": WALLET, "leader": leader, "state": "ACTIVE", "version": 1,
                "sizing_mode": "FIXED", "sizing_micros": 20 * MICROS, "changed_seq": number + 1,
                "settings": {"max_total_micros": CAP},
            }  # fmt: skip
            tx.insert("subscription", row)

    database.write(subscribe)
    return database


async def _no_batches(after: int, limit: int) -> list[tuple[int, common.OrderBatch]]:
    return []


async def _life(database: MemoryDatabase, rng: random.Random) -> None:
    """A router from its start until it has seen every trade, or has lost its lease."""
    pool: Any = MemoryPool(database, Line(rng))
    owned = await while_database_is_away(lambda: lease.acquire(pool, "router", 0, "router-0"))
    # Nobody tells it that its lease is gone: only what it wants to commit does.
    renewing = asyncio.create_task(lease.keep(pool, owned))
    settings = Settings(ingest_target="", bookfeed_target="", confirm_target="")
    books: Any = DeepBooks()
    router = Router(pool, owned, books, Tail(0, _no_batches), settings, body_of=order_body)
    await while_database_is_away(router.recover)
    facts = _facts()
    rng.shuffle(facts)
    with suppress(Fenced):
        for fact in facts:
            await asyncio.sleep(rng.choice((0.0, 0.0, 0.01, 0.4)))
            await router.on_facts([fact])
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)


def race(seed: int, replaced: dict[tuple[str, str], Twin] | None = None) -> tuple[int, int, int]:
    """USDC micros claimed in all, orders, and decisions after two routers have raced."""
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    loop = VirtualLoop(random.Random(rng.random()))  # noqa: S311

    async def both() -> MemoryDatabase:
        database = _database(replaced or {})
        tasks = []
        for name, begins in (("old", 0.0), ("new", rng.uniform(0.0, 2.0))):
            await asyncio.sleep(begins)
            context = contextvars.copy_context()
            context.run(PROCESS.set, name)
            life = _life(database, random.Random(rng.random()))  # noqa: S311
            tasks.append(asyncio.get_running_loop().create_task(life, context=context))
        await asyncio.gather(*tasks)
        calm: Any = MemoryPool(database)
        await _build_open_rows(calm, 0, older_than_seconds=None)
        return database

    with clock.replaced(loop):
        database = loop.run(both())
    orders = database.table("orders")
    claimed = sum(row["money_micros"] for row in database.table("reservation").values())
    return claimed, len(orders), len(database.table("decision"))


def _race_all(seeds: range) -> None:
    numbers = set()
    for seed in seeds:
        claimed, orders, decisions = race(seed)
        assert claimed <= CAP, f"seed {seed} claimed {claimed} of {CAP}"
        assert decisions == TRADES, f"seed {seed}"
        assert claimed > CAP - 5 * MICROS, f"seed {seed} left room: {claimed}"
        numbers.add(orders)
    assert numbers == {3}, "two whole copies and one that the cap has cut"


def test_two_routers_never_pass_a_cap() -> None:
    _race_all(range(SHORT))


@pytest.mark.long
def test_two_routers_never_pass_a_cap_in_a_thousand_races() -> None:
    _race_all(range(SHORT, SHORT + LONG))


def _claim_without_lease(tx: Transaction, values: Row) -> list[Row]:
    row = tx.insert_unless_there("journal", {**values, "kind": "CLAIMED"}, ("record_key",))
    if row is None:
        return []
    return [{"seq": row["seq"], "claimed_ns": nanoseconds(row["committed_at"])}]


def _somebody_passes(replaced: dict[tuple[str, str], Twin] | None = None) -> bool:
    return any(race(seed, replaced)[0] > CAP for seed in range(SHORT))


def test_without_the_lease_in_the_claim_they_pass_it() -> None:
    assert _somebody_passes({(MONEY_PATH, "claim"): _claim_without_lease})


def test_new_owner_that_skips_durable_records_passes_them() -> None:
    async def nothing(*_: object, **__: object) -> int:
        return 0

    with mock.patch.object(journal, "build_open_rows", nothing):
        assert _somebody_passes()
