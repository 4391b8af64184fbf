"""An exit's claim, its trigger and its COMMIT travel together: all of it happens, or nothing.

What memory foresees is decided before the rows are locked; where they are otherwise, they are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio

from services.guard import store
from services.guard.claiming import Claims, Outcome
from services.guard.core.trigger import Trigger
from services.guard.evaluation import Evaluator
from services.guard.locked_rows import LockedRows
from services.guard.settings import Settings
from services.guard.store import TriggerChange
from services.guard.trigger_cache import TriggerCache
from services.guard.trigger_transactions import Writer
from tests.support import leases
from tradingtools import clock
from tradingtools.domain.book import Book, BookStatus, Market
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.rpc.streams import Tail
from tradingtools.settings import load
from tradingtools.storage.postgres.journal import AlreadyClaimed
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.insiders.order_body import order_body

SHARE = 1_000_000
STOP = "trg_" + "1" * 32
LOT = {"follower_proxy": "0x" + "1" * 40, "asset_id": "7", "origin": "manual"}
CHEAP = Book(
    market=Market(
        asset_id="7",
        condition_id="c",
        tick_micros=10_000,
        min_size_micros=5 * SHARE,
        fee_rate_micros=0,
        closed=False,
        payout_micros=None,
        category="other",
        end_ms=None,
    ),
    status=BookStatus.FRESH,
    bids=((300_000, 1_000 * SHARE),),
    asks=(),
    book_ms=1,
    revision=1,
)


async def _none(after: int, limit: int) -> list[tuple[int, pb.OrderBatch]]:
    return []


@dataclass
class Desk:
    """The writing half of a guard."""

    pool: Pool
    known: TriggerCache
    tail: Tail[pb.OrderBatch]
    writer: Writer
    verdicts: Evaluator

    async def sql(self, text: str) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(text.encode())
            return await cursor.fetchall() if cursor.description else []

    async def load(self) -> None:
        """Take the trigger and its lot as they are, and whose they are."""
        self.known.put_lot((LOT["follower_proxy"], "7", "manual"), 60 * SHARE)
        (row,) = await store.fetch(self.pool, "live_triggers")
        self.known.put(store.trigger(row))
        self.known.learn(row)

    async def sold(self) -> list[tuple[int, str]]:
        """Shares and owners of all exits."""
        rows = await self.sql("select size_micros, follower_wallet_id from orders order by 1")
        return [(row["size_micros"] // SHARE, row["follower_wallet_id"]) for row in rows]

    async def read_first(self) -> bool:
        """Return whether rows were ever locked and read before it was decided on them."""
        (row,) = await self.sql(
            "select count(*) as n from pg_prepared_statements"
            " where statement ~ 'for update of t' and statement !~ 'hold_foreseen'"
        )
        return bool(row["n"])

    async def found(self) -> tuple[Any, ...]:
        """Status and version of the trigger; orders, reservations, records and history."""
        tables = ("orders", "reservation", "journal", "trigger_event")
        counts = ", ".join(f"(select count(*) from {name}) as {name}" for name in tables)
        (row,) = await self.sql(f"select status, version, {counts} from trigger")
        return tuple(row.values())


@asynccontextmanager
async def _desk(database_url: str) -> AsyncIterator[Desk]:
    settings = load(Settings, "guard", {
        f"TT_GUARD_{name}_TARGET": "127.0.0.1:1" for name in ("BOOKFEED", "CONFIRM")
    })  # fmt: skip
    async with open_pool(
        database_url, name="exits", size=1, prompt=True, planned_once=True
    ) as pool:
        tail: Tail[pb.OrderBatch] = Tail(0, _none)
        known = TriggerCache(0, 1)
        claims = Claims(await leases.held(pool, "guard"), tail, settings, order_body)
        writer = Writer(pool, known, claims)
        made = Desk(
            pool, known, tail, writer, Evaluator(known, claims, writer, tuple, lambda _book: None)
        )
        names, values = ", ".join(LOT), ", ".join(f"'{value}'" for value in LOT.values())
        await made.sql(
            f"insert into lot ({names}, condition_id, shares_micros)"
            f" values ({values}, 'c', {60 * SHARE})"
        )
        await made.sql(
            f"insert into trigger (id, {names}, condition_id, trigger_type, price_micros, status,"
            f" follower_user_id, follower_wallet_id)"
            f" values ('{STOP}', {values}, 'c', 'STOP_LOSS', 400000, 'ARMED', 'u', 'w')"
        )
        await made.load()
        yield made


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with _desk(database_url) as made:
        yield made


async def test_an_exit_and_its_rows_are_there_when_it_is_streamed(desk: Desk) -> None:
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.found() == ("TRIGGERED", 2, 1, 1, 1, 1)
    (record,) = await desk.sql("select seq, rows_built_at is not null as built from journal")
    assert record == {"seq": desk.tail.last, "built": True}
    now = cast(Trigger, desk.known.get(STOP))
    assert (now.status, now.version) == (TriggerStatus.TRIGGERED, 2)


async def test_nothing_is_written_without_the_lease(desk: Desk) -> None:
    await desk.sql("update partition_lease set epoch = epoch + 1")
    with pytest.raises(Fenced):
        await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.found() == ("ARMED", 1, 0, 0, 0, 0)


async def test_existing_record_is_told_from_a_lost_lease(desk: Desk) -> None:
    await desk.verdicts.judge([(STOP, CHEAP)])
    await desk.sql(
        "update trigger set status = 'ARMED', order_key = '', rungs_fired = 0;"
        " update reservation set released_at = now()"
    )
    await desk.load()
    with pytest.raises(AlreadyClaimed):
        await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.found() == ("ARMED", 2, 1, 1, 1, 1)


async def test_row_changed_since_its_lock_is_not_written(desk: Desk) -> None:
    async def decide(held: LockedRows) -> Outcome:
        row = {**held.rows[STOP], "version": 7}
        change = TriggerChange(status=TriggerStatus.SUSPENDED, detail="")
        return desk.verdicts._claims.write(held.pipeline, [(row, change)])

    with pytest.raises(psycopg.errors.RaiseException, match="changed under its lock"):
        await desk.writer.change_all([STOP], decide)
    assert await desk.found() == ("ARMED", 1, 0, 0, 0, 0)
    assert cast(Trigger, desk.known.get(STOP)).status is TriggerStatus.ARMED


async def test_a_lone_exit_that_is_foreseen_reads_nothing_first(desk: Desk) -> None:
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == [(60, "w")]
    assert not await desk.read_first()


async def test_what_is_foreseen_changes_in_no_way_but_by_firing(desk: Desk) -> None:
    async def decide(held: LockedRows) -> Outcome:
        change = TriggerChange(status=TriggerStatus.SUSPENDED, detail="")
        changes = [(held.rows[STOP], change)]
        return desk.verdicts._claims.write(
            held.pipeline, changes, optimistic_claim=held.optimistic_claim
        )

    with pytest.raises(ValueError, match="only if it fires"):
        await desk.writer.change_all([STOP], decide, fires=True)
    assert await desk.found() == ("ARMED", 1, 0, 0, 0, 0)


async def test_what_nobody_foresaw_is_read_first(desk: Desk) -> None:
    desk.known._whose.clear()
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == [(60, "w")]
    assert await desk.read_first()


_ALL = ("journal", "orders", "order_event", "reservation", "trigger", "trigger_event", "lot")
_INSTANTS = {
    "committed_at", "rows_built_at", "created_at", "updated_at", "occurred_at", "claimed_ns",
    "expires_at",
}  # fmt: skip


async def _left(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    """All rows but their instants; then there is nothing any more."""
    found = {
        table: [
            {name: value for name, value in row.items() if name not in _INSTANTS}
            for row in await desk.sql(f"select * from {table}")
        ]
        for table in _ALL
    }
    await desk.sql(
        "set session_replication_role = replica;"
        f" truncate {', '.join(_ALL)}, partition_lease restart identity cascade;"
        " set session_replication_role = origin"
    )
    return found


async def test_one_statement_and_many_leave_the_same(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ns", lambda: 1_700_000_000_000_000_000)
    monkeypatch.setattr(clock, "now_ms", lambda: 1_700_000_000_000)
    rows, memory = [], []
    for optimistic_claim in (True, False):
        async with _desk(database_url) as desk:
            if not optimistic_claim:
                desk.known._whose.clear()
            await desk.verdicts.judge([(STOP, CHEAP)])
            assert await desk.read_first() is not optimistic_claim
            memory.append(desk.known.get(STOP))
            rows.append(await _left(desk))
    assert rows[0] == rows[1]
    assert {table: len(found) for table, found in rows[0].items()} == dict.fromkeys(_ALL, 1)
    assert memory[0] == memory[1]


@pytest.mark.parametrize(
    ("meanwhile", "sold"),
    [
        pytest.param("update lot set shares_micros = 40000000", [(40, "w")], id="lot is smaller"),
        pytest.param("update trigger set follower_wallet_id = 'v'", [(60, "v")], id="owner"),
        pytest.param(
            "update trigger set price_micros = 200000, version = 2", [], id="price is lower"
        ),
        pytest.param("update trigger set status = 'CANCELLED', version = 2", [], id="cancelled"),
    ],
)
async def test_exit_uses_locked_rows_not_foreseen_ones(
    desk: Desk, meanwhile: str, sold: list[tuple[int, str]]
) -> None:
    await desk.sql(meanwhile)
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == sold
    assert await desk.read_first()


async def test_shares_reserved_by_another_exit_are_not_sold(desk: Desk) -> None:
    await desk.verdicts.judge([(STOP, CHEAP)])
    await desk.sql(
        "update trigger set status = 'ARMED', order_key = '', rungs_fired = 0, version = 7,"
        " generation = 1"
    )
    await desk.load()
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == [(60, "w")]
    await desk.sql("update reservation set released_at = now()")
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == [(60, "w"), (60, "w")]
