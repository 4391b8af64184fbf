"""The Data API and Gamma against the field lists of the venue, and bad parameters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paper.venue import tape
from tests.paper_venue.harness import LEADER, Live, row, venue

ROWS, _ = tape.load(None)
ASSET = ROWS[0].trade.asset
TRADE = {
    *("proxyWallet", "side", "asset", "conditionId", "size", "price", "timestamp", "title"),
    *("slug", "icon", "eventSlug", "outcome", "outcomeIndex", "name", "pseudonym", "bio"),
    *("profileImage", "profileImageOptimized", "transactionHash"),
}
POSITION = {
    *("asset", "avgPrice", "cashPnl", "conditionId", "curPrice", "currentValue", "endDate"),
    *("eventId", "eventSlug", "initialValue", "mergeable", "negativeRisk", "oppositeAsset"),
    *("oppositeOutcome", "outcome", "outcomeIndex", "percentPnl", "percentRealizedPnl"),
    *("proxyWallet", "realizedPnl", "redeemable", "size", "slug", "title", "totalBought"),
}


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A venue in which the first rows of the tape were played and paused at."""
    async with venue(tmp_path, repeat="true", mean_gap_ms="20") as running:
        await running.notify("/start")
        await running.state_where(lambda state: state["rows_played"] >= 40)
        await running.notify("/pause")
        yield running


async def test_every_played_row_is_shown_once_indexed(live: Live) -> None:
    played = (await live.state())["rows_played"]
    early = await live.get("/data/trades", limit=10_000, takerOnly="false")
    assert len(early) < played
    found = await wait_for_all(live, played)
    assert all(one.keys() == TRADE for one in found)
    shown = sorted((one["transactionHash"], str(one["price"]), one["asset"]) for one in found)
    expected = sorted(
        (r.trade.tx, str(float(r.trade.price_text)), r.trade.asset) for r in ROWS[:played]
    )
    assert shown == expected
    stamps = [one["timestamp"] for one in found]
    assert stamps == sorted(stamps, reverse=True)
    takers = await live.get("/data/trades", limit=10_000)
    assert 0 < len(takers) < len(found)


async def wait_for_all(live: Live, played: int) -> list[Any]:
    """The trades once the indexer has seen every one that was played."""
    for _ in range(500):
        found = await live.get("/data/trades", limit=10_000, takerOnly="false")
        if len(found) == played:
            return list(found)
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(found)} of {played} rows were shown")


async def test_the_journal_says_what_was_asked_in_the_order_of_arrival(live: Live) -> None:
    await live.get("/clob/book", token_id=ASSET)
    await live.get("/gamma/markets/keyset", limit=1)
    requested = (await live.control.get("/questions")).json()["questions"]
    assert [(one["path"], one["query"], one["answered"]) for one in requested] == [
        ("/clob/book", f"token_id={ASSET}", True),
        ("/gamma/markets/keyset", "limit=1", True),
    ]


async def test_activity_pages_and_filters(live: Live) -> None:
    await wait_for_all(live, (await live.state())["rows_played"])
    everything = await live.get("/data/activity", user=LEADER, limit=500)
    assert all(one.keys() == TRADE | {"type", "usdcSize"} for one in everything)
    assert {one["proxyWallet"] for one in everything} == {LEADER}
    pages = [
        await live.get("/data/activity", user=LEADER, limit=2, offset=offset)
        for offset in range(0, len(everything), 2)
    ]
    assert [one for page in pages for one in page] == everything
    ascending = await live.get("/data/activity", user=LEADER, sortDirection="ASC")
    assert ascending == everything[::-1]
    newest = everything[0]["timestamp"]
    later = await live.get("/data/activity", user=LEADER, start=newest + 1)
    assert later == []
    assert await live.get("/data/activity", user=LEADER, end=newest) == everything
    assert await live.get("/data/activity", user=LEADER, type="REDEEM") == []
    buys = await live.get("/data/activity", user=LEADER.upper().replace("X", "x"), side="BUY")
    assert buys == [one for one in everything if one["side"] == "BUY"]


async def test_v2_is_in_snake_case_and_its_cursor_walks_all(live: Live) -> None:
    played = (await live.state())["rows_played"]
    await wait_for_all(live, played)
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await live.get("/data/v2/trades", limit=7, taker_only="false", **cursor)
        assert page.keys() == {"data", "pagination"}
        assert page["pagination"].keys() == {"limit", "offset", "has_more", "next_cursor"}
        found += page["data"]
        if not page["pagination"]["has_more"]:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
    assert len(found) == played
    assert {"proxy_wallet", "condition_id", "outcome_index", "transaction_hash"} <= found[0].keys()
    takers = (await live.get("/data/v2/trades", limit=1000))["data"]
    assert 0 < len(takers) < played
    activity = await live.get("/data/v2/activity", user=LEADER)
    assert {one["type"] for one in activity["data"]} == {"TRADE"}
    status = await live.get("/data/v2/status")
    assert status["data"]["indexer_lag_seconds"] == 0


