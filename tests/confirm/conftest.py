"""Orders in a real PostgreSQL as router and executor would have left them."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio

from launcher import temporary
from services.confirm import store
from tests.support import leases
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool, open_pool

SIZE = 10_000_000
PATHS: dict[str, list[tuple[S, str | None]]] = {
    "CLAIMED": [],
    "SUBMITTED": [(S.SUBMITTING, None), (S.SUBMITTED, None)],
    "UNKNOWN": [(S.SUBMITTING, None), (S.UNKNOWN, None)],
    "DEAD": [(S.SUBMITTING, None), (S.UNKNOWN, None), (S.DEAD, None)],
    "LOST": [(S.SUBMITTING, None), (S.UNKNOWN, None), (S.LOST, None)],
    "UNSENT": [(S.FAILED, "UNSENT")],
    "REJECTED": [(S.SUBMITTING, None), (S.FAILED, "REJECTED")],
    "KILLED": [(S.SUBMITTING, None), (S.SUBMITTED, None), (S.FAILED, "KILLED")],
}


def order_fields(
    key: str, wallet: str, *, side: str = "BUY", asset: str = "1", subscription: str = "sub_1"
) -> dict[str, object]:
    """An order as a claim carries it."""
    return {
        "order_key": key, "copy_key": key, "ordinal": 0, "purpose": "ENTRY",
        "subscription_id": subscription, "subscription_version": 1, "trigger_id": "",
        "follower_user_id": "u", "follower_wallet_id": "w", "follower_proxy": wallet,
        "leader": "", "leader_tx": "", "condition_id": "0xc", "asset_id": asset,
        "side": side, "size_micros": SIZE, "limit_micros": 500_000, "time_in_force": "FAK",
        "not_after_ms": 1, "body": "{}", "body_hash": "h", "control_seq": 0,
        "reserved_money_micros": 5_000_000, "reserved_shares_micros": 0, "traceparent": "",
        "received_ns": 1, "routed_ns": 1,
    }  # fmt: skip


class Orders:
    """Makes orders, and asks for them."""

    def __init__(self, pool: Pool, lease: Lease) -> None:
        self.pool = pool
        self.lease = lease
        self.wallet = "0x" + secrets.token_hex(20)

    async def make(
        self, path: str, *, side: str = "BUY", asset: str = "1", subscription: str = "sub_1"
    ) -> str:
        """An order that has come to where ``path`` ends; returns its key."""
        key = secrets.token_hex(32)
        order = order_fields(key, self.wallet, side=side, asset=asset, subscription=subscription)
        payload = json.dumps({"orders": [order], "decisions": [], "rows": []}).encode()
        (row,) = await self.sql(
            "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
            " values ('CLAIMED', 'router', %s, 0, 1, %s, 1) returning seq",
            key, payload,
        )  # fmt: skip
        await self.sql("select build_rows(%s)", row["seq"])
        await self.move(key, *PATHS[path])
        return key

    async def move(self, key: str, *path: tuple[S, str | None]) -> None:
        """Take a claimed order to these states, each with its kind of failure."""
        state = S.CLAIMED
        for target, kind in path:
            await store.transition(
                self.pool,
                [{"order_key": key, "from_state": state, "to_state": target, "expected_epoch": 0,
                  "failed_kind": kind}],
            )  # fmt: skip
            state = target

    async def sql(self, query: str, *values: object) -> list[dict[str, object]]:
        """Ask the database."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def row(self, key: str) -> dict[str, object]:
        """The order, with whether its reservation stands."""
        (row,) = await self.sql(
            "select o.*, r.released_at is null as reserved from orders o"
            " join reservation r using (order_key) where order_key = %s",
            key,
        )
        return row

    async def take(self, key: str, reported: VenueOrder) -> store.BookingResult:
        """Take an answer as confirm does."""
        (taken,) = await self.take_all({key: reported})
        return taken

    async def take_all(self, reported: Mapping[str, VenueOrder]) -> list[store.BookingResult]:
        """Take answers by key in one batch."""
        batch = [
            store.ReportedOrder(order_key=key, answer=answer) for key, answer in reported.items()
        ]
        return await store.take(self.pool, self.lease, batch, 1)


async def nobody_tells(_proxy: str) -> None:
    """What a wallet holds is not told."""


def trade(name: str, status: TradeStatus, size: int = SIZE) -> VenueTrade:
    """A trade at 0.4."""
    return VenueTrade(
        trade_id=name, size_micros=size, notional_micros=size * 4 // 10, fee_micros=0, status=status
    )


def reported(
    key: str, *trades: VenueTrade, closed: bool = True, size: int | None = SIZE, side: str = "BUY"
) -> VenueOrder:
    """An answer by key."""
    return VenueOrder(
        order_key=key, order_id="0x1", status="MATCHED" if trades else "KILLED", closed=closed,
        trades=tuple(trades), side=side, asset_id="1",  size_micros=size,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shared_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """One database for all tests of a module: each has a wallet of its own."""
    with temporary.temporary_database(postgres_server, template=migrated_template) as url:
        yield url


@pytest_asyncio.fixture
async def orders(shared_url: str) -> AsyncIterator[Orders]:
    """A wallet of this test alone."""
    async with open_pool(shared_url, name="test", size=3) as pool:
        yield Orders(pool, await leases.held(pool, "confirm"))
