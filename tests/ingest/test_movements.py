"""Merges, redemptions and conversions of a leader: told once each, and never lost in a gap."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg

from paper.venue import tape
from tests.ingest.fake import fake_venue
from tests.ingest.harness import running, until, venue
from tests.ingest.rows import LEADER as MERGING
from tests.ingest.rows import row as trade_row
from tests.ingest.test_merge import NOW, merger
from tests.ingest.world import LEADER, Tail, follow, pointing_at, replayed, row
from tradingtools.v1 import common_pb2
from tradingtools.v1 import ingest_service_pb2 as pb

CONDITION = "0x" + "cd" * 32


def held(database_url: str, leader: str, condition: str, *assets: str) -> None:
    """The followers' rows that make an exit of a condition matter."""
    with psycopg.connect(database_url) as connection:
        for asset in assets:
            connection.execute(
                "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)"
                " select follower_proxy, %s, id, %s, 1000000 from subscription where leader = %s",
                (asset, condition, leader),
            )


def movement(number: int, kind: str, **changes: Any) -> dict[str, Any]:
    """A row of the Data API's activity that happened just now."""
    return {
        "proxy_wallet": LEADER, "transaction_hash": f"0x{number:064x}", "type": kind,
        "token_id": "", "condition_id": CONDITION, "size": 4, "usdc_size": 4, "price": 0,
        "side": "", "outcome_index": 999, "timestamp": time.time_ns() // 10**9, **changes,
    }  # fmt: skip


async def test_movement_is_published_once_over_refusals_and_a_kill(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    held(database_url, LEADER, CONDITION, "7", "8")
    tail = Tail()
    async with fake_venue() as fake:
        fake.positions[LEADER] = [{"token_id": "7", "current_size": 100, "condition_id": CONDITION}]
        fake.worth[LEADER] = "500.5"
        fake.cash[LEADER] = 2_000
        fake.refusals = [429, 503, 500]
        at = {**environ, **pointing_at(fake), "TT_INGEST_POLL_MS": "200"}
        now = time.time_ns() // 10**9
        # Two in one transaction, two in one second, and one that nobody is told of.
        fake.movements = [
            movement(2, "REDEEM", token_id="7", usdc_size=0, timestamp=now),
            movement(1, "MERGE", timestamp=now),
            movement(1, "MERGE", timestamp=now),
            movement(3, "SPLIT", timestamp=now),
        ]
        fake.trades = [row(2, side="SELL", timestamp=now)]
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await tail.of_tx(1, 2)
            await tail.of_tx(2, 2)
        fake.movements.insert(0, movement(4, "CONVERSION", timestamp=now))
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            found = await tail.of_tx(4, 2)
            await until(lambda: kept(database_url))
    assert {event.asset_id for event in found} == {"7", "8"}
    assert {event.action for event in found} == {pb.LEADER_ACTION_CONVERSION}
    assert {event.side for event in tail.events} == {common_pb2.SIDE_SELL}
    assert {event.leader_equity_micros for event in found} == {2_500_500_000}
    leaving = {key[0][-1] + key[2]: shares // 10**6 for key, shares in tail.totals().items()}
    # Of transaction 2: ten sold and four redeemed.
    assert leaving == {"17": 8, "18": 8, "27": 14, "47": 4, "48": 4}


async def kept(database_url: str) -> bool:
    """Return whether the leader's account is in the database as the Data API tells it."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select equity_micros, asset_id, condition_id, shares_micros"
            " from leader_account join leader_holding using (leader) where leader = %s",
            (LEADER,),
        ).fetchall()
    return found == [(2_500_500_000, "7", CONDITION, 100_000_000)]


async def test_merge_during_an_outage_is_shown_by_the_venue(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    first = tape.load(None)[0][0].trade
    follow(database_url, first.wallet)
    tail = Tail()
    async with venue(tmp_path / "venue") as replay:
        at = {**environ, **replayed(replay), "TT_INGEST_POLL_MS": "300"}
        async with running("ingest", at, tmp_path):
            pass
        held(database_url, first.wallet, first.condition, first.asset)
        reported = {
            "type": "MERGE", "proxyWallet": first.wallet, "conditionId": first.condition,
            "size": "3", "transactionHash": f"0x{9:064x}",
        }  # fmt: skip
        await replay.notify("/move", reported)
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            (event,) = await tail.of_tx(9)
    assert (event.asset_id, event.size_micros, event.count) == (first.asset, 3_000_000, 1)
    assert event.HasField("leader_held_before_micros")


def test_a_split_moves_what_is_held_and_is_nothing_to_copy() -> None:
    state = merger()
    state.catch_up([], NOW, leader=MERGING, positions={"7": 100_000_000})
    split = trade_row(1, action="SPLIT", price_text="SPLIT", price_micros=0, size=50)
    assert state.catch_up([split], NOW) == []
    fact = state.feed(trade_row(2, side="SELL", size=30), (0, "trades"), NOW)
    assert fact is not None
    assert fact.held_before == 150_000_000


def test_equity_is_known_while_fresh_and_unknown_after() -> None:
    state = merger()
    state.weigh(MERGING, 7, NOW)
    fresh = state.feed(trade_row(1), (0, "trades"), NOW + 1)
    stale = state.feed(trade_row(2), (0, "trades"), NOW + 10**9)
    assert fresh is not None
    assert stale is not None
    assert (fresh.equity, stale.equity) == (7, None)
