"""A wallet's budget from its row to the sizes of its entries, through the real router."""

from __future__ import annotations

from typing import Any, cast

from services.router.settings import Settings
from services.router.worker import Router
from tests.unit.samples import CONDITION, LEADER, TX, book
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, Side, Source, TradeKey
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import lease
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool, NoFaults
from tradingtools.testing.memory_database.transactions import EPOCH, Transaction
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.venues.insiders.order_body import order_body

WALLET = "0x" + "2" * 40
SUB = "sub_" + "1" * 32
SETTINGS = Settings(ingest_target="x:1", bookfeed_target="x:1", confirm_target="x:1")


class Shelf:
    """One book for every asset."""

    async def get(self, asset_id: str, **_: Any) -> Book:
        """Deep, at 0.5."""
        return self.known(asset_id)

    def known(self, _asset_id: str) -> Book:
        """The same."""
        return book(minimum=0)


async def no_batches(_after: int, _limit: int) -> list[Any]:
    return []


def subscribe(tx: Transaction) -> None:
    tx.insert(
        "subscription",
        {
            "id": SUB, "follower_user_id": "u", "follower_wallet_id": "w",
            "follower_proxy": WALLET, "leader": LEADER, "state": "ACTIVE", "version": 1,
            "sizing_mode": "FIXED", "sizing_micros": 10_000_000, "changed_seq": 1,
            "created_at": EPOCH,
        },
    )  # fmt: skip


def change(tx: Transaction) -> int:
    row = {
        "actor": "a", "source": "s", "action": "fund", "subject_kind": "funding",
        "subject_id": WALLET, "previous_hash": b"", "hash": b"",
    }  # fmt: skip
    return int(tx.insert("control_change", row)["seq"])


def fund(funded: int, before: int) -> Any:
    """As control writes it."""

    def write(tx: Transaction) -> None:
        seq, known = change(tx), tx.get("funding", WALLET)
        if known is None:
            tx.insert(
                "funding",
                {
                    "follower_proxy": WALLET, "funded_micros": funded, "before_micros": before,
                    "changed_seq": seq,
                },
            )  # fmt: skip
        else:
            tx.update("funding", known, funded_micros=funded, changed_seq=seq)

    return write


def lot(bought: int, sold: int) -> Any:
    """Return what was traded so far."""

    def write(tx: Transaction) -> None:
        values = {"bought_notional_micros": bought, "sold_notional_micros": sold}
        known = tx.get("lot", WALLET, "7", SUB)
        if known is None:
            key = {"follower_proxy": WALLET, "asset_id": "7", "origin": SUB}
            tx.insert("lot", {**key, "condition_id": CONDITION, **values})
        else:
            tx.update("lot", known, **values)

    return write


def buy(number: int) -> LeaderRow:
    return LeaderRow(
        key=TradeKey(
            leader_tx=f"{TX[:-2]}{number:02x}", leader=LEADER, asset_id="7", side=Side.BUY
        ),
        condition_id=CONDITION, price_text="0.5", price_micros=500_000, size_micros=10**9, count=1,
        source=Source.FEED, traded_ms=clock.now_ms(), received_ns=1, held_before_micros=None,
    )  # fmt: skip


async def recovered(
    database: MemoryDatabase,
    network: NoFaults | None = None,
    settings: Settings = SETTINGS,
    tail: Tail[Any] | None = None,
) -> Router:
    """A router that has just begun on a database in memory."""
    pool = cast(Any, MemoryPool(database, network))
    owned = await lease.acquire(pool, "router", 0, "router-0")
    router = Router(
        pool, owned, cast(Any, Shelf()), tail or Tail(0, no_batches), settings, body_of=order_body
    )
    await router.recover()
    return router


async def test_entries_stay_within_funding_and_results() -> None:
    database = MemoryDatabase()
    database.write(subscribe)
    # Twenty were lost before there was a budget: they do not count.
    database.write(lot(bought=50_000_000, sold=30_000_000))
    database.write(fund(4_000_000, before=-20_000_000))
    router = await recovered(database)

    async def copied(number: int) -> tuple[str, int]:
        await router.on_facts([buy(number)])
        tx = buy(number).key.leader_tx
        await router.recover()  # rows of what was claimed
        (row,) = (r for r in database.table("decision").values() if r["leader_tx"] == tx)
        reserved = sum(
            database.table("reservation")[key,]["money_micros"] for key in row["order_keys"]
        )
        return row["reason"], reserved

    reason, first = await copied(1)
    assert reason == "BUDGET"
    assert 3_990_000 < first <= 4_000_000
    assert (await copied(2))[1] == 0
    # A deposit is there with the next look at what control has changed.
    database.write(fund(7_000_000, before=0))
    await router.refresh_index()
    reason, second = await copied(3)
    assert 6_980_000 < first + second <= 7_000_000
    # What a sale brings may be spent again.
    database.write(lot(bought=50_000_000, sold=36_000_000))
    await router.bookings.on_fill(
        confirm_pb.FillEvent(
            kind=confirm_pb.FILL_KIND_MATCHED, subscription_id=SUB, follower_proxy=WALLET,
            condition_id=CONDITION, asset_id="7", order_state=common.ORDER_STATE_CONFIRMED,
        )
    )  # fmt: skip
    reason, third = await copied(4)
    assert 12_970_000 < first + second + third <= 13_000_000
