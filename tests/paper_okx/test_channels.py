"""Test that each channel tells what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.paper_okx.harness import Live
from tests.paper_okx.raw import Rest, socket

SWAP = "BTC-USDT-SWAP"


@pytest.fixture(scope="module")
def rest(live: Live) -> Iterator[Rest]:
    live.account("listener")
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    found = Rest(live, "listener")
    with found.http:
        yield found


@pytest.mark.parametrize(
    ("arg", "field", "value"),
    [
        ({"channel": "books5", "instId": SWAP}, "bids", [["49980", "5", "0", "1"]]),
        ({"channel": "bbo-tbt", "instId": SWAP}, "asks", [["50020", "5", "0", "1"]]),
        ({"channel": "tickers", "instId": SWAP}, "last", "49980"),
        ({"channel": "trades", "instId": SWAP}, "px", "49980"),
        ({"channel": "mark-price", "instId": SWAP}, "markPx", "50001"),
        ({"channel": "price-limit", "instId": SWAP}, "sellLmt", "47500.9"),
        ({"channel": "index-tickers", "instId": "BTC-USDT"}, "idxPx", "49999.5"),
        ({"channel": "funding-rate", "instId": SWAP}, "fundingRate", "0.0003"),
    ],
)
async def test_public_channels(
    live: Live, rest: Rest, arg: dict[str, str], field: str, value: object
) -> None:
    def move() -> None:
        live.book(SWAP, "49980", "50020", "5")
        live.notify("/prints", instId=SWAP, side="sell", px="49980", sz="1")
        live.notify("/marks", instId=SWAP, px="50001")
        live.notify("/indexes", instId="BTC-USDT", px="49999.5")
        live.notify("/funding", instId=SWAP, rate="0.0003")

    async with socket(live, "public") as public:
        await public.say("subscribe", arg)
        await public.until(lambda one: one.get("event") == "subscribe")
        await asyncio.to_thread(move)
        await public.data(arg["channel"], lambda row: row[field] == value)
        await public.say("unsubscribe", arg)
        await public.until(lambda one: one.get("event") == "unsubscribe")
        received = len(public.messages)
        await asyncio.to_thread(live.book, SWAP, "49990", "50010", "1000")
        await asyncio.to_thread(move)
        await public.say("subscribe", {"channel": "instruments", "instType": "SPOT"})
        await public.data("instruments")
    reported = [one for one in public.messages[received:] if "data" in one]
    assert {one["arg"]["channel"] for one in reported} == {"instruments"}


async def test_candles_and_all_trades_are_business(live: Live, rest: Rest) -> None:
    async with socket(live, "business") as business:
        for channel in ("candle1m", "trades-all"):
            await business.say("subscribe", {"channel": channel, "instId": SWAP})
            await business.until(
                lambda one, of=channel: (
                    one.get("event") == "subscribe"  # type: ignore[misc]
                    and one["arg"]["channel"] == of
                )
            )
        await asyncio.to_thread(live.notify, "/prints", instId=SWAP, side="buy", px="50011", sz="2")
        candle = await business.data("candle1m")
        assert (candle[4], len(candle)) == ("50011", 9)
        assert (await business.data("trades-all"))["sz"] == "2"


async def test_liquidations_and_balances_are_told(live: Live, rest: Rest) -> None:
    rest.post("account/set-leverage", {"instId": SWAP, "lever": "50", "mgnMode": "isolated"})
    async with socket(live, "public") as public, socket(live, "private", rest.name) as private:
        await public.say("subscribe", {"channel": "liquidation-orders", "instType": "SWAP"})
        await private.say("subscribe", {"channel": "balance_and_position"})
        for one in (public, private):
            await one.until(lambda message: message.get("event") == "subscribe")
        await asyncio.to_thread(live.notify, "/marks", instId=SWAP, px="50000")
        await asyncio.to_thread(_take, rest)
        held = await private.data("balance_and_position", lambda row: row["posData"])
        assert held["posData"][0]["pos"] == "1"
        await private.data("balance_and_position", lambda row: row["balData"])
        await asyncio.to_thread(live.notify, "/marks", instId=SWAP, px="49000")
        seized = await public.data("liquidation-orders")
        detail: dict[str, Any] = seized["details"][0]
        assert (detail["side"], detail["posSide"], detail["sz"]) == ("sell", "long", "1")
    listed = rest.get("public/liquidation-orders?instType=SWAP")["data"]
    assert listed[0] == seized


def _take(rest: Rest) -> None:
    assert rest.order(tdMode="isolated", ordType="market", px="")["code"] == "0"
