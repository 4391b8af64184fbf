"""Test that what books fire is committed together, in the order of each lot, and holds nobody else
up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import psycopg
import pytest
from msgspec import structs

from services.guard import store
from services.guard.core.batches import PATIENT
from services.guard.settings import Settings
from services.guard.worker import Guard
from tests.unit.guard.samples import book_of
from tradingtools.domain.book import Book, BookStatus
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.settings import load
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool, NoFaults
from tradingtools.testing.memory_database import guard as twins
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb
from tradingtools.venues.insiders.order_body import order_body

SHARE = 1_000_000
DEEP = book_of(((300_000, 1_000 * SHARE),))
QUERIES = "services/guard/queries.sql"
CONDITION = "0x" + "c" * 64


class Moody(NoFaults):
    """Breaks the connection at a step, once, or has something else happen there."""

    def __init__(self) -> None:
        self.breaks_at = ""
        self.at: dict[str, Callable[[], None]] = {}

    async def request(self, what: str) -> None:
        self.at.pop(what, lambda: None)()
        if what == self.breaks_at:
            self.breaks_at = ""
            raise psycopg.OperationalError("server closed the connection unexpectedly")


class Known:
    """Books in the test's hands."""

    def __init__(self) -> None:
        self.newest: Book | None = None
        self.later: list[Book] = []

    def pending_books(self) -> list[Book]:
        return self.later

    def known(self, _asset_id: str) -> Book | None:
        return self.newest


async def _none(after: int, limit: int) -> list[tuple[int, pb.OrderBatch]]:
    return []


