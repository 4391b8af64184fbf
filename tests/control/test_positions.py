"""Positions and profit over REST: sums of real rows, worth by a real stream of marks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.control.edge import READ, RunningEdge, running_edge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    create_subscription,
    error_of,
    put_decision,
    put_lot,
    put_order,
)
from tests.money_path import upstream
from tradingtools.codec.marks import columns
from tradingtools.domain.money import parse_exact
from tradingtools.v1 import bookfeed_service_pb2 as books

Wallet = Callable[[], str]
MICROS = 1_000_000


def mark(asset: str, *bids: tuple[str, int], **more: Any) -> books.Mark:
    """A mark with bids at these prices."""
    return books.Mark(
        asset_id=asset,
        **columns([(parse_exact(price), size) for price, size in bids]),
        status=more.pop("status", books.BOOK_STATUS_FRESH),
        market=books.MarketInfo(asset_id=asset, condition_id=CONDITION, **more),
    )


async def _until(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 60
    while not holds(answer := await asyncio.to_thread(ask)):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


def _page(edge: RunningEdge, identifier: str, **query: Any) -> dict[str, Any]:
    answer = edge.call("GET", f"/subscriptions/{identifier}/positions", READ, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_holdings_are_worth_what_the_marks_say_now(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    proxy = "0x" + "5" * 40
    async with upstream.serving() as bookfeed:
        with (
            running_edge(
                tmp_path, database_url, redis_url, bookfeed_target=f"127.0.0.1:{bookfeed.port}"
            ) as edge,
            psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as database,
        ):
            await _follow_a_worth(edge, database, bookfeed, proxy)


async def _follow_a_worth(
    edge: RunningEdge, database: Database, bookfeed: upstream.Upstream, proxy: str
) -> None:
    call: Callable[..., Awaitable[Any]] = asyncio.to_thread
    identifier = (await call(create_subscription, edge, proxy))["id"]
    put_lot(database, proxy, identifier, asset_id="11")  # 40 shares for 20 USDC
    put_lot(database, proxy, identifier, asset_id="22", shares_micros=MICROS, cost_micros=MICROS)

    def statistics() -> Any:
        return edge.call("GET", f"/subscriptions/{identifier}", READ).json()["statistics"]

    assert (await call(statistics))["unmarkedPositions"] == "2"
    bookfeed.put_mark(mark("11", ("0.6", 30 * MICROS), ("0.5", 5 * MICROS)))
    one = await _until(statistics, lambda s: s["unmarkedPositions"] == "1")
    assert not {"value", "unrealised", "profit"} & set(one), "one worth is missing"

    bookfeed.put_mark(mark("22", ("0.9", 10 * MICROS)))
    both = await _until(statistics, lambda s: s["unmarkedPositions"] == "0")
    # 30 at 0.6 and 5 at 0.5, 5 find no bid, and one share at 0.9; realised -0.76, fees 0.24.
    assert (both["openPositions"], both["value"], both["unrealised"]) == ("2", "21.4", "0.4")
    assert both["profit"] == "-0.6"
    first, second = (await call(_page, edge, identifier))["positions"]
    assert (first["value"], first["sellableSize"], first["unrealised"]) == ("20.5", "35", "0.5")
    assert second["unrealised"] == "-0.1"
    listed = await call(
        lambda: edge.call("GET", "/subscriptions", READ, params={"followerProxy": proxy}).json()
    )
    assert listed["subscriptions"][0]["statistics"] == both

    bookfeed.put_mark(mark("22", ("0.9", 10 * MICROS), status=books.BOOK_STATUS_STALE))
    await _until(statistics, lambda s: s["unmarkedPositions"] == "1")
    bookfeed.put_mark(
        mark("22", status=books.BOOK_STATUS_EMPTY, closed=True, payout_micros=250_000)
    )
    resolved = await _until(statistics, lambda s: s["unmarkedPositions"] == "0")
    assert resolved["value"] == "20.75"


def test_positions_tell_their_account(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    put_lot(
        database, proxy, identifier, bought_size_micros=51 * MICROS, sold_size_micros=11_000_000
    )
    (position,) = _page(edge, identifier)["positions"]
    assert position.pop("updatedAt")
    assert position == {
        "conditionId": CONDITION, "assetId": ASSET, "size": "40", "cost": "20",
        "boughtSize": "51", "bought": "20", "soldSize": "11", "sold": "5.5", "fees": "0.12",
        "realised": "-0.38", "resolvedSize": "0", "payout": "0",
    }  # fmt: skip
    assert _page(edge, create_subscription(edge, proxy)["id"])["positions"] == []


@pytest.mark.parametrize(
    ("side", "filled", "slippage"),
    # 3 shares of a leader who got 7 for 2: he pays or gets 0.857142 and six sevenths of a micro.
    [("BUY", 1_000_000, "0.142858"), ("SELL", 800_000, "0.057143")],
)
def test_slippage_is_against_the_leaders_price_to_the_micro(
    edge: RunningEdge, database: Database, wallet: Wallet, side: str, filled: int, slippage: str
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    put_lot(database, proxy, identifier)
    tx = put_decision(
        database, proxy, identifier, side=side, copied=True, reason="",
        leader_size_micros=7 * MICROS, leader_notional_micros=2 * MICROS,
    )  # fmt: skip
    put_order(
        database, proxy, identifier, "CONFIRMED", leader_tx=tx, side=side,
        filled_size_micros=3 * MICROS, filled_notional_micros=filled,
    )  # fmt: skip
    # A trigger's exit follows nobody's price.
    put_order(
        database, proxy, identifier, "CONFIRMED", leader_tx="", side="SELL", purpose="GUARD_EXIT",
        filled_size_micros=3 * MICROS, filled_notional_micros=1,
    )  # fmt: skip
    assert _page(edge, identifier)["positions"][0]["slippage"] == slippage
    one = edge.call("GET", f"/subscriptions/{identifier}", READ).json()
    assert one["statistics"]["slippage"] == slippage


def test_delays_are_those_of_copies(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    for number, us in enumerate((7_000, 1_000, 9_000, 3_000, 5_000)):
        put_order(
            database, proxy, identifier, "CONFIRMED", received_ns=1, answered_ns=1 + us * 1000,
            created_at=f"2026-01-01T00:00:0{number}Z",
        )  # fmt: skip
    put_order(
        database, proxy, identifier, "CONFIRMED", received_ns=0, answered_ns=10**15,
        purpose="GUARD_EXIT", side="SELL",
    )  # fmt: skip
    put_order(database, proxy, identifier, "FAILED", received_ns=1, answered_ns=0)
    under_way = put_order(
        database, proxy, identifier, "SUBMITTED", received_ns=1, answered_ns=8_000_001
    )

    def delays() -> list[str]:
        found = edge.call("GET", f"/subscriptions/{identifier}", READ).json()["statistics"]
        return [found[f"copyDelay{name}Us"] for name in ("P50", "P90", "Last")]

    assert delays() == ["5000", "9000", "5000"]
    # Once, also when a breach has it end twice.
    for state in ("CONFIRMED", "RESURRECTED", "CONFIRMED"):
        database.execute("update orders set state = %s where order_key = %s", [state, under_way])
    assert delays() == ["5000", "9000", "8000"]
    for number in range(200):
        put_order(
            database, proxy, identifier, "FAILED", received_ns=1,
            answered_ns=1 + (200 - number) * 1000,
        )  # fmt: skip
    # The last 200: those before have left.
    assert delays() == ["100", "180", "1"]


def test_positions_are_paged_by_market_and_outcome(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    markets = ["0x" + digit * 64 for digit in "ab"]
    for asset, market, shares in (("5", 1, 1), ("4", 0, 0), ("3", 1, 2), ("9", 0, 3)):
        put_lot(
            database, proxy, identifier, asset_id=asset, condition_id=markets[market],
            shares_micros=shares,
        )  # fmt: skip

    def assets(**query: Any) -> list[str]:
        seen, token = [], None
        while token != "":
            page = _page(edge, identifier, pageSize=1, pageToken=token or "", **query)
            seen += [position["assetId"] for position in page["positions"]]
            token = page["nextPageToken"]
        return seen

    assert assets() == ["4", "9", "3", "5"]
    assert assets(conditionId=markets[1].upper().replace("X", "x")) == ["3", "5"]
    assert assets(open="true") == ["9", "3", "5"]
    token = _page(edge, identifier, pageSize=1)["nextPageToken"]
    refused = edge.call(
        "GET", f"/subscriptions/{identifier}/positions", params={"pageToken": token, "open": "true"}
    )
    assert error_of(refused)[2]["field"] == "pageToken"
