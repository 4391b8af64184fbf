"""Peaks of trailing stops are one record; their rows follow behind, over whatever comes between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio
from msgspec import structs
from structlog.testing import capture_logs

from services.guard import compaction, high_water_marks, store
from services.guard.core.trigger import Trigger, lot_of
from services.guard.settings import Settings
from services.guard.worker import Guard
from tests.support import leases
from tests.unit.guard.samples import book_of, follow_peaks
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.settings import load
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.insiders.order_body import order_body

SHARE = 1_000_000
LARGE, SMALL = ("trg_" + digit * 32 for digit in "12")
DEARER = book_of(((600_000, 50 * SHARE), (300_000, 1_000 * SHARE)))
"""The large lot's 60 shares would fetch 0.55, the small one's 50 0.60."""
DEAREST = book_of(((605_000, 1_000 * SHARE),))
SETTINGS = load(Settings, "guard", {
    f"TT_GUARD_{name}_TARGET": "127.0.0.1:1" for name in ("BOOKFEED", "CONFIRM")
})  # fmt: skip


@dataclass
class _Newest:
    """The books that the guard looks at afterwards."""

    book: Book | None = None

    def known(self, _asset_id: str) -> Book | None:
        return self.book

    def pending_books(self) -> list[Book]:
        return []


async def _none(after: int, limit: int) -> list[tuple[int, pb.OrderBatch]]:
    return []


@dataclass
class Desk:
    """A guard with two trailing stops, each on a lot of its own: active at 0.40, a dime below."""

    pool: Pool
    lease: Lease
    books: _Newest = field(default_factory=_Newest)
    guard: Guard = field(init=False)

    async def start(self) -> None:
        """A guard that knows nothing but what is committed."""
        tail: Tail[pb.OrderBatch] = Tail(0, _none)
        books = cast(Books, self.books)
        pools = {"writing": self.pool, "peaks": self.pool}
        self.guard = Guard(
            self.pool, self.lease, books, tail, SETTINGS, body_of=order_body, **pools
        )
        await self.guard.recover()

    async def see(self, book: Book) -> None:
        """A book comes, and its peaks are recorded."""
        self.books.book = book
        await self.guard.on_books([book])
        await follow_peaks(self.guard)

    async def sql(self, text: str) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(text.encode())
            return await cursor.fetchall() if cursor.description else []

    def known(self) -> list[int | None]:
        """The peaks in memory; None: it has ended."""
        found = [self.guard._cache.get(trigger_id) for trigger_id in (LARGE, SMALL)]
        return [None if one is None else one.peak_micros for one in found]

    async def rows(self) -> list[int | None]:
        """The peaks in the rows."""
        rows = await self.sql("select peak_micros from trigger order by id")
        return [row["peak_micros"] for row in rows]

    async def records(self) -> int:
        """Return how many are not folded."""
        return len(await self.sql("select 1 from peak_record"))

    async def reported(self) -> list[tuple[str, str]]:
        rows = await self.sql("select trigger_id, detail from trigger_event order by event_seq")
        return [(row["trigger_id"], row["detail"]) for row in rows]

    async def sold(self) -> list[str]:
        rows = await self.sql("select trigger_id from orders order by 1")
        return [row["trigger_id"] for row in rows]


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_pool(
        database_url, name="peaks", size=1, prompt=True, planned_once=True
    ) as pool:
        made = Desk(pool, await leases.held(pool, "guard"))
        for trigger_id, shares in ((LARGE, 60), (SMALL, 50)):
            key = f"'0x{trigger_id[4] * 40}', '1', 'manual', 'c'"
            await made.sql(
                "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)"
                f" values ({key}, {shares * SHARE});"
                " insert into trigger (follower_proxy, asset_id, origin, condition_id, id,"
                " trigger_type, price_micros, callback_micros, status, follower_user_id,"
                f" follower_wallet_id) values ({key}, '{trigger_id}', 'TRAILING_STOP', 400000,"
                " 100000, 'ARMED', 'u', 'w')"
            )
        await made.start()
        yield made


async def test_peaks_are_recorded_together_and_their_rows_follow(desk: Desk) -> None:
    await desk.see(DEARER)
    assert desk.known() == [550_000, 600_000]
    assert (await desk.rows(), await desk.records(), await desk.reported()) == ([None, None], 1, [])
    await desk.guard.fold_peaks()
    assert desk.known() == await desk.rows() == [550_000, 600_000]
    assert await desk.reported() == [
        (LARGE, "peak 0.55, fires at 0.45"), (SMALL, "peak 0.6, fires at 0.5")
    ]  # fmt: skip
    assert await desk.records() == 0
    (row,) = await desk.sql("show synchronous_commit")
    assert row == {"synchronous_commit": "on"}, "for whatever is asked after the folding"


async def test_highest_of_many_peaks_is_kept_and_each_cent_recorded(
    desk: Desk,
) -> None:
    for book in (DEARER, DEAREST):
        await desk.see(book)
    assert await desk.records() == 2
    await desk.guard.fold_peaks()
    assert await desk.rows() == [605_000, 605_000]
    await desk.see(book_of(((614_999, 1_000 * SHARE),)))
    await desk.guard.fold_peaks()
    assert await desk.rows() == [614_999, 614_999]
    assert [text for _, text in await desk.reported()] == ["peak 0.605, fires at 0.505"] * 2
    await desk.see(book_of(((615_000, 1_000 * SHARE),)))
    await desk.guard.fold_peaks()
    assert (await desk.reported())[2:] == [
        (trigger_id, "peak 0.615, fires at 0.515") for trigger_id in (LARGE, SMALL)
    ]


@pytest.mark.parametrize(
    ("meanwhile", "known", "row"),
    [
        # So many would fetch 0.45.
        pytest.param("update lot set shares_micros = 100000000", 450_000, 450_000, id="more"),
        pytest.param(
            "update trigger set size_micros = 50000000, version = 2", 600_000, 600_000, id="less"
        ),
        pytest.param(
            "update trigger set price_micros = 560000, version = 2", None, None, id="not active"
        ),
        pytest.param(
            "update trigger set status = 'CANCELLED', version = 2", None, None, id="cancelled"
        ),
    ],
)
async def test_a_peak_is_of_the_rows_as_they_are_and_holds_up_no_other(
    desk: Desk, meanwhile: str, known: int | None, row: int | None
) -> None:
    await desk.sql(f"{meanwhile} where follower_proxy = '0x{'1' * 40}'")
    await desk.see(DEARER)
    assert desk.known() == [known, 600_000]
    await desk.guard.fold_peaks()
    assert await desk.rows() == [row, 600_000]


@pytest.mark.parametrize(
    ("change", "peak"),
    [
        pytest.param("trigger set two_ticks = true, version = 2", 605_000, id="terms"),
        # As many shares have not been seen at any price but the one that is there now.
        pytest.param("lot set shares_micros = 55000000", 505_000, id="size"),
    ],
)
async def test_refused_peak_is_not_lost_to_a_later_book(desk: Desk, change: str, peak: int) -> None:
    desk.books.book = book_of(((505_000, 1_000 * SHARE),))
    await desk.sql(f"update {change} where follower_proxy = '0x{'1' * 40}'")
    await desk.guard.on_books([DEAREST])
    await desk.guard.on_books([desk.books.book])
    await follow_peaks(desk.guard)
    assert desk.known() == [peak, 605_000]
    assert await desk.sold() == [SMALL], "the other one wants two ticks, or has seen no more"
    await desk.see(structs.replace(desk.books.book, revision=1))
    assert await desk.sold() == ([LARGE, SMALL] if peak == 605_000 else [SMALL])


async def test_peak_seen_at_another_size_is_not_put_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is refused, memory has heard of the lot's new size, and a lower book has come."""
    fetch_alone = store.fetch_alone

    async def meanwhile(pool: Pool, name: str, **values: Any) -> Any:
        if name == "record_peaks" and values["peaks"] == [605_000, 605_000]:
            await desk.sql(f"update lot set shares_micros = {55 * SHARE}"
                           f" where follower_proxy = '0x{'1' * 40}'")  # fmt: skip
            trigger = cast(Trigger, desk.guard._cache.get(LARGE))
            desk.guard._cache.put_lot(lot_of(trigger), 55 * SHARE)
            await desk.guard.on_books([DEARER])
        return await fetch_alone(pool, name, **values)

    monkeypatch.setattr(store, "fetch_alone", meanwhile)
    await desk.guard.on_books([DEAREST])
    await follow_peaks(desk.guard)
    # Five of 55 at 0.30.
    assert desk.known() == [572_727, 605_000]


