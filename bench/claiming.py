"""Claims a second: what one router commits at most, by the number of orders in a claim.

Measured is what lies between a plan and its orders' being durable: the record's bytes, one
statement and its commit in a PostgreSQL of its own, one claim after the other as a router does.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

from bench import alone
from bench.core.figures import spread
from bench.core.sheet import Figure
from tradingtools.codec.claims import claim_payload
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Follower, Order, Purpose, TimeInForce
from tradingtools.storage.postgres import journal, lease
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.venues.insiders.order_body import order_body

_SIZES = (1, 10, 100, 1_000)
_SECONDS = 3.0
_WARM_UP = 20
_FEWEST = 10
_CONDITION = f"0x{1:064x}"
_ASSET = "1"
_PRICE = 500_000
_SHARES = 20_000_000
_MONEY = 10_000_000


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own."""
    figures: list[Figure] = []
    with alone.stores() as stores:
        async with open_pool(stores.database_url, name="bench", prompt=True) as pool:
            records = _records()
            for size in _SIZES:
                # Taken anew instead of kept: one is good for longer than one size takes.
                owned = await lease.acquire(pool, "router", 0, "bench")
                say(f"claims of {size} orders")
                orders = [_order(number) for number in range(size)]
                taken = await _claims(pool, owned, orders, records, _SECONDS * factor)
                under, found = f"{size} orders each", spread(taken)
                a_second = 1000 * len(taken) / sum(taken)
                figures += [
                    Figure(what="claims", under=under, value=a_second, unit="a second"),
                    Figure(what="orders", under=under, value=a_second * size, unit="a second"),
                    Figure(what="a claim, p50", under=under, value=found.p50, unit="ms"),
                    Figure(what="a claim, p99", under=under, value=found.p99, unit="ms"),
                ]
    return figures


def _records() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield "router:" + hashlib.sha256(str(number).encode()).hexdigest()


async def _claims(
    pool: Pool, owned: lease.Lease, orders: Sequence[Order], records: Iterator[str], seconds: float
) -> list[float]:
    """Milliseconds of each; the first ones are not counted."""
    taken: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or len(taken) < _WARM_UP + _FEWEST:
        started = time.perf_counter()
        now_ns = time.time_ns()
        payload = claim_payload(
            orders, control_seq=1, traceparent="", received_ns=now_ns, routed_ns=now_ns
        )
        async with pool.connection() as connection:
            claim = journal.Claim(
                record_key=next(records), payload=payload, order_count=len(orders)
            )
            await journal.insert_claim(connection, owned, claim)
        taken.append((time.perf_counter() - started) * 1000)
    return taken[_WARM_UP:]


def _order(number: int) -> Order:
    follower = Follower(user_id="user", wallet_id="wallet", proxy=f"0x{number:040x}")
    key = hashlib.sha256(str(number).encode()).hexdigest()
    not_after_ms = time.time_ns() // 1_000_000 + 5_000
    return Order(
        order_key=key,
        copy_key=key,
        ordinal=0,
        purpose=Purpose.ENTRY,
        subscription_id=f"sub_{number:032x}",
        subscription_version=1,
        trigger_id="",
        follower=follower,
        leader=f"0x{1:040x}",
        leader_tx=f"0x{1:064x}",
        condition_id=_CONDITION,
        asset_id=_ASSET,
        side=Side.BUY,
        size_micros=_SHARES,
        limit_micros=_PRICE,
        time_in_force=TimeInForce.FAK,
        not_after_ms=not_after_ms,
        body=order_body(
            follower=follower,
            condition_id=_CONDITION,
            asset_id=_ASSET,
            size_micros=_SHARES,
            limit_micros=_PRICE,
            time_in_force=TimeInForce.FAK,
            not_after_ms=not_after_ms,
        ),
        reserved_money_micros=_MONEY,
        reserved_shares_micros=0,
    )
