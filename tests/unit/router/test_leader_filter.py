"""A leader is copied while his statistics are what his follower asks for, and no longer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from services.router.core import leader_filter
from services.router.core.caps import Skip
from services.router.core.decision_fields import decision_fields
from services.router.core.records import LotView
from services.router.core.router_state import RouterState
from services.router.leader_snapshot import LeaderSnapshot
from tests.unit.router.test_entry_plan import NOW, Follower, row, trade
from tests.unit.samples import LEADER, subscription
from tradingtools.codec.leader_facts import facts_of
from tradingtools.domain.copy_settings import (
    CopySettings,
    LeaderFilter,
    UnknownLeader,
    from_json,
    to_json,
)
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import MAX_MICROS
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription
from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis
from tradingtools.v1 import enrichment_pb2 as pb

NOW_MS = 1_000_000_000
FACTS = LeaderFacts(
    version="77", as_of_ms=NOW_MS - 1_000, trades_30d=10, win_rate_micros=400_000,
    profit_factor_micros=1_500_000, drawdown_micros=250_000, copyability_micros=-10_000,
)  # fmt: skip
EVERYTHING = LeaderFilter(
    min_trades_30d=10, min_win_rate_micros=400_000, min_profit_factor_micros=1_500_000,
    max_drawdown_micros=250_000, on_missing=UnknownLeader.COPY, max_age_seconds=60,
)  # fmt: skip


def judged(desired: LeaderFilter, facts: LeaderFacts | None = FACTS) -> Skip | None:
    return leader_filter.objection(desired, facts, NOW_MS)


def test_who_is_just_good_enough_is_copied() -> None:
    assert judged(EVERYTHING) is None
    assert judged(LeaderFilter()) is None


@pytest.mark.parametrize(
    ("desired", "detail"),
    [
        ({"min_trades_30d": 11}, "10 trades in 30 days < 11"),
        ({"min_win_rate_micros": 400_001}, "win rate 0.4 < 0.400001"),
        ({"min_profit_factor_micros": 1_500_001}, "profit factor 1.5 < 1.500001"),
        ({"max_drawdown_micros": 249_999}, "drawdown 0.25 > 0.249999"),
        ({"min_copyability_micros": 0}, "copyability -0.01 < 0"),
    ],
)
def test_value_one_micro_short_is_skipped_with_its_numbers(
    desired: dict[str, int], detail: str
) -> None:
    # Whatever becomes of what is not known: this is known.
    for on_missing in UnknownLeader:
        found = judged(LeaderFilter(**desired, on_missing=on_missing))
        assert found == Skip(Reason.LEADER_STATISTICS, f"{detail} (snapshot 77)")


@pytest.mark.parametrize(
    ("facts", "desired", "detail"),
    [
        (None, {"min_trades_30d": 0}, "no statistics of the leader"),
        (
            structs.replace(FACTS, as_of_ms=NOW_MS - 900_001),
            {"min_trades_30d": 0},
            "statistics 900001 ms old > 900000 ms (snapshot 77)",
        ),
        (
            structs.replace(FACTS, as_of_ms=NOW_MS - 60_001),
            {"min_trades_30d": 0, "max_age_seconds": 60},
            "statistics 60001 ms old > 60000 ms (snapshot 77)",
        ),
        *(
            (
                structs.replace(FACTS, **{field: None}),
                {bound: 0},
                f"{name} not known (snapshot 77)",
            )
            for field, bound, name in (
                ("win_rate_micros", "min_win_rate_micros", "win rate"),
                ("profit_factor_micros", "min_profit_factor_micros", "profit factor"),
                ("drawdown_micros", "max_drawdown_micros", "drawdown"),
                ("copyability_micros", "min_copyability_micros", "copyability"),
            )
        ),
    ],
)
def test_what_is_not_known_is_as_the_follower_says(
    facts: LeaderFacts | None, desired: dict[str, int], detail: str
) -> None:
    refused = judged(LeaderFilter(**desired), facts)  # type: ignore[arg-type]
    assert refused == Skip(Reason.LEADER_UNKNOWN, detail)
    copied = LeaderFilter(**desired, on_missing=UnknownLeader.COPY)
    assert judged(copied, facts) is None


def test_as_old_as_it_may_be_counts() -> None:
    assert judged(LeaderFilter(min_trades_30d=0), structs.replace(FACTS, as_of_ms=100_000_000))
    facts = structs.replace(FACTS, as_of_ms=NOW_MS - 900_000)
    assert judged(LeaderFilter(min_trades_30d=0), facts) is None


def _filtered(**desired: Any) -> Subscription:
    settings = CopySettings(leader=LeaderFilter(**desired))
    return replace(subscription(), settings=settings)


GOOD = structs.replace(FACTS, as_of_ms=NOW)


@pytest.mark.parametrize(
    ("follower", "facts", "version", "reason"),
    [
        (_filtered(min_trades_30d=10), GOOD, "77", Reason.NONE),
        (_filtered(min_trades_30d=11), GOOD, "77", Reason.LEADER_STATISTICS),
        (_filtered(min_trades_30d=10), None, "", Reason.LEADER_UNKNOWN),
        (_filtered(min_trades_30d=10, on_missing=UnknownLeader.COPY), None, "", Reason.NONE),
        (subscription(), GOOD, "", Reason.NONE),
    ],
)
def test_a_decision_names_its_snapshot_and_is_the_same_again(
    follower: Subscription, facts: LeaderFacts | None, version: str, reason: Reason
) -> None:
    known, again = (Follower(follower, leader=facts) for _ in range(2))
    orders = known.sees_buy(trade(row()))
    assert (known.copy.leader_version, known.copy.reason) == (version, reason)
    assert bool(orders) == (reason is Reason.NONE)
    assert (again.sees_buy(trade(row())), again.copies) == (orders, known.copies)
    (fields,) = decision_fields(trade(row()), known.copies)
    assert fields["frozen"].get("leader_version", "") == version


def test_what_is_begun_is_finished_and_a_sell_is_never_filtered() -> None:
    follower = Follower(_filtered(min_trades_30d=10), leader=GOOD)
    assert follower.sees_buy(trade(row(size=10_000_000)))
    follower.leader = structs.replace(GOOD, version="78", trades_30d=0)
    follower.sees_buy(trade(row(size=10_000_000), row(price=490_000, size=50_000_000)))
    assert follower.copy.leader_version == "77"
    assert follower.copy.reason not in (Reason.LEADER_STATISTICS, Reason.LEADER_UNKNOWN)
    selling = Follower(_filtered(min_trades_30d=10))
    lot = LotView(shares_micros=10_000_000, free_micros=10_000_000)
    assert selling.sees_sell(trade(row(Side.SELL)), lot)


def test_settings_are_stored_without_what_is_absent() -> None:
    settings = CopySettings(leader=EVERYTHING)
    stored = to_json(settings)
    assert stored["leader"]["on_missing"] == "COPY"
    assert "min_copyability_micros" not in stored["leader"]
    assert from_json(stored) == settings


def test_ratios_are_rounded_against_copying() -> None:
    long = pb.LeaderWindow(
        days=90, win_rate_low=0.1234567, profit_factor=2.0000009, largest_drawdown=0.1234561, won=1
    )
    reported = pb.LeaderStatistics(
        version="5",
        as_of_ms=9,
        score=-0.0000001,
        windows=[pb.LeaderWindow(days=30, trades=3), long],
    )
    assert facts_of(reported) == LeaderFacts(
        version="5", as_of_ms=9, trades_30d=3, win_rate_micros=123_456,
        profit_factor_micros=2_000_000, drawdown_micros=123_457, copyability_micros=-1,
    )  # fmt: skip
    assert facts_of(pb.LeaderStatistics(version="5", as_of_ms=9)) == LeaderFacts(
        version="5", as_of_ms=9
    )
    # Who never lost has any factor; of who never won it is not known.
    del reported.windows[:]
    reported.windows.append(pb.LeaderWindow(days=90, won=1))
    assert facts_of(reported).profit_factor_micros == MAX_MICROS
    reported.windows[0].won = 0
    assert facts_of(reported).profit_factor_micros is None


async def test_snapshot_follows_the_newest_version_without_redis(
    redis_url: str,
) -> None:
    state = RouterState()
    async with open_redis(redis_url) as client:
        await client.flushdb()
        # While nobody asks for statistics, nobody is asked.
        async with open_redis("redis://127.0.0.1:1") as away:
            await LeaderSnapshot(away, state).load()
        snapshot = LeaderSnapshot(client, state)
        state.index.put(_filtered(min_trades_30d=1))
        state.control_seq = 1
        await snapshot.load()
        assert state.leaders == {}
        for version in ("1", "2"):
            body = pb.LeaderStatistics(version=version, as_of_ms=7).SerializeToString()
            found = {LEADER: body, "0x1": body}
            await documents.publish(client, "leaders", version, found, stands_ms=60_000)
            await snapshot.load()
            assert state.leaders == {LEADER: LeaderFacts(version=version, as_of_ms=7)}
        # One that cannot be read is not known.
        broken = {LEADER: b"\xff"}
        await documents.publish(client, "leaders", "3", broken, stands_ms=60_000)
        await snapshot.load()
        assert state.leaders == {}
        await documents.publish(client, "leaders", "4", found, stands_ms=60_000)
        await snapshot.load()
        await client.flushdb()
        await snapshot.load()
        # What was read last stays until it is too old.
        assert state.leaders[LEADER] == LeaderFacts(version="2", as_of_ms=7)


async def test_a_redis_that_hangs_holds_up_nobody() -> None:
    state = RouterState()
    state.index.put(_filtered(min_trades_30d=1))

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with hanging:
        port = hanging.sockets[0].getsockname()[1]
        async with open_redis(f"redis://127.0.0.1:{port}") as client, asyncio.timeout(30):
            await LeaderSnapshot(client, state).load()
    assert state.leaders == {}
