"""A subscription's series is its ledger, to the micro, at every hour of a day."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from services.control.quality import keeping
from services.control.store import Store, queries
from tests.control.a_day import Day
from tests.control.edge import READ, RunningEdge
from tests.control.requests import ASSET, Database, create_subscription, error_of, put_lot
from tradingtools.domain.book import Book, BookStatus, Market
from tradingtools.domain.money import parse_exact, to_text
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.storage.redis.client import open_redis

HOUR = 3_600
Wallet = Callable[[], str]
_SQL = queries("quality/queries")


@pytest.fixture
def ledger(database_url: str) -> Iterator[Database]:
    """A database that nobody folds but the test."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def _series(edge: RunningEdge, identifier: str, **query: Any) -> list[dict[str, str]]:
    answer = edge.call("GET", f"/subscriptions/{identifier}/performance", READ, params=query)
    assert answer.status_code == 200, answer.text
    points: list[dict[str, str]] = answer.json()["points"]
    return points


def _started(database: Database, identifier: str, at_s: int) -> None:
    database.execute(
        "update subscription set created_at = to_timestamp(%s) where id = %s", [at_s, identifier]
    )


def test_a_day_is_the_ledger_at_every_hour(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """Trades, undone ones, payouts and corrections, while hours are folded beside it."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    end = int(time.time()) // HOUR * HOUR
    begin = end - 24 * HOUR
    _started(database, identifier, begin)
    day, when = Day(database, proxy, identifier, 7), Random(7)  # noqa: S311
    for at_s in sorted(when.randrange(begin, end) for _ in range(150)):
        day.step(at_s)
    points = _series(edge, identifier, fromMs=begin * 1000)
    ends = [begin + HOUR * number for number in range(1, 25)]
    assert [point["at"] for point in points[:24]] == [_text(at_s) for at_s in ends]
    for point, at_s in zip(points, [*ends, end + HOUR], strict=True):
        before = [booked for booked in day.journal if booked.at_s < at_s]
        sums = Counter[str]()
        for booked in before:
            sums.update(booked.sums)
        assert parse_exact(point["realised"]) == sums["realised"]
        assert parse_exact(point["fees"]) == sums["fee"]
        assert parse_exact(point["bought"]) == sums["bought_notional"]
        assert parse_exact(point["sold"]) == sums["sold_notional"]
        assert parse_exact(point["payouts"]) == sums["payout"]
        newest = {booked.asset_id: booked.cost_micros for booked in before}
        assert parse_exact(point["openCost"]) == sum(newest.values())
    statistics = edge.call("GET", f"/subscriptions/{identifier}", READ).json()["statistics"]
    for field in ("realised", "fees", "bought", "sold", "payouts", "openCost"):
        assert points[-1][field] == statistics[field]
    assert not any("equity" in point for point in points if point["openCost"] != "0")


def _text(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def test_hours_add_up_wherever_the_fold_is(ledger: Database) -> None:
    """After each booking, whatever part of them is folded."""
    identifier = "sub_" + "0" * 32
    day, when = Day(ledger, "0x" + "5b" * 20, identifier, 3), Random(3)  # noqa: S311
    for number in range(60):
        day.step(1_800_000_000 + number * 400)
        if when.random() < 0.4:
            ledger.execute(_SQL["fold"], {"limit": when.choice([1, 2, 100])})
        assert ledger.execute(_SQL["differences"]).fetchall() == []
    while ledger.execute(_SQL["fold"], {"limit": 7}).fetchone() != {"folded": 0}:
        pass
    assert ledger.execute(_SQL["differences"]).fetchall() == []
    assert ledger.execute("select count(*) as n from lot_hour_unkept").fetchone() == {"n": 0}


def test_what_is_held_counts_at_the_bids_of_its_hour(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """An hour without a bid has no equity; the highest one before it is what a fall is from."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    end = int(time.time()) // HOUR * HOUR
    _started(database, identifier, end - 5 * HOUR)
    day = Day(database, proxy, identifier, 1)
    day.step(end - 5 * HOUR)
    (held,) = day.journal
    for number, bid in ((4, 600_000), (3, 450_000), (1, 500_000)):
        database.execute(
            "insert into mark_hour values (%s, to_timestamp(%s), %s)",
            [held.asset_id, end - number * HOUR, bid],
        )
    points = {point["at"]: point for point in _series(edge, identifier)}
    worth = {
        number: held.shares_micros * bid // 1_000_000
        for number, bid in ((3, 600_000), (2, 450_000), (0, 500_000))
    }
    peak = 0  # With which it began.
    for number in (3, 2, 1, 0):
        point = points[_text(end - number * HOUR)]
        assert "drawdown" in point or number == 1
        if number == 1:
            assert "equity" not in point
            continue
        marked = worth[number] - held.cost_micros
        assert parse_exact(point["marked"]) == marked
        equity = held.sums["realised"] + marked - held.sums["fee"]
        assert point["equity"] == to_text(equity)
        peak = max(peak, equity)
        assert point["drawdown"] == to_text(peak - equity)
    assert "equity" not in points[_text(end - 4 * HOUR)]


def test_lots_without_a_booking_count_from_the_beginning(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """As a migration has made them: the last point is the ledger all the same."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    end = int(time.time()) // HOUR * HOUR
    _started(database, identifier, end - 2 * HOUR)
    put_lot(database, proxy, identifier, asset_id=ASSET)
    first, *others = _series(edge, identifier)
    assert (first["realised"], first["openCost"], first["equity"]) == ("0", "0", "0")
    for point in others:
        assert (point["realised"], point["openCost"], point["fees"]) == ("-0.38", "20", "0.12")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"interval": "5m"}, "interval"),
        ({"fromMs": 0}, "fromMs"),
        ({"toMs": -1}, "toMs"),
    ],
)
def test_what_is_refused(
    edge: RunningEdge, wallet: Wallet, query: dict[str, Any], field: str
) -> None:
    """The answer names the field."""
    identifier = create_subscription(edge, wallet())["id"]
    answer = edge.call("GET", f"/subscriptions/{identifier}/performance", READ, params=query)
    status, reason, metadata = error_of(answer)
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_of_nobody(edge: RunningEdge) -> None:
    """There is no such subscription."""
    answer = edge.call("GET", f"/subscriptions/sub_{'9' * 32}/performance", READ)
    assert error_of(answer)[:2] == (404, "NOT_FOUND")


def _book(asset_id: str, bids: tuple[tuple[int, int], ...], **changes: Any) -> Book:
    market = Market(
        asset_id=asset_id, condition_id="c", tick_micros=10_000, min_size_micros=1,
        fee_rate_micros=0, closed=False, payout_micros=changes.pop("payout_micros", None),
    )  # fmt: skip
    status = changes.get("status", BookStatus.FRESH)
    return Book(market=market, status=status, bids=bids, asks=(), book_ms=0)


async def test_bids_of_what_is_held_are_noted(ledger: Database, database_url: str) -> None:
    """The last look of an hour stands; a doubtful book is no look, and a payout is one for ever."""
    level = ((400_000, 5),)
    books = {
        "1": _book("1", level),
        "2": _book("2", ()),
        "3": _book("3", level, status=BookStatus.STALE),
        "4": _book("4", (), payout_micros=1_000_000),
        "6": _book("6", level),
    }
    for asset in "12345":
        put_lot(ledger, "0x" + "5c" * 20, "sub_" + "1" * 32, asset_id=asset)
    put_lot(ledger, "0x" + "5c" * 20, "sub_" + "1" * 32, asset_id="6", shares_micros=0)
    async with (
        open_pool(database_url, name="marks", size=2) as pool,
        open_redis("redis://127.0.0.1:1") as client,
    ):
        store = Store(pool, client, changes=pool)
        await keeping.note(store, books.get, 7_200_000)
        books["1"] = _book("1", ((450_000, 5),))
        await keeping.note(store, books.get, 10_799_999)
        del books["1"]
        await keeping.note(store, books.get, 10_800_000)
    rows = ledger.execute(
        "select asset_id, extract(epoch from hour)::int as at, bid_micros"
        " from mark_hour order by 2, 1"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("1", 7_200, 450_000), ("2", 7_200, 0), ("4", 7_200, 1_000_000),
        ("2", 10_800, 0), ("4", 10_800, 1_000_000),
    ]  # fmt: skip
