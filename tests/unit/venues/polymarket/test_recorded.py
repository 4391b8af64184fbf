"""Answers of the real Data API v2 (September 2026, names left out), read to the last digit."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http

RECORDED = Path(__file__).parent / "recorded"
TRADER = "0x7c3db723f1d4d8cb9c550095203b686cb11e5c6b"


def answering(name: str) -> DataApi:
    """A Data API whose every answer is the recorded one."""
    body = (RECORDED / name).read_bytes()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return DataApi(Http(client, "http://recorded", name="data api"))


async def test_recorded_trades_are_read() -> None:
    wallet = "0x84cfffc3f16dcc353094de30d4a45226eccd2f63"
    found = await answering("v2_trades.json").trades(wallet, 0)
    assert found.rejected == ()
    [row] = found.rows
    assert row.asset_id == (
        "100621704916396384184205224105871827982844371725320616822883322969092312254616"
    )
    assert (row.side, row.price_text, row.size_micros) == ("BUY", "0.62", 78_550_000)
    assert row.traded_ms == 1_788_887_014_000
    assert row.outcome == "Yes"


async def test_recorded_activity_that_is_asked_for_as_trades_is_read_with_all_its_digits() -> None:
    found = await answering("v2_activity.json").trades(TRADER, 0)
    assert found.rejected == ()
    assert [(row.price_text, row.price_micros, row.size_micros) for row in found.rows] == [
        ("0.9300000035", 930_000, 14_285_715),
        ("0.0864503644", 86_450, 155_030_000),
    ]


async def test_recorded_positions_are_what_the_wallet_holds() -> None:
    held = await answering("v2_positions.json").positions(TRADER)
    assert {asset[:4]: one.size_micros for asset, one in held.items()} == {
        "9447": 400_000_000_000,
        "1604": 400_000_000_000,
    }
    rows = json.loads((RECORDED / "v2_positions.json").read_text())["data"]
    assert {one.condition_id for one in held.values()} == {rows[0]["condition_id"]}


async def test_the_recorded_value_is_read() -> None:
    assert await answering("v2_value.json").value(TRADER) == 684_953_894_200