async def test_a_start_knows_what_no_row_has_yet(desk: Desk) -> None:
    await desk.see(DEARER)
    await desk.see(DEAREST)
    await desk.start()
    assert desk.known() == [605_000, 605_000]
    assert await desk.rows() == [None, None]
    await desk.see(book_of(((505_000, 1_000 * SHARE),)))
    assert await desk.sold() == [LARGE, SMALL], "both fire a dime below what was recorded"
    await desk.guard.fold_peaks()
    assert await desk.rows() == [605_000, 605_000]
    assert not [text for _, text in await desk.reported() if text.startswith("peak")], "it is over"


async def test_changed_trigger_keeps_an_uncompacted_peak(
    desk: Desk,
) -> None:
    await desk.see(DEARER)
    for trigger_id in (LARGE, SMALL):
        # Locked and read: what control has changed meanwhile is known then.
        await desk.sql(f"update trigger set version = 2 where id = '{trigger_id}'")
    await desk.guard._writer.learn([LARGE, SMALL])
    assert desk.known() == [550_000, 600_000]
    assert cast(Trigger, desk.guard._cache.get(LARGE)).version == 2


async def test_an_exit_is_foreseen_also_while_its_row_is_behind(desk: Desk) -> None:
    await desk.see(DEARER)
    # 60 shares would fetch more than 0.45, 50 of them no more than 0.50.
    await desk.see(book_of(((500_000, 1_000 * SHARE),)))
    assert await desk.sold() == [SMALL]
    (row,) = await desk.sql(
        "select count(*) as n from pg_prepared_statements"
        " where statement ~ 'for update of t' and statement !~ 'hold_foreseen'"
    )
    assert row == {"n": 0}, "nothing was read first"


