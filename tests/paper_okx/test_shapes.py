"""Test that each answer and frame has the fields of its shape, each of its kind.

A field that is newer than the shape is named here; nothing else may be more, nothing less.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.paper_okx import shapes
from tests.paper_okx.harness import Live
from tests.paper_okx.raw import Rest, socket
from tests.paper_okx.shapes import same

SWAP = "BTC-USDT-SWAP"

NEWER_INSTRUMENT = {"groupId", "upcChg"}
NEWER_FUTURE = NEWER_INSTRUMENT | {
    "contTdSwTime",
    "futureSettlement",
    "instIdCode",
    "maxPlatOILmt",
    "openType",
    "posLmtAmt",
    "posLmtPct",
    "preMktSwTime",
    "tradeQuoteCcyList",
}
NEWER_BALANCE = {"availEq", "delta", "deltaLever", "deltaNeutralStatus"}
NEWER_DETAIL = {
    "autoLendAmt",
    "autoLendMtAmt",
    "autoLendStatus",
    "coinUsdPrice",
    "colBorrAutoConversion",
    "colRes",
    "collateralRestrict",
    "frpType",
    "maxSpotInUse",
}
NEWER_POSITION = {
    "baseBorrowed",
    "baseInterest",
    "bizRefId",
    "bizRefType",
    "clSpotInUseAmt",
    "closeOrderAlgo",
    "deltaBS",
    "deltaPA",
    "gammaBS",
    "gammaPA",
    "hedgedPos",
    "imr",
    "liab",
    "liabCcy",
    "maxSpotInUseAmt",
    "nonSettleAvgPx",
    "settledPnl",
    "thetaBS",
    "thetaPA",
    "vegaBS",
    "vegaPA",
}
NEWER_ORDER = {"tradeQuoteCcy"}
NEWER_PUSH = NEWER_ORDER | {
    "amendResult",
    "amendSource",
    "code",
    "fillFee",
    "fillFeeCcy",
    "fillFwdPx",
    "fillIdxPx",
    "fillMarkPx",
    "fillMarkVol",
    "fillNotionalUsd",
    "fillPnl",
    "fillPxUsd",
    "fillPxVol",
    "lastPx",
    "msg",
    "notionalUsd",
    "reqId",
}
NEWER_FILL = {
    "feeRate",
    "fillFwdPx",
    "fillIdxPx",
    "fillMarkPx",
    "fillMarkVol",
    "fillPnl",
    "fillPxUsd",
    "fillPxVol",
    "fillTime",
    "posSide",
    "subType",
    "tag",
    "tradeQuoteCcy",
}
NEWER_FUNDING = {
    "formulaType",
    "impactValue",
    "instType",
    "interestRate",
    "maxFundingRate",
    "method",
    "minFundingRate",
    "premium",
    "prevFundingTime",
    "settFundingRate",
    "settState",
}


@pytest.fixture(scope="module")
def rest(live: Live) -> Any:
    """An account that has an open order, a filled one, a cancelled one and a position."""
    live.account("shape")
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    found = Rest(live, "shape")
    with found.http:
        for changes in ({"px": "49000"}, {"ordType": "market", "px": ""}, {"px": "48000"}):
            ord_id = found.order(**changes)["data"][0]["ordId"]
        found.post("trade/cancel-order", {"instId": SWAP, "ordId": ord_id})
        found.post("account/set-leverage", {"instId": SWAP, "lever": "5", "mgnMode": "isolated"})
        found.order(tdMode="isolated", ordType="market", px="")
        live.notify("/prints", instId=SWAP, side="buy", px="50010", sz="2")
        live.notify("/funding", instId=SWAP, rate="0.0001", due=True)
        yield found


@pytest.mark.parametrize(
    ("path", "row", "newer"),
    [
        ("public/instruments?instType=SWAP", shapes.SWAP, NEWER_INSTRUMENT),
        ("public/instruments?instType=FUTURES", shapes.FUTURE, NEWER_FUTURE),
        ("public/position-tiers?instType=SWAP&tdMode=cross", shapes.POSITION_TIER, set()),
        (f"public/mark-price?instType=SWAP&instId={SWAP}", shapes.MARK_PRICE, set()),
        (
            f"public/funding-rate-history?instId={SWAP}",
            shapes.SETTLED_FUNDING,
            {"formulaType", "method"},
        ),
        (f"public/price-limit?instId={SWAP}", shapes.PRICE_LIMIT, set()),
        (f"market/books?instId={SWAP}&sz=2", shapes.REST_BOOK, {"seqId"}),
        (f"market/trades?instId={SWAP}", shapes.TRADE, {"source"}),
        (f"market/candles?instId={SWAP}", shapes.CANDLE, set()),
        ("market/index-tickers?instId=BTC-USDT", shapes.INDEX_TICKER, set()),
        ("account/config", shapes.ACCOUNT_CONFIG, set()),
        ("account/balance", shapes.BALANCE, NEWER_BALANCE | NEWER_DETAIL),
        ("account/positions", shapes.POSITION, NEWER_POSITION),
        ("account/trade-fee?instType=SWAP", shapes.FEES, set()),
        ("trade/orders-pending", shapes.ORDER, NEWER_ORDER),
        ("trade/orders-history?instType=SWAP", shapes.ORDER, NEWER_ORDER),
    ],
)
def test_answers_of_rest(rest: Rest, path: str, row: shapes.Kind, newer: set[str]) -> None:
    answer = rest.get(path)
    assert answer["data"]
    same(answer, shapes.answer(row), newer)


def test_a_spot_instrument(rest: Rest) -> None:
    newer = {"maxPlatOILmt", "posLmtAmt", "posLmtPct"}
    answer = rest.get("public/instruments?instType=SPOT")
    assert answer["data"]
    same(answer, shapes.answer(shapes.SPOT), newer)


def test_a_fill(rest: Rest) -> None:
    fills = rest.get("trade/fills")["data"]
    same(fills[0], shapes.FILL, NEWER_FILL)


def test_operations(rest: Rest) -> None:
    same(rest.order(px="47000"), shapes.OPERATION)
    rejected = rest.order(sz="0.001")
    same(rejected, shapes.OPERATION)
    assert rejected["data"]
    assert (rejected["code"], rejected["msg"]) == ("1", "All operations failed")
    mode = rest.post("account/set-position-mode", {"posMode": "net_mode"})
    same(mode, shapes.answer(shapes.POSITION_MODE))


def test_errors(rest: Rest, live: Live) -> None:
    wrong = rest.ask("GET", "account/balance", **{"OK-ACCESS-KEY": "nobody"})
    refusal = {"code": "50111", "msg": "Invalid OK-ACCESS-KEY"}
    assert (wrong.status_code, wrong.json()) == (401, refusal)
    missing = rest.ask("GET", "no/such/path")
    not_found = {
        "code": 404,
        "data": {},
        "detailMsg": "",
        "error_code": "404",
        "error_message": "Not Found",
        "msg": "Not Found",
    }
    assert (missing.status_code, missing.json()) == (404, not_found)
    live.notify("/faults", kind="limit", op="order")
    limited = rest.ask("POST", "trade/order", {})
    too_many = {"code": "50011", "msg": "Too Many Requests"}
    assert (limited.status_code, limited.json()) == (429, too_many)


async def test_frames(live: Live) -> None:
    live.account("shaped")
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    async with socket(live, "public") as public, socket(live, "private", "shaped") as private:
        channels = ("books", "bbo-tbt", "tickers", "trades", "funding-rate")
        await public.say("subscribe", *({"channel": one, "instId": SWAP} for one in channels))
        await private.say(
            "subscribe",
            {"channel": "orders", "instType": "SWAP"},
            {"channel": "account"},
            {"channel": "positions", "instType": "ANY"},
            {"channel": "liquidation-warning", "instType": "ANY"},
        )
        await private.until(
            lambda one: (
                one.get("event") == "subscribe" and one["arg"]["channel"] == "liquidation-warning"
            )
        )
        first = await public.data("books")
        same(first, shapes.BOOK)
        order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
        await private.say("order", order, id="1")
        filled = await private.data("orders", lambda row: row["state"] == "filled")
        same(filled, shapes.PUSHED_ORDER, NEWER_PUSH)
        await private.say("order", {**order, "ordType": "post_only", "px": "50010"}, id="2")
        cancelled = await private.data("orders", lambda row: row["state"] == "canceled")
        theirs = {"ordType": "post_only", "cancelSource": "31", "fillSz": "0"}
        theirs |= {"tradeId": "", "avgPx": ""}
        assert {name: cancelled[name] for name in theirs} == theirs
        same(
            await private.data("account", lambda row: row["details"]),
            shapes.PUSHED_BALANCE,
            NEWER_BALANCE | NEWER_DETAIL,
        )
        same(await private.data("positions"), shapes.POSITION, NEWER_POSITION)
        updates = await public.until(lambda one: one.get("action") == "update")
        same(updates["data"][0], shapes.BOOK)
        for channel, row, newer in (
            ("bbo-tbt", shapes.BBO, set()),
            ("tickers", shapes.TICKER, set()),
            ("trades", shapes.PUSHED_TRADE, {"seqId", "source"}),
            ("funding-rate", shapes.FUNDING, NEWER_FUNDING),
        ):
            same(await public.data(channel), row, newer)


async def test_frames_of_a_liquidation(live: Live) -> None:
    live.account("doomed")
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    with (rest := Rest(live, "doomed")).http:
        rest.post("account/set-leverage", {"instId": SWAP, "lever": "50", "mgnMode": "isolated"})
        async with socket(live, "private", "doomed") as private:
            await private.say(
                "subscribe",
                {"channel": "orders", "instType": "SWAP"},
                {"channel": "liquidation-warning", "instType": "ANY"},
            )
            order = {"instId": SWAP, "tdMode": "isolated", "side": "buy", "ordType": "market"}
            await private.say("order", {**order, "sz": "10"}, id="1")
            await private.data("orders", lambda row: row["state"] == "filled")
            live.notify("/marks", instId=SWAP, px="49500")
            warned = await private.data("liquidation-warning")
            same(warned, shapes.LIQUIDATION_WARNING)
            live.notify("/marks", instId=SWAP, px="49000")
            seized = await private.data("orders", lambda row: row["category"] != "normal")
            same(seized, shapes.PUSHED_ORDER, NEWER_PUSH)
            assert seized["category"] == "full_liquidation"
