"""Two routers that divide the followers: what one has made durable the other has yet to judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from services.router.worker import Router
from tests.unit.router.test_budget import SETTINGS, Shelf, buy, no_batches
from tests.unit.router.test_together import _claims, _Faulty
from tests.unit.samples import LEADER
from tradingtools.adapters.postgres import lease
from tradingtools.domain import ids
from tradingtools.runtime.streams import Tail
from tradingtools.testing.memory_database import Calm, MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.transactions import Transaction

_WALLETS = {ids.partition_of(f"0x{n:040x}", 2): f"0x{n:040x}" for n in range(1, 30)}


def _subscribe(tx: Transaction) -> None:
    for partition, proxy in _WALLETS.items():
        tx.insert(
            "subscription",
            {
                "id": f"sub_{partition:032x}", "follower_user_id": "u", "follower_wallet_id": "w",
                "follower_proxy": proxy, "leader": LEADER, "state": "ACTIVE", "version": 1,
                "sizing_mode": "FIXED", "sizing_micros": 10_000_000, "changed_seq": 1,
            },
        )  # fmt: skip


@pytest.fixture
def database() -> MemoryDatabase:
    """One leader, a follower in each of two partitions."""
    made = MemoryDatabase()
    made.write(_subscribe)
    return made


async def _router(database: MemoryDatabase, partition: int, network: Calm | None = None) -> Router:
    pool = cast(Any, MemoryPool(database, network))
    owned = await lease.acquire(pool, "router", partition, f"router-{partition}")
    settings = type(SETTINGS)(
        ingest_target="x:1", bookfeed_target="x:1", confirm_target="x:1",
        partition=partition, partitions=2,
    )  # fmt: skip
    router = Router(pool, owned, cast(Any, Shelf()), Tail(0, no_batches), settings)
    await router.recover()
    return router


def _copies(database: MemoryDatabase) -> dict[str, int]:
    orders = [order for claim in _claims(database) for order in claim["orders"]]
    return Counter(order["subscription_id"][-1] for order in orders)


async def test_a_restart_forgets_no_trade_that_the_other_has_judged(
    database: MemoryDatabase,
) -> None:
    first = await _router(database, 0)
    facts = [buy(number) for number in (1, 2, 3)]
    await first.on_facts(facts)
    await first._catch_up()
    second = await _router(database, 1)
    await second.on_facts(facts)
    assert _copies(database) == {"0": 3, "1": 3}
    await second.on_facts(facts)
    assert _copies(database) == {"0": 3, "1": 3}


async def test_catching_up_forgets_no_trade_that_the_other_has_judged(
    database: MemoryDatabase,
) -> None:
    faulty = _Faulty()
    first, second = await _router(database, 0), await _router(database, 1, faulty)
    facts = [buy(number) for number in range(1, 7)]
    await first.on_facts(facts)
    await first._catch_up()
    faulty.losing["reply"] = "claim_new"
    await second.on_facts(facts[:3])
    assert faulty.losing["reply"] == ""
    await second.on_facts(facts[3:])
    assert _copies(database) == {"0": 6, "1": 6}


async def test_a_restart_forgets_no_row_that_the_other_has_judged(database: MemoryDatabase) -> None:
    first, second = await _router(database, 0), await _router(database, 1)
    one = buy(1)
    later = replace(one, price_text="0.51", price_micros=510_000)
    for router in (first, second):
        await router.on_facts([one])
        await router._catch_up()
    await first.on_facts([later])
    await first._catch_up()
    second = await _router(database, 1)
    await second.on_facts([one, later])
    await second._catch_up()
    seen = {r["subscription_id"][-1]: r["leader_size_micros"] for r in _decisions(database)}
    assert seen == {"0": 2 * one.size_micros, "1": 2 * one.size_micros}


def _decisions(database: MemoryDatabase) -> list[Any]:
    return list(database.table("decision").values())