async def test_folding_goes_on_where_it_was_and_tells_nothing_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.see(DEARER)
    monkeypatch.setattr(compaction, "ROWS", 1)
    fetch_on = store.fetch_on

    async def break_off(connection: Connection, name: str, **values: Any) -> Any:
        if values.get("ids") == [SMALL]:
            raise psycopg.OperationalError
        return await fetch_on(connection, name, **values)

    with monkeypatch.context() as broken:
        broken.setattr(store, "fetch_on", break_off)
        with pytest.raises(psycopg.OperationalError):
            await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([550_000, None], 1)
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([550_000, 600_000], 0)
    assert [trigger_id for trigger_id, _ in await desk.reported()] == [LARGE, SMALL]


async def test_who_does_not_own_the_partition_records_nothing(desk: Desk) -> None:
    await desk.sql("update partition_lease set epoch = epoch + 1")
    with pytest.raises(Fenced):
        await desk.see(DEARER)
    assert (desk.known(), await desk.records()) == ([None, None], 0)


@pytest.mark.parametrize("committed", [False, True])
async def test_a_record_whose_answer_is_lost_is_there_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    fetch_alone, requested = store.fetch_alone, list[str]()

    async def lose_the_first(pool: Pool, name: str, **values: Any) -> Any:
        requested.append(name)
        if len(requested) > 1 or committed:
            found = await fetch_alone(pool, name, **values)
        if len(requested) == 1:
            raise psycopg.OperationalError
        return found

    monkeypatch.setattr(store, "fetch_alone", lose_the_first)
    await desk.see(structs.replace(DEARER, revision=2))
    assert requested == ["record_peaks"] * 2
    assert (desk.known(), await desk.records()) == ([550_000, 600_000], 1)


