"""Both forms of the analytical store answer the same queries alike, and take a row twice as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from services.enrichment.core.recording import EventRow, FillRow, LeaderBookRow, MarkRow
from services.enrichment.source import QUERIES, SOURCE, Source, relations
from tests.enrichment.conftest import as_role
from tradingtools import clock
from tradingtools.domain.errors import Unavailable
from tradingtools.storage.analytics import clickhouse, embedded
from tradingtools.storage.analytics.clickhouse import ClickHouse
from tradingtools.storage.analytics.embedded import Embedded
from tradingtools.storage.analytics.port import Store, WrongTypes

NASTY = "a'b\"c\\d\te\nf{x:String} ; -- é ᴺ"


HOUR = clock.now_ms() // 3_600_000 * 3_600_000
NEXT = HOUR + 3_600_000


class _Number(msgspec.Struct, frozen=True):
    number: int


class _Text(msgspec.Struct, frozen=True):
    text: str


def event(number: int, data: str = "{}") -> EventRow:
    return EventRow(
        number=number, id=f"evt_{number}_0", type="order.filled", subject="orders/1",
        at_ms=number, traceparent="", data=data,
    )  # fmt: skip


def fill(number: int, slippage: int | None) -> FillRow:
    return FillRow(
        event_number=number, at_ms=1, order_id="o", trade_id="t", purpose="ENTRY",
        subscription_id="s", follower_proxy="f", leader="l", leader_tx="x", condition_id="c",
        asset_id="a", side="BUY", size_micros=2**62, notional_micros=1, fee_micros=0,
        slippage_micros=slippage,
    )  # fmt: skip


async def count(db: Store, table: str) -> int:
    (row,) = await db.rows(
        f"select count(*) as number from tradingtools.{table} final", {}, _Number
    )
    return row.number


async def test_a_row_that_comes_twice_is_one(analytics: Store) -> None:
    assert await analytics.rows(QUERIES["last_event"], {}, _Number) == [_Number(0)]
    for _ in range(2):
        await analytics.insert("events", [event(1), event(2)])
    await analytics.insert("events", [event(2), event(3)])
    await analytics.insert("events", [])
    assert await count(analytics, "events") == 3
    assert await analytics.rows(QUERIES["last_event"], {}, _Number) == [_Number(3)]


async def test_what_is_absent_and_what_is_large_stay_so(analytics: Store) -> None:
    await analytics.insert("fills", [fill(1, None), fill(2, -7)])
    sql = """select event_number as number from tradingtools.fills final
             where slippage_micros is null and size_micros = {size:Int64}"""
    assert await analytics.rows(sql, {"size": 2**62}, _Number) == [_Number(1)]


async def test_text_is_told_as_it_is(analytics: Store) -> None:
    await analytics.insert("events", [event(1, NASTY), event(2)])
    for sql, values in (
        ("select data as text from tradingtools.events where data = {x:String}", {"x": NASTY}),
        (
            "select data as text from tradingtools.events where data in {x:Array(String)}",
            {"x": ["", NASTY]},
        ),
    ):
        assert await analytics.rows(sql, values, _Text) == [_Text(NASTY)]


async def test_another_type_is_an_error_and_no_figure(analytics: Store) -> None:
    for sql in ("select 'x' as number", "select '1.5' as number", "select null as number",
                "select '' as number", "select 1 as other"):  # fmt: skip
        with pytest.raises(WrongTypes):
            await analytics.rows(sql, {}, _Number)
    for sql in ("select nothing from nowhere", "select"):
        with pytest.raises(Unavailable):
            await analytics.rows(sql, {}, _Number)


async def test_every_query_is_answered_by_both(analytics: Store) -> None:
    """And of a store that has nothing, with nothing."""
    source = Source(analytics, analytics, relations(SOURCE))
    assert await source.activity("0x1", 10) == []
    assert await source.candidates(0, 10) == []
    assert await source.market_rows(["0x1", "0x2"]) == []
    await analytics.insert(
        "marks",
        [
            MarkRow(asset_id="a", at_ms=at, bid_micros=1, ask_micros=3, mark_micros=m, fresh=1)
            for at, m in ((HOUR, 5), (HOUR + 7, 6), (NEXT, 7), (NEXT + 1, -1))
        ],
    )
    assert await source.marks(["a", "b"]) == {"a": [(HOUR + 7, 6), (NEXT, 7)]}
    book = LeaderBookRow(
        leader="0x1", leader_tx="0x2", asset_id="a", delay_seconds=3, at_ms=1, asks="5 7\n6 8"
    )
    await analytics.insert("leader_books", [book, book])
    assert await source.books("0x1") == {("0x2", "a"): {3: [(5, 7), (6, 8)]}}
    assert await analytics.rows(QUERIES["last_decision"], {}, _Number) == [_Number(0)]
    values = {"leader": "l", "tx": "x", "asset": "a", "side": "BUY"}
    assert await analytics.rows(QUERIES["leader_price"], values, _Number) == []


async def test_embedded_store_survives_a_kill_with_a_row_or_none(tmp_path: Path) -> None:
    async with embedded.opened(tmp_path, timeout_seconds=30) as db:
        await db.prepare()
        await db.insert("events", [event(1)])
        with pytest.raises(Unavailable):
            await db.insert("events", [event(2), msgspec.structs.replace(event(3), number="x")])
        # As it is on the disk while nobody has closed it.
        async with embedded.opened(tmp_path, timeout_seconds=30) as other:
            assert await count(other, "events") == 1


async def test_a_query_that_takes_too_long_ends(tmp_path: Path) -> None:
    async with embedded.opened(tmp_path, timeout_seconds=0.05) as db:
        await db.prepare()
        endless = """with recursive n(number) as (select 1 union all select number + 1 from n)
                     select max(number) as number from n"""
        async with asyncio.timeout(30):
            with pytest.raises(Unavailable, match="interrupted"):
                await db.rows(endless, {}, _Number)
        # And the next one is answered.
        assert await db.rows(QUERIES["last_event"], {}, _Number) == [_Number(0)]


async def test_the_role_that_reads_can_do_nothing_else(
    reader: ClickHouse, writer: ClickHouse
) -> None:
    await writer.insert("events", [event(1)])
    for statement in (
        "insert into tradingtools.events values (2, '', '', '', 0, '', '')",
        "drop table tradingtools.events",
        "truncate table tradingtools.events",
        "alter table tradingtools.events delete where 1",
        "create table polymarket.x (a Int8) engine = Memory",
        "create temporary table x (a Int8)",
        "set readonly = 0",
        "set max_execution_time = 0",
        "select 1 settings readonly = 0",
        "select 1 settings max_execution_time = 0",
    ):
        with pytest.raises(Unavailable, match="Code: 164"):
            await reader._post(statement.encode(), {})
    with pytest.raises(Unavailable, match="Code: 396"):
        await reader.rows("select number from numbers(1000001)", {}, _Number)
    assert await reader.rows(QUERIES["last_event"], {}, _Number) == [_Number(1)]


async def test_a_server_that_is_no_clickhouse_is_unavailable(server: str) -> None:
    for url in (
        "http://127.0.0.1:1",
        as_role(server, "nobody"),
        as_role(server, "reader").replace("paper", "guessed"),
        as_role(server, "reader") + "/elsewhere",
    ):
        async with clickhouse.connected(url, timeout_seconds=5) as db:
            with pytest.raises(Unavailable) as reported:
                await db.rows("select 1 as number", {}, _Number)
            assert "guessed" not in str(reported.value)


async def test_tables_are_taken_by_their_names_alone(tmp_path: Path) -> None:
    async with embedded.opened(tmp_path, timeout_seconds=5) as db:
        await db.prepare()
        with pytest.raises(ValueError, match="no table"):
            await Embedded.insert(db, "events (number) values (1); --", [event(1)])