class Desk:
    """A guard on a database in memory.

    Args:
        moods: what happens between the two.
        beside: the desk of another partition, with the same database; then there are two.
    """

    partitions = 1
    suspend_ms = 0

    def __init__(self, moods: Moody | None = None, *, beside: Desk | None = None) -> None:
        self.refused: set[str] = set()
        """Triggers that cannot be changed."""
        replaced = {
            (QUERIES, "move_triggers"): self._move_triggers,
            (QUERIES, "fire_foreseen"): self._fire_foreseen,
        }
        self.database: MemoryDatabase = (
            beside.database if beside else MemoryDatabase(replaced=replaced)
        )
        partition, partitions = (1, 2) if beside else (0, self.partitions)
        self.moods = moods or Moody()
        self.books = Known()
        self.tail: Tail[pb.OrderBatch] = Tail(0, _none)
        self._settings = load(Settings, "guard", {
            "TT_DATABASE_URL": "postgresql://", "TT_REDIS_URL": "redis://",
            "TT_GUARD_CONFIRM_TARGET": "127.0.0.1:1", "TT_GUARD_BOOKFEED_TARGET": "127.0.0.1:1",
            "TT_GUARD_PARTITIONS": str(partitions), "TT_GUARD_SUSPEND_MS": str(self.suspend_ms),
        })  # fmt: skip
        self._lease = Lease(role="guard", partition=partition, epoch=1)
        self.guard = self.started()
        self._put("partition_lease", role="guard", partition=partition, owner="o", epoch=1,
                  expires_at=self.database.now().replace(year=9000))  # fmt: skip

    def started(self) -> Guard:
        """A guard that knows nothing yet."""
        pool = cast(Pool, MemoryPool(self.database, self.moods))
        return Guard(
            pool, self._lease, cast(Books, self.books), self.tail, self._settings,
            writing=pool, peaks=pool, body_of=order_body,
        )  # fmt: skip

    def _move_triggers(self, tx: Transaction, values: Row) -> list[Row]:
        if any(move["id"] in self.refused for move in json.loads(values["moves"])):
            raise psycopg.errors.RaiseException("refused")
        return twins.move_triggers(tx, values)

    def _fire_foreseen(self, tx: Transaction, values: Row) -> list[Row]:
        (order,) = json.loads(values["payload"])["orders"]
        if order["trigger_id"] in self.refused:
            raise psycopg.errors.RaiseException("refused")
        return twins.fire_foreseen(tx, values)

    def _put(self, table: str, **values: Any) -> None:
        def insert(tx: Transaction) -> None:
            tx.insert(table, values)

        self.database.write(insert)

    def lot(self, number: int, shares: int, **key: str) -> None:
        """Shares of a wallet, bought by hand."""
        self._put("lot", **_key(number) | key, condition_id=CONDITION, shares_micros=shares * SHARE)

    def trigger(self, name: str, lot: int, price: int, **terms: Any) -> str:
        """An armed trigger of a lot; a stop-loss, when nothing else is said."""
        kind = {"trigger_type": "STOP_LOSS", "status": "ARMED", "price_micros": price * 10_000}
        self._put(
            "trigger", id=f"trg_{name:0>32}", condition_id=CONDITION,
            follower_user_id="u", follower_wallet_id="w", **_key(lot) | kind | terms,
        )  # fmt: skip
        return f"trg_{name:0>32}"

    def booked(self, seq: int) -> None:
        """The number of the newest booking."""
        amounts = dict.fromkeys(
            ("size_micros", "notional_micros", "fee_micros", "realised_micros", "lot_cost_micros",
             "lot_shares_micros", "order_filled_micros"), 0
        )  # fmt: skip
        self._put("booking", fill_seq=seq, kind="MATCHED", trade_id="t", order_state="SUBMITTED",
                  **amounts)  # fmt: skip

    def status(self, identifier: str) -> str:
        """Where a trigger stands."""
        return str(self.database.table("trigger")[(identifier,)]["status"])

    def sold(self) -> list[tuple[str, int]]:
        """Return whose exits were claimed, with their shares, in their order in the journal."""
        return [
            (order["trigger_id"], order["size_micros"] // SHARE)
            for record in sorted(self.database.table("journal").values(), key=lambda r: r["seq"])
            for order in json.loads(record["payload"])["orders"]
        ]

    def streamed(self) -> Iterator[tuple[int, str]]:
        """Numbers of records with the triggers whose exits they brought."""
        for seq, batch in self.tail._items:
            for order in batch.orders:
                yield seq, order.trigger_id


def _key(number: int) -> dict[str, Any]:
    return {"follower_proxy": f"0x{number:040x}", "asset_id": "1", "origin": "manual"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_one_book_fires_is_one_record(desk: Desk) -> None:
    fired = []
    for number in range(3):
        desk.lot(number, 60)
        fired.append(desk.trigger(f"a{number}", number, 40))
    left = desk.trigger("b", 0, 20)
    await desk.guard.recover()
    await desk.guard.on_books([DEEP])
    assert desk.sold() == [(identifier, 60) for identifier in fired]
    assert list(desk.streamed()) == [(1, identifier) for identifier in fired]
    assert [desk.status(identifier) for identifier in (*fired, left)] == ["TRIGGERED"] * 3 + [
        "ARMED"
    ]
    histories = [event["trigger_id"] for event in desk.database.table("trigger_event").values()]
    assert histories == fired


async def test_shares_taken_by_one_trigger_are_not_left_for_the_next(desk: Desk) -> None:
    desk.lot(1, 60)
    first = desk.trigger("a", 1, 40, size_micros=35 * SHARE)
    second = desk.trigger("b", 1, 40, size_micros=35 * SHARE)
    third = desk.trigger("c", 1, 40)
    await desk.guard.recover()
    await desk.guard.on_books([DEEP])
    assert desk.sold() == [(first, 35), (second, 25)]
    assert desk.status(third) == "ARMED"


async def test_a_lot_that_cannot_be_judged_holds_up_no_other(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.lot(number, 60)
    bad, after = desk.trigger("a", 1, 40), desk.trigger("d", 1, 40)
    good = [desk.trigger("b", 2, 40), desk.trigger("c", 3, 40)]
    desk.refused = {bad}
    await desk.guard.recover()
    await desk.guard.on_books([DEEP])
    assert desk.sold() == [(identifier, 60) for identifier in good]
    assert [desk.status(bad), desk.status(after)] == ["ARMED", "ARMED"], "the next waits for it"
    desk.books.newest, desk.refused = DEEP, set()
    await desk.guard.recheck()
    assert desk.sold()[2:] == [(bad, 60)]


@pytest.mark.parametrize("step", ["lock_triggers", "claim_exits", "add_events", "commit"])
async def test_an_outage_changes_no_order_of_a_lot(desk: Desk, step: str) -> None:
    desk.lot(1, 60)
    whole = desk.trigger("b", 1, 40)
    part = desk.trigger("a", 1, 20, trigger_type="TAKE_PROFIT", size_micros=20 * SHARE)
    await desk.guard.recover()
    desk.moods.breaks_at = step
    await desk.guard.on_books([DEEP])
    assert desk.sold() == []
    assert list(desk.streamed()) == []
    desk.books.newest = DEEP
    await desk.guard.recheck()
    assert desk.sold() == [(whole, 60)]
    assert desk.status(part) == "ARMED"


async def test_outage_leaves_a_lone_stop_armed_and_it_fires(desk: Desk) -> None:
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    await desk.guard.recover()
    desk.moods.breaks_at = "fire_foreseen"
    await desk.guard.on_books([DEEP])
    assert desk.sold() == []
    desk.books.newest = DEEP
    await desk.guard.recheck()
    assert desk.sold() == [(stop, 60)]
    assert [identifier for _, identifier in desk.streamed()] == [stop]


async def test_memory_that_is_behind_lets_no_later_trigger_sell_first(desk: Desk) -> None:
    """After a restart, bookings of long ago come once more: memory thinks that the lot is small."""
    desk.lot(1, 60)
    whole = desk.trigger("b", 1, 40)
    part = desk.trigger("a", 1, 50, trigger_type="TAKE_PROFIT", size_micros=10 * SHARE)
    await desk.guard.recover()
    bought = confirm_pb.FillEvent(
        **{name: _key(1)[name] for name in ("follower_proxy", "asset_id")},
        kind=confirm_pb.FILL_KIND_MATCHED, side=pb.SIDE_BUY, size_micros=20 * SHARE,
        lot_shares_micros=20 * SHARE,
    )  # fmt: skip
    await desk.guard.on_fill(bought)
    # 10 and 20 shares would fetch 0.50, the 60 that are there 0.367.
    await desk.guard.on_books([book_of(((500_000, 20 * SHARE), (300_000, 1_000 * SHARE)))])
    assert desk.sold() == [(whole, 60)]
    assert desk.status(part) == "ARMED"


async def test_who_was_suspended_is_judged_before_who_comes_after(desk: Desk) -> None:
    desk.lot(1, 60)
    whole = desk.trigger("b", 1, 40, status="SUSPENDED")
    part = desk.trigger("a", 1, 20, trigger_type="TAKE_PROFIT", size_micros=20 * SHARE)
    await desk.guard.recover()
    await desk.guard.on_books([DEEP])
    assert desk.sold() == [(whole, 60)]
    assert desk.status(part) == "ARMED"


async def test_bad_book_suspends_all_and_a_good_one_judges_them(desk: Desk) -> None:
    found = []
    for number in range(250):
        desk.lot(number, 60)
        found.append(desk.trigger(f"a{number}", number, 40))
    await desk.guard.recover()
    await desk.guard.on_books([book_of((), status=BookStatus.EMPTY)])
    assert {desk.status(identifier) for identifier in found} == {"SUSPENDED"}
    await desk.guard.on_books([DEEP])
    assert {desk.status(identifier) for identifier in found} == {"TRIGGERED"}
    assert len(desk.sold()) == len(set(desk.sold())) == 250


async def test_who_does_not_own_the_partition_sells_nothing(desk: Desk) -> None:
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    await desk.guard.recover()

    def take_over(tx: Transaction) -> None:
        tx.update("partition_lease", next(iter(tx.rows("partition_lease"))), epoch=2)

    desk.database.write(take_over)
    with pytest.raises(Fenced):
        await desk.guard.on_books([DEEP])
    assert desk.status(stop) == "ARMED"
    assert desk.sold() == []


async def test_a_lease_that_is_another_s_is_no_claim_of_before(desk: Desk) -> None:
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    await desk.guard.recover()
    owned = dict(next(iter(desk.database.table("partition_lease").values())))

    def put(**changes: Any) -> None:
        def write(tx: Transaction) -> None:
            tx.update("partition_lease", next(iter(tx.rows("partition_lease"))), **changes)

        desk.database.write(write)

    put(epoch=owned["epoch"] + 1)
    with pytest.raises(Fenced):
        await desk.guard.on_books([DEEP])
    assert desk.status(stop) == "ARMED"
    put(epoch=owned["epoch"])
    await desk.guard.on_books([DEEP])
    assert desk.sold() == [(stop, 60)]


async def test_book_during_an_evaluation_is_not_missed(desk: Desk) -> None:
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    await desk.guard.recover()
    good = book_of(((500_000, 1_000 * SHARE),))
    desk.books.newest = structs.replace(good, status=BookStatus.STALE)
    desk.guard._writer.schedule_soon([stop])

    def good_again() -> None:
        # Telling it finds nothing to do: the trigger is still armed.
        desk.books.newest = good

    desk.moods.at["lock_triggers"] = good_again
    await desk.guard.recheck()
    assert desk.status(stop) == "SUSPENDED"
    await desk.guard.recheck()
    assert desk.status(stop) == "ARMED"


FALLEN = structs.replace(DEEP, market=replace(DEEP.market, asset_id="2"))


def _a_hundred_and_a_stop_elsewhere(desk: Desk) -> str:
    """Stops that no book reaches, and one of another asset, which `FALLEN` does."""
    for number in range(1, 101):
        desk.lot(number, 60)
        desk.trigger(f"a{number}", number, 20)
    elsewhere = _key(101) | {"asset_id": "2"}
    desk._put("lot", **elsewhere, condition_id=CONDITION, shares_micros=60 * SHARE)
    return desk.trigger("b", 101, 40, asset_id="2")


def _suspended(desk: Desk) -> int:
    rows = desk.database.table("trigger").values()
    return sum(row["status"] == "SUSPENDED" for row in rows)


async def test_firing_on_a_later_book_does_not_wait(desk: Desk) -> None:
    stop = _a_hundred_and_a_stop_elsewhere(desk)
    await desk.guard.recover()

    def it_falls() -> None:
        desk.books.later = [FALLEN]

    seen: list[int] = []
    desk.moods.at["commit"] = it_falls
    desk.moods.at["fire_foreseen"] = lambda: seen.append(_suspended(desk))
    await desk.guard.on_books([structs.replace(DEEP, status=BookStatus.STALE)])
    assert (desk.sold(), _suspended(desk)) == ([(stop, 60)], 100)
    assert seen == [PATIENT], "it left after those whose commit was under way"
    desk.books.later = []
    await desk.guard.on_books([FALLEN])
    assert len(desk.sold()) == 1, "told once more, it fires once"


async def test_what_cannot_fire_yet_holds_up_nothing_that_has_time(desk: Desk) -> None:
    _a_hundred_and_a_stop_elsewhere(desk)
    desk._put("halt", scope="GLOBAL", subject="", mode="HALTED", reason="r")
    await desk.guard.recover()
    desk.books.later = [FALLEN]
    await desk.guard.on_books([structs.replace(DEEP, status=BookStatus.STALE)])
    assert (desk.sold(), _suspended(desk)) == ([], 100)


async def test_two_who_judge_at_the_same_time_sell_once(desk: Desk) -> None:
    for number, name in enumerate("abc"):
        desk.lot(number, 60)
        desk.trigger(name, number, 40)
    await desk.guard.recover()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(desk.guard.on_books([DEEP]))
    assert len(desk.sold()) == len(set(desk.sold())) == 3


@pytest.mark.parametrize("recovered", [False, True], ids=["replayed", "read on from before"])
async def test_a_booking_that_comes_again_does_not_put_a_stop_to_sleep(
    desk: Desk, *, recovered: bool
) -> None:
    bought = confirm_pb.FillEvent(
        kind=confirm_pb.FILL_KIND_MATCHED, side=pb.SIDE_BUY, follower_proxy=f"0x{1:040x}",
        asset_id="1", fill_seq=2, size_micros=60 * SHARE, lot_shares_micros=60 * SHARE,
    )  # fmt: skip
    before = confirm_pb.FillEvent()
    before.CopyFrom(bought)
    # The end of the position before: nothing was left of it.
    before.side, before.fill_seq, before.lot_shares_micros = pb.SIDE_SELL, 1, 0
    if not recovered:
        await desk.guard.recover()
        await desk.guard.on_fill(before)
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    desk.booked(2)
    if recovered:
        await desk.guard.recover()
    else:
        desk.guard._cache.put(store.trigger(desk.database.table("trigger")[(stop,)]))
        await desk.guard.on_fill(bought)
    await desk.guard.on_fill(before)
    await desk.guard.on_books([DEEP])
    assert desk.sold() == [(stop, 60)]
