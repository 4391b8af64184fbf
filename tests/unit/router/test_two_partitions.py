"""Two routers that divide the followers: what one has made durable the other has yet to judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from services.router.partitioning import check_partitioning
from services.router.worker import Router
from tests.unit.router.test_batch_claimer import _claims, _Faulty
from tests.unit.router.test_budget import SETTINGS, Shelf, buy, no_batches
from tests.unit.samples import CONDITION, LEADER
from tradingtools import clock
from tradingtools.domain import ids
from tradingtools.domain.leader_trade import Side
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.process import Startup
from tradingtools.storage.postgres import lease
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.venues.insiders.order_body import order_body

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


async def _router(
    database: MemoryDatabase, partition: int, network: NoFaults | None = None
) -> Router:
    pool = cast(Any, MemoryPool(database, network))
    owned = await lease.acquire(pool, "router", partition, f"router-{partition}")
    settings = type(SETTINGS)(
        ingest_target="x:1", bookfeed_target="x:1", confirm_target="x:1",
        partition=partition, partitions=2,
    )  # fmt: skip
    router = Router(
        pool, owned, cast(Any, Shelf()), Tail(0, no_batches), settings, body_of=order_body
    )
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


async def _alone(database: MemoryDatabase) -> Router:
    pool = cast(Any, MemoryPool(database))
    owned = await lease.acquire(pool, "router", 0, "router-0")
    router = Router(
        pool, owned, cast(Any, Shelf()), Tail(0, no_batches), SETTINGS, body_of=order_body
    )
    await router.recover()
    return router


def _all_end(filled: bool) -> Callable[[Transaction], None]:
    def end(tx: Transaction) -> None:
        for row in list(tx.rows("orders")):
            sold = row["size_micros"] if filled else 0
            tx.update("orders", row, state="CONFIRMED", filled_size_micros=sold)
        for row in list(tx.rows("reservation")):
            tx.update("reservation", row, released_at=tx.now)

    return end


@pytest.mark.parametrize("rows_built", [False, True])
async def test_partitions_of_wallets_are_fixed_while_orders_run(
    database: MemoryDatabase, rows_built: bool
) -> None:
    pool = cast(Any, MemoryPool(database))
    router = await _alone(database)
    await check_partitioning(pool, 1)
    await router.on_facts([buy(1)])
    if rows_built:
        await router._catch_up()
    await check_partitioning(pool, 1)
    with pytest.raises(Startup, match="TT_ROUTER_PARTITIONS"):
        await check_partitioning(pool, 2)
    await router._catch_up()
    database.write(_all_end(filled=True))
    await check_partitioning(pool, 2)


async def test_others_know_what_was_bought_before_there_were_two(database: MemoryDatabase) -> None:
    await (router := await _alone(database)).on_facts([buy(1)])
    await router._catch_up()
    database.write(_all_end(filled=True))
    second = await _router(database, 1)
    now_ms, (follower,) = clock.now_ms(), second._state.index.followers_of(LEADER)
    held = second._state.ledger.exposure(follower, CONDITION, "7", now_ms)
    assert (held.day_micros > 0, held.buys, len(second._state.entry_owner)) == (True, 1, 1)


async def test_others_go_on_with_an_exit_of_before_there_were_two(
    database: MemoryDatabase,
) -> None:
    def position(tx: Transaction) -> None:
        for row in list(tx.rows("subscription")):
            tx.insert(
                "lot",
                {
                    "follower_proxy": row["follower_proxy"], "asset_id": "7", "origin": row["id"],
                    "condition_id": CONDITION, "shares_micros": 10**8, "cost_micros": 10**7,
                },
            )  # fmt: skip

    database.write(position)
    router = await _alone(database)
    bought = buy(2)
    sold = replace(bought, key=replace(bought.key, side=Side.SELL))
    await router.on_facts([sold])
    database.write(_all_end(filled=False))
    second = await _router(database, 1)
    assert sold.key in second._state.open_exits
    assert list(second._state.copies[sold.key]) == [f"sub_{1:032x}"]


def _decisions(database: MemoryDatabase) -> list[Any]:
    return list(database.table("decision").values())
