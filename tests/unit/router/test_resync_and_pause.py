"""A pause that comes while a resync waits for its turn is seen before its orders are sent.

Found by the simulation (seed 848): the claim told the control number of after the pause, so the
executor's gate took the subscription that it was made of for the present one.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import psycopg
import pytest

from services.router.worker import Router
from tests.unit.router.test_budget import (
    SETTINGS,
    SUB,
    WALLET,
    Shelf,
    no_batches,
    recovered,
    subscribe,
)
from tests.unit.samples import CONDITION, LEADER, book
from tradingtools.domain.book import Book
from tradingtools.domain.resync import ResyncKind, ResyncState
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import lease
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.venues.insiders.order_body import order_body

_RESYNC = "rsy_" + "0" * 32


class _Known(Shelf):
    def known(self, _asset_id: str) -> Book:
        """Of every asset."""
        return book(minimum=0)


def _change(tx: Transaction, action: str) -> int:
    row = {
        "actor": "a", "source": "s", "action": action, "subject_kind": "subscription",
        "subject_id": SUB, "previous_hash": b"", "hash": b"",
    }  # fmt: skip
    return int(tx.insert("control_change", row)["seq"])


def _requested_for(tx: Transaction) -> None:
    """A subscription by ratio, what its leader holds, and a resync."""
    seq = _change(tx, "create")
    known = tx.get("subscription", SUB) or {}
    tx.update("subscription", known, sizing_mode="RATIO", sizing_micros=500_000, changed_seq=seq)
    tx.insert(
        "resync",
        {
            "id": _RESYNC, "kind": ResyncKind.ASKED.value, "state": ResyncState.REQUESTED.value,
            "subscription_id": SUB, "follower_proxy": WALLET,
        },
    )  # fmt: skip
    tx.insert("leader_account", {"leader": LEADER, "equity_micros": 10**9, "asked_at": tx.now})
    holding = {"leader": LEADER, "asset_id": "7", "condition_id": CONDITION}
    tx.insert("leader_holding", {**holding, "shares_micros": 100_000_000})


def _execute(tx: Transaction) -> None:
    tx.update("resync", tx.get("resync", _RESYNC) or {}, state=ResyncState.EXECUTING.value)


def _pause(tx: Transaction) -> None:
    known = tx.get("subscription", SUB) or {}
    tx.update("subscription", known, state="PAUSED", version=2, changed_seq=_change(tx, "pause"))


class _Broken(NoFaults):
    """The answer to a commit is lost, and then a statement fails for good."""

    def __init__(self) -> None:
        self.losing = False
        self.failing = False

    async def reply(self, what: str) -> None:
        if self.losing and what == "commit":
            self.losing, self.failing = False, True
            raise psycopg.OperationalError("its answer was lost")

    async def request(self, what: str) -> None:
        if self.failing and what == "lots":
            raise psycopg.errors.InternalError_("a page is damaged")


async def test_a_router_that_cannot_find_out_whether_it_was_done_ends() -> None:
    database, broken = MemoryDatabase(), _Broken()
    database.write(subscribe)
    database.write(_requested_for)
    router = await recovered(database, broken)
    await router.resyncs.poll()
    database.write(_execute)
    broken.losing = True
    with pytest.raises(Fenced):
        await router.resyncs.poll()
    assert broken.failing
    assert len(database.table("orders")) == 1


async def test_its_orders_are_claimed_as_of_before_the_pause() -> None:
    database = MemoryDatabase()
    pool = cast(Any, MemoryPool(database))
    database.write(subscribe)
    database.write(_requested_for)
    owned = await lease.acquire(pool, "router", 0, "router-0")
    tail: Tail[Any] = Tail(0, no_batches)
    router = Router(pool, owned, cast(Any, _Known()), tail, SETTINGS, body_of=order_body)
    await router.recover()
    await router.resyncs.poll()
    database.write(_execute)
    async with router._claim_lock:
        executing = asyncio.create_task(router.resyncs.poll())
        for _ in range(20):
            await asyncio.sleep(0)
        database.write(_pause)
        await router.refresh_index()
    await executing
    paused = max(row["seq"] for row in database.table("control_change").values())
    assert router._state.control_seq == paused
    (record,) = database.table("journal").values()
    claimed = json.loads(record["payload"])["orders"]
    ((_, batch),) = tail._items
    assert len(claimed) == len(batch.orders) == 1
    assert claimed[0]["control_seq"] < paused
    assert batch.control_seq < paused
