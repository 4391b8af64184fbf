"""A router that begins again knows by sums what it would know by every entry that has ended."""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta
from typing import Any

import pytest

from services.router.core.ledger import BUY_DAYS, DAY_MS, Ledger, OpenEntry
from services.router.worker import Router
from tests.unit.router.test_budget import recovered
from tests.unit.samples import CONDITION, LEADER
from tradingtools import clock
from tradingtools.domain.subscription import Subscription
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.transactions import Transaction

_ASSETS = ("7", "8", "9")
_MINE = ("sub_1", "sub_2")
_ORDERS = 150


def _written(rng: random.Random, tx: Transaction) -> None:
    """A history: copies of one or several orders, over more days than count."""
    for number, name in enumerate(_MINE):
        tx.insert(
            "subscription",
            {
                "id": name, "follower_user_id": "u", "follower_wallet_id": "w",
                "follower_proxy": f"0x{number:040x}", "leader": LEADER, "state": "ACTIVE",
                "version": 1, "sizing_mode": "FIXED", "sizing_micros": 1, "changed_seq": 1,
            },
        )  # fmt: skip
    copies = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(_ORDERS // 2)]
    owner = {copy: (rng.choice((*_MINE, "sub_of_another")), rng.choice(_ASSETS)) for copy in copies}
    age = {
        copy: rng.choice([0.0, 0.4, 1.0, 1.9, 2.1, 30.0, 24.0 * 80, 24.0 * 91]) for copy in copies
    }
    for number in range(_ORDERS):
        copy_key = rng.choice(copies)
        origin, asset_id = owner[copy_key]
        hours = age[copy_key] + rng.choice([0.0, 0.0, 0.5, 5.0])
        created = tx.now - timedelta(hours=hours)
        key = hashlib.sha256(f"order {number}".encode()).hexdigest()
        open_ = rng.random() < 0.1
        tx.insert(
            "orders",
            {
                "order_key": key, "copy_key": copy_key, "ordinal": number, "purpose": "ENTRY",
                "subscription_id": origin, "subscription_version": 1, "follower_user_id": "u",
                "follower_wallet_id": "w", "follower_proxy": "0x1", "partition": 0,
                "leader": LEADER, "leader_tx": "tx", "condition_id": CONDITION,
                "asset_id": asset_id, "side": "BUY", "size_micros": 7_000_000,
                "filled_size_micros": rng.choice([0, 7_000_000, 3_333_333]),
                "limit_micros": 500_000, "time_in_force": "FAK", "not_after_ms": 0, "body": "",
                "body_hash": "", "journal_seq": 1, "control_seq": 1,
                "state": "SUBMITTED" if open_ else "CONFIRMED",
                "claimed_ns": round(created.timestamp()) * 10**9, "chain_head": b"",
                "created_at": created,
            },
        )  # fmt: skip
        tx.insert(
            "reservation",
            {
                "order_key": key, "follower_proxy": "0x1", "subscription_id": origin,
                "condition_id": CONDITION, "asset_id": asset_id,
                "money_micros": rng.randrange(1, 10**7), "shares_micros": 0,
                "released_at": None if open_ else tx.now,
            },
        )  # fmt: skip


def _by_every_entry(database: MemoryDatabase, open_orders: dict[str, OpenEntry]) -> Ledger:
    """A ledger that was told of each entry that has ended, one by one."""
    ledger, now_ms = Ledger(), clock.now_ms()
    for order_key, entry in open_orders.items():
        ledger.reserve(order_key, entry)
    held = {row["order_key"]: row for row in database.table("reservation").values()}
    for order in database.table("orders").values():
        reserved = held[order["order_key"]]
        young = order["created_at"].timestamp() * 1000 > now_ms - BUY_DAYS * DAY_MS
        filled = order["filled_size_micros"]
        if reserved["released_at"] is None or not filled or not young:
            continue
        if order["subscription_id"] in _MINE and order["order_key"] not in open_orders:
            day = order["claimed_ns"] // (DAY_MS * 10**6)
            cost = -(-reserved["money_micros"] * filled // order["size_micros"])
            ledger.spent(order["subscription_id"], day, cost)
            ledger.bought(order["subscription_id"], order["asset_id"], order["copy_key"], day)
    return ledger


def _exposures(ledger: Ledger, subscriptions: list[Subscription], now_ms: int) -> list[Any]:
    return [
        (found.buys, found.day_micros)
        for made in subscriptions
        for asset_id in _ASSETS
        for found in [ledger.exposure(made, CONDITION, asset_id, now_ms)]
    ]


def _subscriptions(router: Router) -> list[Subscription]:
    return list(router._state.index.followers_of(LEADER))


@pytest.mark.parametrize("seed", range(12))
async def test_sums_say_what_every_ended_entry_says(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    database = MemoryDatabase()
    database.write(lambda tx: _written(rng, tx))
    router = await recovered(database)
    ledger, now_ms = router._state.ledger, clock.now_ms()
    # Some have ended behind its back: for it they are still open when it looks again.
    untold = dict(ledger.open_orders())
    ended = set(rng.sample(sorted(untold), len(untold) // 2))

    def end(tx: Transaction) -> None:
        for row in list(tx.rows("reservation")):
            if row["order_key"] in ended:
                tx.update("reservation", row, released_at=tx.now)

    database.write(end)
    for step in range(3):
        if step:
            await router._catch_up()
        naive = _by_every_entry(database, untold)
        subscriptions = _subscriptions(router)
        assert _exposures(ledger, subscriptions, now_ms) == _exposures(naive, subscriptions, now_ms)
    # What grows, is released, and is forgotten goes on as it did.
    for order_key in sorted(untold):
        filled = rng.choice([0, 7_000_000])
        for each in (ledger, naive):
            each.release(order_key, size_micros=7_000_000, filled_micros=filled)
        assert _exposures(ledger, subscriptions, now_ms) == _exposures(naive, subscriptions, now_ms)
    for days in (1, 10, 11, 89, 90, 91):
        for each in (ledger, naive):
            each.forget_days_before(now_ms // DAY_MS + days)
        assert _exposures(ledger, subscriptions, now_ms) == _exposures(naive, subscriptions, now_ms)