async def test_a_connection_that_was_lost_deletes_no_record(
    desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it a server may have lost rows that it did not wait for the disk with."""
    await desk.see(DEARER)
    fetch_on, lost = store.fetch_on, list[asyncio.Task[None]]()

    async def lose(pid: int) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(%s, 1000)", [pid])
        # What is lent already stays as it is.
        await desk.pool.check()

    async def lose_behind(connection: Connection, name: str, **values: Any) -> Any:
        found = await fetch_on(connection, name, **values)
        if name == "fold_peaks":
            lost.append(asyncio.create_task(lose(connection.info.backend_pid)))
        return found

    with monkeypatch.context() as broken:
        broken.setattr(store, "fetch_on", lose_behind)
        broken.setattr(compaction, "_PAUSE_SECONDS", 0.5)
        with pytest.raises(psycopg.OperationalError):
            await desk.guard.fold_peaks()
    await asyncio.gather(*lost)
    assert await desk.records() == 1
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([550_000, 600_000], 0)


async def test_lot_reported_anew_is_judged_without_a_book(desk: Desk) -> None:
    lot = f"follower_proxy = '0x{'1' * 40}'"
    stop = "trg_" + "3" * 32
    await desk.sql(
        "insert into trigger (follower_proxy, asset_id, origin, condition_id, id, trigger_type,"
        " price_micros, status, follower_user_id, follower_wallet_id)"
        f" select follower_proxy, asset_id, origin, condition_id, '{stop}', 'STOP_LOSS', 100000,"
        f" 'ARMED', 'u', 'w' from trigger where {lot}"
    )
    desk.books.book = DEARER
    await desk.guard.on_books([DEARER])
    # He sells ten by hand and changes the stop-loss before the peak is recorded.
    await desk.sql(
        f"update lot set shares_micros = {50 * SHARE} where {lot};"
        " insert into control_change (actor, source, action, subject_kind, subject_id,"
        f" previous_hash, hash) values ('t', 't', 't', 'trigger', '{stop}', '', '')"
    )
    await desk.guard.refresh()
    await desk.guard.recheck()
    await follow_peaks(desk.guard)
    assert desk.known() == [600_000, 600_000]


async def test_a_round_that_fails_ends_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.see(DEARER)
    with monkeypatch.context() as broken:
        broken.setattr(store, "fetch_on", _refuse)
        await desk.guard.fold_peaks()
    assert await desk.records() == 1
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([550_000, 600_000], 0)


async def test_row_that_cannot_be_compacted_blocks_none_and_is_retried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms, tried, fetch_on = [0], list[list[str]](), store.fetch_on

    async def note(connection: Connection, name: str, **values: Any) -> Any:
        if name == "fold_peaks":
            tried.append(sorted(values["ids"]))
        return await fetch_on(connection, name, **values)

    monkeypatch.setattr(store, "fetch_on", note)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: now_ms[0])
    await desk.sql(
        f"alter table trigger add constraint refused check (id <> '{LARGE}' or peak_micros is null)"
    )
    with capture_logs() as logs:
        for book in (DEARER, DEAREST):
            await desk.see(book)
            await desk.guard.fold_peaks()
        assert (await desk.rows(), await desk.records()) == ([None, 605_000], 1)
        await desk.see(book_of(((610_000, 55 * SHARE),)))
        assert desk.known() == [605_000, 610_000]
        for now_ms[0] in range(500, 8_000, 500):
            await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([None, 610_000], 1)
    # Alone, at once the second time, and then after a second and after three; not yet after seven.
    both = [[LARGE, SMALL], [SMALL], [LARGE]]
    assert tried == [*both, [SMALL], [LARGE], [SMALL], [LARGE], [LARGE]]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "a row cannot follow its peak; tried again"
    ]
    await desk.sql("alter table trigger drop constraint refused")
    now_ms[0] = 20_000
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([605_000, 610_000], 0)


async def test_a_row_that_somebody_holds_holds_up_no_other(desk: Desk, database_url: str) -> None:
    """Test that what waits for it is cancelled, as by `statement_timeout`."""
    await desk.see(DEARER)
    with (
        psycopg.connect(database_url) as holder,
        psycopg.connect(database_url, autocommit=True) as canceller,
    ):
        holder.execute("select from trigger where id = %s for update", [LARGE])
        round_ = asyncio.ensure_future(desk.guard.fold_peaks())
        async with asyncio.timeout(20):
            while not round_.done():
                canceller.execute(
                    "select pg_cancel_backend(pid) from pg_stat_activity"
                    " where wait_event_type = 'Lock' and datname = current_database()"
                )
                await asyncio.sleep(0.01)
        await round_
    assert (await desk.rows(), await desk.records()) == ([None, 600_000], 1)
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([550_000, 600_000], 0)


async def test_a_row_that_is_lost_before_its_record_goes_follows_again(desk: Desk) -> None:
    """PostgreSQL crashed: what had followed was not flushed, since nothing was deleted after it."""
    refused = f"refused check (id <> '{LARGE}' or peak_micros is null)"
    await desk.sql(f"alter table trigger add constraint {refused}")
    await desk.see(DEAREST)
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([None, 605_000], 1)
    await desk.sql(
        "alter table trigger drop constraint refused;"
        " set session_replication_role = replica; update trigger set peak_micros = null;"
        " set session_replication_role = origin"
    )
    await desk.guard.fold_peaks()
    assert (await desk.rows(), await desk.records()) == ([605_000, 605_000], 0)


async def test_a_start_knows_what_could_not_follow(desk: Desk) -> None:
    await desk.sql(
        f"alter table trigger add constraint refused check (id <> '{LARGE}' or peak_micros is null)"
    )
    for book in (DEARER, DEAREST):
        await desk.see(book)
    await desk.guard.fold_peaks()
    await desk.start()
    assert desk.known() == [605_000, 605_000]


async def test_refused_record_is_retried_without_another_book(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_alone, requested = store.fetch_alone, list[str]()

    async def refuse_the_first(pool: Pool, name: str, **values: Any) -> Any:
        requested.append(name)
        return await (_refuse if len(requested) == 1 else fetch_alone)(pool, name, **values)

    monkeypatch.setattr(store, "fetch_alone", refuse_the_first)
    monkeypatch.setattr(high_water_marks, "_PAUSE_SECONDS", 0.0)
    await desk.see(DEARER)
    assert requested == ["record_peaks"] * 2
    assert (desk.known(), await desk.records()) == ([550_000, 600_000], 1)


async def test_repeatedly_refused_trigger_backs_off_longer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was restored from behind: it never has what memory has."""
    await desk.sql(f"update trigger set version = 2 where id = '{LARGE}'")
    await desk.guard._writer.learn([LARGE])
    await desk.sql(f"update trigger set version = 1 where id = '{LARGE}'")
    now_ms, tried, fetch_alone = [0], list[tuple[int, list[str]]](), store.fetch_alone

    async def note(pool: Pool, name: str, **values: Any) -> Any:
        tried.append((now_ms[0], values["ids"]))
        return await fetch_alone(pool, name, **values)

    monkeypatch.setattr(store, "fetch_alone", note)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: now_ms[0])
    async with asyncio.timeout(20):
        await desk.see(DEARER)
        for now_ms[0] in range(50, 3_000, 50):
            desk.guard._writer.schedule_soon([LARGE])
            await desk.guard.recheck()
            await follow_peaks(desk.guard)
    assert tried == [(0, [LARGE, SMALL]), *((ms, [LARGE]) for ms in (0, 250, 1_000, 2_750))]
    assert desk.known() == [None, 600_000]
    await desk.sql(f"update trigger set version = 2 where id = '{LARGE}'")
    now_ms[0] = 10_000
    await follow_peaks(desk.guard)
    assert desk.known() == [550_000, 600_000]


