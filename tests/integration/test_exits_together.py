"""An exit's claim, its trigger and its COMMIT travel together: all of it happens, or nothing.

What memory foresees is decided before the rows are locked; where they are otherwise, they are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio

from services.guard import store
from services.guard.claiming import Claims, Outcome
from services.guard.core.trigger import Trigger
from services.guard.holding import Held
from services.guard.known import Known
from services.guard.settings import Settings
from services.guard.store import Change
from services.guard.verdicts import Verdicts
from services.guard.writing import Writer
from tests.support import leases
from tradingtools.adapters.postgres.journal import ClaimedBefore
from tradingtools.adapters.postgres.lease import Fenced
from tradingtools.adapters.postgres.pool import Pool, open_pool
from tradingtools.domain.book import Book, BookStatus, Market
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.runtime.settings import load
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb

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
    known: Known
    tail: Tail[pb.OrderBatch]
    writer: Writer
    verdicts: Verdicts

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
        """Whether rows were ever locked and read before it was decided on them."""
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


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    settings = load(Settings, "guard", {
        f"TT_GUARD_{name}_TARGET": "127.0.0.1:1" for name in ("BOOKFEED", "CONFIRM")
    })  # fmt: skip
    async with open_pool(
        database_url, name="exits", size=1, prompt=True, planned_once=True
    ) as pool:
        tail: Tail[pb.OrderBatch] = Tail(0, _none)
        known = Known(0, 1)
        claims = Claims(await leases.held(pool, "guard"), tail, settings)
        writer = Writer(pool, known, claims)
        made = Desk(pool, known, tail, writer, Verdicts(known, claims, writer, tuple))
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


async def test_a_record_that_is_there_already_is_told_from_a_lost_lease(desk: Desk) -> None:
    await desk.verdicts.judge([(STOP, CHEAP)])
    await desk.sql(
        "update trigger set status = 'ARMED', order_key = '', rungs_fired = 0;"
        " update reservation set released_at = now()"
    )
    await desk.load()
    with pytest.raises(ClaimedBefore):
        await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.found() == ("ARMED", 2, 1, 1, 1, 1)


async def test_nothing_is_written_for_a_row_that_is_not_as_it_was_locked(desk: Desk) -> None:
    async def decide(held: Held) -> Outcome:
        row = {**held.rows[STOP], "version": 7}
        change = Change(status=TriggerStatus.SUSPENDED, detail="")
        return desk.verdicts._claims.write(held.asked, [(row, change)])

    with pytest.raises(psycopg.errors.RaiseException, match="changed under its lock"):
        await desk.writer.change_all([STOP], decide)
    assert await desk.found() == ("ARMED", 1, 0, 0, 0, 0)
    assert cast(Trigger, desk.known.get(STOP)).status is TriggerStatus.ARMED


async def test_a_lone_exit_that_is_foreseen_reads_nothing_first(desk: Desk) -> None:
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == [(60, "w")]
    assert not await desk.read_first()


async def test_what_nobody_foresaw_is_read_first(desk: Desk) -> None:
    desk.known._whose.clear()
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == [(60, "w")]
    assert await desk.read_first()


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
async def test_an_exit_is_of_the_rows_as_they_are_and_not_as_they_were_foreseen(
    desk: Desk, meanwhile: str, sold: list[tuple[int, str]]
) -> None:
    await desk.sql(meanwhile)
    await desk.verdicts.judge([(STOP, CHEAP)])
    assert await desk.sold() == sold
    assert await desk.read_first()


async def test_shares_that_another_exit_has_reserved_are_not_sold_again(desk: Desk) -> None:
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


TRAIL = "trg_" + "2" * 32
DEARER = replace(CHEAP, bids=((600_000, 50 * SHARE), (300_000, 1_000 * SHARE)))
"""60 shares would fetch 0.55, 50 of them 0.60."""


async def _trailing(desk: Desk) -> None:
    """The trigger becomes a trailing stop, with another one on a lot of its own."""
    other = {**LOT, "follower_proxy": "0x" + "2" * 40}
    values = ", ".join(f"'{value}'" for value in other.values())
    await desk.sql(
        f"insert into lot ({', '.join(other)}, condition_id, shares_micros)"
        f" values ({values}, 'c', {50 * SHARE});"
        " update trigger set trigger_type = 'TRAILING_STOP', callback_micros = 100000,"
        " peak_micros = 500000, peak_noted_micros = 500000;"
        " insert into trigger select t.* from trigger s, jsonb_populate_record(s,"
        f" jsonb_build_object('id', '{TRAIL}', 'follower_proxy', '{other['follower_proxy']}')) t"
    )
    desk.known.put_lot((LOT["follower_proxy"], "7", "manual"), 60 * SHARE)
    desk.known.put_lot((other["follower_proxy"], "7", "manual"), 50 * SHARE)
    for row in await store.fetch(desk.pool, "live_triggers"):
        desk.known.put(store.trigger(row))
        desk.known.learn(row)


async def _peaks(desk: Desk) -> list[int]:
    """Of both, once memory has what is committed of those that live."""
    rows = await desk.sql("select id, status, peak_micros from trigger order by id")
    for row in rows:
        known = desk.known.get(row["id"])
        assert (
            row["status"] == "CANCELLED" or row["peak_micros"] == cast(Trigger, known).peak_micros
        )
    return [row["peak_micros"] for row in rows]


async def _told(desk: Desk) -> list[tuple[str, str]]:
    rows = await desk.sql(
        "select trigger_id, detail from trigger_event"
        " where from_status = 'ARMED' and to_status = 'ARMED' and order_key = '' order by 1"
    )
    return [(row["trigger_id"], row["detail"]) for row in rows]


async def test_peaks_are_stored_and_told_and_nothing_is_read_first(desk: Desk) -> None:
    await _trailing(desk)
    await desk.verdicts.judge([(STOP, DEARER), (TRAIL, DEARER)])
    assert await _peaks(desk) == [550_000, 600_000]
    assert await _told(desk) == [
        (STOP, "peak 0.55, fires at 0.45"), (TRAIL, "peak 0.6, fires at 0.5")
    ]  # fmt: skip
    assert not await desk.read_first()


@pytest.mark.parametrize(
    ("meanwhile", "peak"),
    [
        # So many would fetch less than the peak that is there.
        pytest.param("update lot set shares_micros = 100000000", 500_000, id="it holds more"),
        pytest.param("update trigger set peak_micros = 560000", 560_000, id="a higher peak"),
        pytest.param("update trigger set peak_micros = 540000", 550_000, id="a lower peak"),
        pytest.param(
            "update trigger set size_micros = 50000000, version = 2", 600_000, id="sells less"
        ),
        pytest.param(
            "update trigger set status = 'CANCELLED', version = 2", 500_000, id="cancelled"
        ),
    ],
)
async def test_a_peak_is_of_the_rows_as_they_are_and_holds_up_no_other(
    desk: Desk, meanwhile: str, peak: int
) -> None:
    await _trailing(desk)
    proxy = LOT["follower_proxy"]
    await desk.sql(f"{meanwhile} where follower_proxy = '{proxy}'")
    await desk.verdicts.judge([(STOP, DEARER), (TRAIL, DEARER)])
    assert await _peaks(desk) == [peak, 600_000]
    assert await desk.read_first()
