"""Test that each answer and frame has the fields and types of a recorded one.

A field that is newer than the recording is named here; nothing else may be more, nothing less.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.paper_okx.harness import Live
from tests.paper_okx.raw import Rest, socket

RECORDED = Path(__file__).parent / "recorded"
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


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def same(ours: Any, theirs: Any, newer: set[str] = set(), path: str = "") -> None:  # noqa: B006
    """Compare fields and types, of the first row of a list for all of its rows."""
    kind = "number" if isinstance(ours, int) and not isinstance(ours, bool) else type(ours)
    wanted = "number" if isinstance(theirs, int) and not isinstance(theirs, bool) else type(theirs)
    assert kind == wanted, f"{path}: {ours!r} instead of {theirs!r}"
    if isinstance(ours, dict):
        assert theirs.keys() - ours.keys() == set(), path
        assert ours.keys() - theirs.keys() - newer == set(), path
        for name, value in theirs.items():
            same(ours[name], value, newer, f"{path}.{name}")
    elif isinstance(ours, list) and ours and theirs:
        assert all(isinstance(one, str) for one in theirs) <= (
            len(ours) == len(theirs) or path.endswith(("List", "Insts"))
        ), path
        for one in ours:
            same(one, theirs[0], newer, f"{path}[]")


@pytest.fixture(scope="module")
def rest(live: Live) -> Any:
    """An account that has an open order, a filled one, a cancelled one and a position."""
    live.account("shape")
    live.tell("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    found = Rest(live, "shape")
    with found.http:
        for changes in ({"px": "49000"}, {"ordType": "market", "px": ""}, {"px": "48000"}):
            ord_id = found.order(**changes)["data"][0]["ordId"]
        found.post("trade/cancel-order", {"instId": SWAP, "ordId": ord_id})
        found.post("account/set-leverage", {"instId": SWAP, "lever": "5", "mgnMode": "isolated"})
        found.order(tdMode="isolated", ordType="market", px="")
        live.tell("/prints", instId=SWAP, side="buy", px="50010", sz="2")
        live.tell("/funding", instId=SWAP, rate="0.0001", due=True)
        yield found


@pytest.mark.parametrize(
    ("path", "name", "newer"),
    [
        ("public/instruments?instType=SWAP", "http_get_instruments_swap", NEWER_INSTRUMENT),
        ("public/instruments?instType=FUTURES", "http_get_instruments_futures", NEWER_FUTURE),
        ("public/position-tiers?instType=SWAP&tdMode=cross", "http_get_position_tiers", set()),
        (f"public/mark-price?instType=SWAP&instId={SWAP}", "http_get_mark_price", set()),
        (
            f"public/funding-rate-history?instId={SWAP}",
            "http_get_funding_rate_history",
            {"formulaType", "method"},
        ),
        (f"public/price-limit?instId={SWAP}", "http_get_price_limit", set()),
        (f"market/books?instId={SWAP}&sz=2", "http_get_order_book", {"seqId"}),
        (f"market/trades?instId={SWAP}", "http_get_trades", {"source"}),
        (f"market/candles?instId={SWAP}", "http_get_candlesticks_full", set()),
        ("market/index-tickers?instId=BTC-USDT", "http_get_index_price", set()),
        ("account/config", "http_get_account_configuration", set()),
        ("account/balance", "http_get_account_balance", NEWER_BALANCE | NEWER_DETAIL),
        ("account/positions", "http_get_positions", NEWER_POSITION),
        ("account/trade-fee?instType=SWAP", "http_get_trade_fee_grouped_response", set()),
        ("trade/orders-pending", "http_get_orders_pending", NEWER_ORDER),
        ("trade/orders-history?instType=SWAP", "http_get_orders_history", NEWER_ORDER),
    ],
)
def test_answers_of_rest(rest: Rest, path: str, name: str, newer: set[str]) -> None:
    answer = rest.get(path)
    assert answer["data"]
    same(answer, recorded(f"nautilus/{name}"), newer)


def test_a_spot_instrument(rest: Rest) -> None:
    theirs = recorded("nautilus/http_get_instruments_spot_group_id")
    for one in theirs["data"]:
        for name in ("instCategory", "initPxLmtPct", "floatPxLmtPct", "maxPxLmtPct"):
            del one[name]  # newer than the others' rows
    newer = {"maxPlatOILmt", "posLmtAmt", "posLmtPct"}
    same(rest.get("public/instruments?instType=SPOT"), theirs, newer)


def test_a_fill(rest: Rest) -> None:
    fills = rest.get("trade/fills")["data"]
    same(fills[0], recorded("nautilus/http_transaction_detail"), NEWER_FILL)


def test_operations(rest: Rest) -> None:
    same(rest.order(px="47000"), recorded("ccxt/place_order"))
    theirs = recorded("nautilus/http_place_order_rejected") | {"inTime": "", "outTime": ""}
    rejected = rest.order(sz="0.001")
    same(rejected, theirs)
    assert rejected["msg"] == theirs["msg"]
    mode = rest.post("account/set-position-mode", {"posMode": "net_mode"})
    same(mode, recorded("nautilus/http_set_position_mode_response"))


def test_errors(rest: Rest, live: Live) -> None:
    wrong = rest.ask("GET", "account/balance", **{"OK-ACCESS-KEY": "nobody"})
    assert (wrong.status_code, wrong.json()) == (
        401,
        recorded("nautilus/http_error_invalid_access_key"),
    )
    missing = rest.ask("GET", "no/such/path")
    assert (missing.status_code, missing.json()) == (404, recorded("nautilus/http_error_not_found"))
    live.tell("/faults", kind="limit", op="order")
    limited = rest.ask("POST", "trade/order", {})
    assert (limited.status_code, limited.json()) == (
        429,
        recorded("nautilus/http_error_rate_limit"),
    )


async def test_frames(live: Live) -> None:
    live.account("shaped")
    live.tell("/marks", instId=SWAP, px="50000")
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
        same(first, recorded("nautilus/ws_books_snapshot")["data"][0])
        order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
        await private.say("order", order, id="1")
        filled = await private.data("orders", lambda row: row["state"] == "filled")
        same(filled, recorded("nautilus/ws_orders")["data"][0], NEWER_PUSH)
        await private.say("order", {**order, "ordType": "post_only", "px": "50010"}, id="2")
        cancelled = await private.data("orders", lambda row: row["state"] == "canceled")
        theirs = recorded("nautilus/ws_orders_post_only_canceled_first")["data"][0]
        theirs.pop("cancelSourceReason")
        assert {name: cancelled[name] for name in theirs} == theirs
        same(
            await private.data("account", lambda row: row["details"]),
            recorded("nautilus/ws_account")["data"][0],
            NEWER_BALANCE | NEWER_DETAIL,
        )
        theirs = recorded("nautilus/http_get_positions")["data"][0]
        same(await private.data("positions"), theirs, NEWER_POSITION)
        updates = await public.until(lambda one: one.get("action") == "update")
        same(updates["data"][0], recorded("nautilus/ws_books_update")["data"][0])
        for channel, name, newer in (
            ("bbo-tbt", "ws_bbo_tbt", set()),
            ("tickers", "ws_tickers", set()),
            ("trades", "ws_trades", {"seqId", "source"}),
            ("funding-rate", "ws_funding_rate", NEWER_FUNDING),
        ):
            theirs = recorded(f"nautilus/{name}")["data"][0]
            same(await public.data(channel), theirs, newer)


async def test_frames_of_a_liquidation(live: Live) -> None:
    live.account("doomed")
    live.tell("/marks", instId=SWAP, px="50000")
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
            live.tell("/marks", instId=SWAP, px="49500")
            warned = await private.data("liquidation-warning")
            same(warned, recorded("nautilus/ws_liquidation_warning")["data"][0])
            live.tell("/marks", instId=SWAP, px="49000")
            seized = await private.data("orders", lambda row: row["category"] != "normal")
            theirs = recorded("nautilus/ws_orders_liquidation")["data"][0]
            same(seized, theirs, NEWER_PUSH)
            assert seized["category"] == theirs["category"]