async def test_positions_follow_the_trades_that_were_played(live: Live) -> None:
    await wait_for_all(live, (await live.state())["rows_played"])
    before = await live.get("/data/positions", user=LEADER, limit=500, sizeThreshold=0)
    assert all(one.keys() - {"icon"} == POSITION for one in before)
    held = {one["asset"]: one["size"] for one in before}
    first = ROWS[0].trade
    sale = row(asset=ASSET, conditionId=first.condition, side="SELL", size=10, price=0.3)
    await live.notify("/inject", sale)
    await wait_for_all(live, (await live.state())["rows_played"])
    after = await live.get("/data/positions", user=LEADER, limit=500, sizeThreshold=0)
    sold = {one["asset"]: one["size"] for one in after}
    assert held[ASSET] - sold[ASSET] == pytest.approx(10)
    large = await live.get("/data/positions", user=LEADER, limit=500, sizeThreshold=100)
    assert [one for one in large if one["size"] < 100] == []
    v2 = await live.get("/data/v2/positions", user=LEADER, limit=500)
    assert {one["token_id"]: one["current_size"] for one in v2["data"]} == sold
    [value] = await live.get("/data/value", user=LEADER)
    assert value["user"] == LEADER
    assert value["value"] == pytest.approx(sum(one["currentValue"] for one in after), rel=0.05)


async def test_a_resolved_position_is_redeemable(live: Live) -> None:
    await wait_for_all(live, (await live.state())["rows_played"])
    await live.notify(f"/resolve/{ROWS[0].trade.condition}", {"payouts": ["0.5", "0.5"]})
    query = {"user": LEADER, "limit": 500, "market": ROWS[0].trade.condition}
    [position] = await live.get("/data/positions", **query)
    assert (position["redeemable"], position["curPrice"]) == (True, 0.5)
    redeemable = await live.get("/data/v2/positions", user=LEADER, status="REDEEMABLE")
    assert [one["token_id"] for one in redeemable["data"]] == [ASSET]
    still_held = await live.get("/data/v2/positions", user=LEADER, limit=500)
    assert {one["token_id"]: one["status"] for one in still_held["data"]}[ASSET] == "REDEEMABLE"


async def test_gamma_hides_arrays_in_strings_and_walks_by_keyset(live: Live) -> None:
    [market] = await live.get("/gamma/markets", condition_ids=ROWS[0].trade.condition)
    tokens = msgspec.json.decode(market["clobTokenIds"])
    assert tokens[0] == ASSET
    assert msgspec.json.decode(market["outcomes"]) == ["Yes", "No"]
    assert all(isinstance(p, str) for p in msgspec.json.decode(market["outcomePrices"]))
    assert {
        *("conditionId", "questionID", "negRisk", "enableOrderBook", "acceptingOrders", "active"),
        *("closed", "endDate", "gameStartTime", "secondsDelay", "orderPriceMinTickSize"),
        *("orderMinSize", "feesEnabled", "feeType", "feeSchedule", "umaResolutionStatus"),
        *("positionIds", "version"),
    } <= market.keys()
    assert market["feeSchedule"].keys() == {"exponent", "rate", "takerOnly", "rebateRate"}
    both = await live.get("/gamma/markets", clob_token_ids=[tokens[0], tokens[1]])
    assert both == [market]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await live.get("/gamma/markets/keyset", limit=100, **cursor)
        seen += [one["conditionId"] for one in page["markets"]]
        if not page["next_cursor"]:
            break
        cursor = {"after_cursor": page["next_cursor"]}
    assert len(seen) == len(set(seen)) == 697 + 200


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/data/activity", "user"),
        ("/data/activity?user=0x12", "user"),
        (f"/data/activity?user={LEADER}&limit=x", "limit"),
        (f"/data/activity?user={LEADER}&type=THEFT", "type"),
        (f"/data/trades?user={LEADER}&offset=-1", "offset"),
        (f"/data/trades?user={LEADER}&side=HOLD", "side"),
        (f"/data/trades?user={LEADER}&takerOnly=maybe", "takerOnly"),
        (f"/data/positions?user={LEADER}&sizeThreshold=NaN", "sizeThreshold"),
        ("/data/v2/trades?cursor=!", "cursor"),
        (f"/data/v2/positions?user={LEADER}&status=GONE", "status"),
        ("/gamma/markets?closed=no", "closed"),
        ("/gamma/markets/keyset?after_cursor=x", "after_cursor"),
        ("/clob/price?token_id=1", "side"),
    ],
)
async def test_a_bad_parameter_is_named(tmp_path: Path, path: str, named: str) -> None:
    async with venue(tmp_path) as running:
        answer = await running.http.get(path)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(f"{named}:")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (row(price="NaN"), "price"),
        (row(size=0), "size"),
        (row(side="HOLD"), "side"),
        (row(asset=ASSET), "conditionId"),
        (row(conditionId=ROWS[0].trade.condition), "asset"),
        ({}, "proxyWallet"),
    ],
)
async def test_a_bad_injection_is_named(tmp_path: Path, body: Any, named: str) -> None:
    async with venue(tmp_path) as running:
        answer = await running.control.post("/inject", json=body)
        assert answer.status_code == 400
        assert named in answer.json()["error"]
        assert (await running.state())["rows_played"] == 0