async def test_one_that_cannot_be_read_holds_up_no_other(desk: Desk) -> None:
    await desk.sql(
        f"update trigger set version = 2 where id = '{SMALL}';"
        f" delete from trigger where id = '{LARGE}'"
    )
    await desk.see(DEARER)
    assert desk.known() == [None, 600_000]


@pytest.mark.parametrize("committed", [False, True])
async def test_a_record_in_doubt_that_is_refused_then_ends_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    """As by a server that has become read-only, and of which nothing can be read at first."""
    fetch_alone, fetch, requested = store.fetch_alone, store.fetch, list[str]()

    async def fail(pool: Pool, name: str, **values: Any) -> Any:
        requested.append(name)
        if len(requested) == 2:
            raise psycopg.errors.ReadOnlySqlTransaction
        if len(requested) == 1 and not committed:
            raise psycopg.OperationalError
        found = await fetch_alone(pool, name, **values)
        if len(requested) == 1:
            raise psycopg.OperationalError
        return found

    async def fail_once(pool: Pool, name: str, **values: Any) -> Any:
        if name == "unfolded_peaks" and "unfolded_peaks" not in requested:
            requested.append(name)
            raise psycopg.errors.UndefinedTable
        return await fetch(pool, name, **values)

    monkeypatch.setattr(store, "fetch_alone", fail)
    monkeypatch.setattr(store, "fetch", fail_once)
    monkeypatch.setattr(high_water_marks, "_PAUSE_SECONDS", 0.0)
    await desk.see(DEARER)
    again = [] if committed else ["record_peaks"]
    assert requested == ["record_peaks", "record_peaks", "unfolded_peaks", *again]
    assert (desk.known(), await desk.records()) == ([550_000, 600_000], 1)


async def test_who_was_seen_first_is_recorded_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.see(DEARER)
    monkeypatch.setattr(high_water_marks, "MAX", 1)
    for price in (600_000, 610_000):
        # The small lot has seen 0.60 before.
        desk.guard._peaks.see(book_of(((price, 1_000 * SHARE),)))
    taken = [[risen[:2] for _, risen in desk.guard._peaks.take()] for _ in range(3)]
    assert taken == [[(LARGE, 610_000)], [(SMALL, 610_000)], []]


async def _refuse(_of: object, _name: str, **_values: Any) -> Any:
    raise psycopg.errors.DataException
