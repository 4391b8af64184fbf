"""Enrichment computes what its source says and how old that is, and records what happens once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.enrichment.core.leader_statistics import leader_statistics
from services.enrichment.core.values import Activity, Market
from tests.enrichment.world import Trade, World, eventually, world
from tradingtools.storage.analytics.clickhouse import ClickHouse

A, B = "0x" + "a" * 40, "0x" + "b" * 40
CONDITION = "0x" + "c" * 64
YES, NO = "111", "222"
DAY_MS = 86_400_000


class _MarketRow(msgspec.Struct, frozen=True, kw_only=True):
    condition_id: str
    asset_ids: str
    category: str = "sports"
    payouts: str = ""
    resolved_ms: int = 0
    read_ms: int = 1


class _Number(msgspec.Struct, frozen=True):
    number: int


class _Fill(msgspec.Struct, frozen=True):
    slippage: int
    price: int


class _Decision(msgspec.Struct, frozen=True):
    journal_seq: int
    subscription_id: str
    copied: int
    reason: str


@pytest.fixture
async def around(
    database_url: str, redis_url: str, server: str, writer: ClickHouse, tmp_path: Path
) -> AsyncIterator[World]:
    """What is around the process; ClickHouse is empty."""
    async with world(database_url, redis_url, server, tmp_path) as made:
        yield made


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def trades(wallet: str, at_ms: int) -> list[Trade]:
    """A leader who bought and sold half of it; his market has paid."""
    return [
        Trade(wallet=wallet, tx="0x1", asset_id=YES, condition_id=CONDITION, price="0.41",
              size="100.5", traded_ms=at_ms),
        Trade(wallet=wallet, tx="0x2", asset_id=YES, condition_id=CONDITION, price="0.523457",
              size="50.25", side="SELL", traded_ms=at_ms + 60_000, role="MAKER"),
    ]  # fmt: skip


async def test_documents_are_what_the_formulas_say_of_the_source(around: World) -> None:
    at_ms = now_ms() - 3 * DAY_MS
    rows = trades(A, at_ms)
    await around.trades(*rows)
    market = _MarketRow(
        condition_id=CONDITION, asset_ids=f"{YES},{NO}", payouts="1,0", resolved_ms=at_ms + DAY_MS
    )
    await around.put("markets", [market])
    around.start()
    await eventually(lambda: _there(around, A), "the first document")
    found = await around.leader(A)
    assert found is not None
    expected = leader_statistics(
        A,
        [
            Activity(tx="0x1", condition_id=CONDITION, asset_id=YES, side="BUY",
                     size_micros=100_500_000, price_micros=410_000, at_ms=at_ms, maker=False),
            Activity(tx="0x2", condition_id=CONDITION, asset_id=YES, side="SELL",
                     size_micros=50_250_000, price_micros=523_457, at_ms=at_ms + 60_000,
                     maker=True),
        ],
        {
            CONDITION: Market(
                condition_id=CONDITION, asset_ids=(YES, NO), category="sports",
                payout_micros=(1_000_000, 0), resolved_ms=at_ms + DAY_MS,
            )
        },
        as_of_ms=found.as_of_ms,
    )  # fmt: skip
    reported, desired = found.windows[-1], expected.windows[-1]
    assert desired.realised_micros == reported.realised_micros > 0
    assert (reported.trades, reported.resolved, reported.won) == (2, 1, 1)
    assert reported.roi == pytest.approx(desired.roi, abs=1e-12)
    assert found.maker_micros == expected.maker_micros
    assert [c.category for c in found.categories] == ["sports"]
    # And it goes on being computed.
    await eventually(lambda: _newer(around, A, found.as_of_ms), "a newer one")
    assert await around.healthy()


async def _there(around: World, wallet: str) -> bool:
    return await around.leader(wallet) is not None


async def _newer(around: World, wallet: str, than_ms: int) -> bool:
    found = await around.leader(wallet)
    return found is not None and found.as_of_ms > than_ms


@pytest.mark.parametrize("fault", ["away", "slow", "wrong types", "empty"])
async def test_a_source_in_trouble_lets_the_cache_age_and_says_so(
    around: World, fault: str
) -> None:
    await around.trades(*trades(A, now_ms() - DAY_MS))
    around.start()
    await eventually(lambda: _there(around, A), "the first document")
    await eventually(lambda: _healthy(around), "it is well")
    await around.fault("reader", fault)
    # What was under way when the fault came may still be told.
    await eventually(lambda: _unhealthy(around), "it is told")
    before = await around.leader(A)
    assert before is not None
    assert before.windows[-1].trades == 2
    assert await around.metric("enrichment_age_seconds") >= 4
    # Nothing else notices: what happens is recorded meanwhile.
    around.log.notify("engine.started", "processes/x")
    await eventually(lambda: _events(around, 1), "the event")
    if fault == "empty":
        # Who trades is asked each 5 s.
        await eventually(lambda: _aged(around, 11), "nobody was dropped meanwhile")
    assert await around.leader(A) == before
    await around.fault("reader", "none")
    await eventually(lambda: _newer(around, A, before.as_of_ms), "a new one")
    await eventually(lambda: _healthy(around), "it is well")


async def _unhealthy(around: World) -> bool:
    return await around.healthy() is False


async def _aged(around: World, seconds: float) -> bool:
    return await around.metric("enrichment_age_seconds") >= seconds


async def _healthy(around: World) -> bool:
    return await around.healthy() is True


async def _events(around: World, desired: int) -> bool:
    return await _count(around, "events") == desired


async def _count(around: World, table: str) -> int:
    sql = f"select count() as number from tradingtools.{table} final"
    (row,) = await around.ask(sql, _Number)
    return row.number


async def test_a_role_that_may_write_is_not_used(around: World) -> None:
    await around.trades(*trades(A, now_ms() - DAY_MS))
    around.start(TT_CLICKHOUSE_URL=around.environment["TT_CLICKHOUSE_OWN_URL"])
    await eventually(lambda: "it is not used" in around.said(), "it is told")
    assert await around.leader(A) is None


async def test_what_was_told_is_in_the_store_once_whoever_dies(around: World) -> None:
    """Trades and fills with slippage, events behind them; a store that is away is caught up."""
    _send_trade(around)
    around.start()
    await eventually(lambda: _events(around, 1), "the first event")
    around.kill()
    _send_fill(around, "t1", size="10", notional="4.2")
    around.start()
    await eventually(lambda: _events(around, 2), "the second event")
    await around.fault("writer", "away")
    _send_fill(around, "t2", size="5", notional="1.9", side="SELL")
    around.log.notify("order.filled", "orders/1", what="no order")
    await eventually(lambda: "waiting for the analytical store" in around.said(), "it waits")
    assert await around.metric("analytics_events_behind") >= 1
    around.kill()
    await around.fault("writer", "none")
    around.start()
    await eventually(lambda: _events(around, 4), "all events")
    rows = await around.ask(
        "select slippage_micros as slippage, leader_price_micros as price"
        " from tradingtools.fills final where slippage_micros is not null",
        _Fill,
    )
    # Bought 10 at 0.42 where he paid 0.41: 0.1 worse. Nothing is known of his sell.
    assert rows == [_Fill(100_000, 410_000)]
    sql = "select count() as number from tradingtools.fills final where slippage_micros is null"
    assert await around.ask(sql, _Number) == [_Number(1)]
    assert await _count(around, "leader_trades") == 1
    await eventually(lambda: _caught_up(around), "it is not behind")
    assert await around.metric("analytics_unreadable_total") == 1


async def _caught_up(around: World) -> bool:
    return await around.metric("analytics_events_behind") == 0


def _send_trade(around: World) -> None:
    around.log.notify(
        "leader.traded", "leaders/x", leader=A, leaderTx="0x9", conditionId=CONDITION,
        assetId=YES, side="BUY", size="20", price="0.41", count=1, source="FEED", tradedMs=1,
    )  # fmt: skip


def _send_fill(
    around: World, trade_id: str, *, size: str, notional: str, side: str = "BUY"
) -> None:
    around.log.notify(
        "order.partially_filled", "orders/1", orderId="1", purpose="ENTRY",
        follower={"followerProxy": B}, conditionId=CONDITION, assetId=YES, side=side, size="20",
        limit="0.5", state="SUBMITTED", leader=A, leaderTx="0x9", subscriptionId="sub_1",
        fill={"tradeId": trade_id, "size": size, "notional": notional, "fee": "0.01"},
    )  # fmt: skip


async def test_decisions_are_taken_from_the_journal_up_to_the_log(around: World) -> None:
    around.sql("update event_log_position set log_number = 0")
    for seq, copied, reason in ((11, True, ""), (12, False, "SPREAD"), (13, False, "LATER")):
        payload = {"orders": [], "rows": [], "decisions": [_decision(copied, reason)]}
        around.sql(
            "insert into journal (seq, kind, role, record_key, partition, epoch, payload,"
            " order_count, rows_built_at) values (%s, 'CLAIMED', 'router', %s, 0, 1, %s, 0, now())",
            seq, f"k{seq}", msgspec.json.encode(payload),
        )  # fmt: skip
    around.sql("update event_log_position set log_number = 12")
    around.start()
    await eventually(lambda: _decisions(around, 2), "both decisions")
    around.kill()
    around.start()
    around.sql("update event_log_position set log_number = 13")
    around.log.notify("copy.skipped", "subscriptions/sub_1")
    await eventually(lambda: _decisions(around, 3), "the third")
    rows = await around.ask(
        "select journal_seq, subscription_id, copied, reason from tradingtools.decisions final"
        " order by journal_seq",
        _Decision,
    )
    assert rows == [
        _Decision(11, "sub_1", 1, ""),
        _Decision(12, "sub_1", 0, "SPREAD"),
        _Decision(13, "sub_1", 0, "LATER"),
    ]


async def _decisions(around: World, desired: int) -> bool:
    return await _count(around, "decisions") == desired


def _decision(copied: bool, reason: str) -> dict[str, object]:
    return {
        "leader_tx": "0x9", "leader": A, "asset_id": YES, "side": "BUY",
        "subscription_id": "sub_1", "condition_id": CONDITION, "follower_proxy": B,
        "copied": copied, "reason": reason, "detail": "", "leader_size_micros": 1,
        "leader_notional_micros": 1, "ordered_size_micros": 0, "frozen": {"x": 1},
        "order_keys": [], "title": "",
    }  # fmt: skip
