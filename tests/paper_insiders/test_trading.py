"""Orders over HTTP: fills, fees, balances, refusals, settlement, redemption."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.paper_insiders.harness import (
    ASSET,
    CONDITION,
    OTHER_ASSET,
    OTHER_PROXY,
    PROXY,
    Paper,
    body,
    book,
    key,
    redeem_body,
    served,
    until,
)


async def test_a_buy_walks_the_book_up_to_its_limit(paper: Paper) -> None:
    asks = {"0.45": "5", "0.44": "5", "0.46": "100"}
    await paper.put_book(book(asks=asks, category="sports"))
    order = (await paper.post("walk", body(size="12", limitPrice="0.45"))).json
    fills = [(trade["price"], trade["size"], trade["fee"]) for trade in order["trades"]]
    assert fills == [("0.44", "5", "0.0616"), ("0.45", "5", "0.06188")]
    assert (order["filledSize"], order["filledNotional"], order["fee"]) == ("10", "4.45", "0.12348")
    assert (order["status"], order["closed"]) == ("MATCHED", True)
    assert await paper.cash() == "995.42652"
    assert await paper.positions() == {ASSET: "10"}


async def test_a_sell_walks_down_and_pays_its_fee_from_the_proceeds(paper: Paper) -> None:
    await paper.post("in", body(size="20"))
    before = Decimal(await paper.cash())
    await paper.put_book(book(bids={"0.4": "8", "0.42": "5"}, category="geopolitics"))
    order = (await paper.post("out", body(size="20", limitPrice="0.4"), side="sell")).json
    assert [(t["price"], t["size"]) for t in order["trades"]] == [("0.42", "5"), ("0.4", "8")]
    assert Decimal(await paper.cash()) - before == Decimal("5.3")
    assert await paper.positions() == {ASSET: "7"}


async def test_fak_without_a_match_and_fok_without_depth_are_killed(paper: Paper) -> None:
    none = (await paper.post("none", body(limitPrice="0.49"))).json
    assert (none["status"], none["closed"], none["trades"]) == ("KILLED", True, [])
    whole = (await paper.post("whole", body(size="1001", orderType="FOK"))).json
    assert (whole["status"], whole["filledSize"]) == ("KILLED", "0")
    assert (await paper.cash(), await paper.positions()) == ("1000", {})
    exact = (await paper.post("exact", body(size="1000", orderType="FOK"))).json
    assert (exact["status"], exact["filledSize"]) == ("MATCHED", "1000")


async def test_two_followers_never_get_the_same_shares(paper: Paper) -> None:
    await paper.put_book(book(asks={"0.5": "70"}))
    orders = [body(followerProxy=f"0x{n:040x}", size="10") for n in range(10)]
    await asyncio.gather(*(paper.post(n, data) for n, data in enumerate(orders)))
    filled = [Decimal(order["filledSize"]) for order in (await paper.state())["orders"]]
    assert sum(filled) == 70
    await paper.put_book(book(asks={"0.5": "71"}))
    assert (await paper.post("fresh")).json["filledSize"] == "10"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"size": "4.99"}, "MIN_SIZE", "size"),
        ({"limitPrice": "0.505"}, "TICK_SIZE", "limitPrice"),
        ({"limitPrice": "1"}, "PRICE_RANGE", "limitPrice"),
        ({"limitPrice": "0.001"}, "PRICE_RANGE", "limitPrice"),
        ({"size": "2000"}, "INSUFFICIENT_BALANCE", None),
        ({"assetId": "42"}, "MARKET_UNKNOWN", "assetId"),
        ({"size": 10}, "INVALID_REQUEST", "size"),
        ({"size": "0"}, "INVALID_REQUEST", "size"),
        ({"size": "1.0000001"}, "INVALID_REQUEST", "size"),
        ({"limitPrice": "5e-1"}, "INVALID_REQUEST", "limitPrice"),
        ({"assetId": "007"}, "INVALID_REQUEST", "assetId"),
        ({"assetId": str(2**256)}, "INVALID_REQUEST", "assetId"),
        ({"followerProxy": "0x" + "AB" * 20}, "INVALID_REQUEST", "followerProxy"),
        ({"conditionId": None}, "INVALID_REQUEST", "conditionId"),
        ({"followerUserId": ""}, "INVALID_REQUEST", "followerUserId"),
        ({"orderType": "GTC"}, "INVALID_REQUEST", "orderType"),
        ({"notAfter": "2026-02-30T00:00:00.000Z"}, "INVALID_REQUEST", "notAfter"),
        ({"sise": "10"}, "INVALID_REQUEST", "sise"),
    ],
)
async def test_refusals_name_what_is_wrong(
    paper: Paper, changes: dict[str, Any], code: str, field: str | None
) -> None:
    reply = await paper.post("refused", body(**changes))
    assert (reply.status, reply.code) == (400, code)
    assert reply.json["error"].get("field") == field
    assert (await paper.state())["orders"] == []


async def test_refusals_of_the_frame_around_the_body(paper: Paper) -> None:
    for data in (b"", b"[]", b"{", b"\xff", b'{"a":' * 5000):
        reply = await paper.post("frame", data)
        assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    long = await paper.post("frame", b" " * 70_000)
    assert (long.status, long.json["error"]["field"]) == (400, "body")
    for headers in ({}, {"Idempotency-Key": "ABC"}, {"Idempotency-Key": "A" * 64}):
        reply = await paper.ask("POST", "/api/trade/buy", data=body(), headers=headers)
        assert (reply.status, reply.json["error"]["field"]) == (400, "Idempotency-Key")
    assert (await paper.ask("GET", "/api/trade/orders/by-key/xyz")).code == "INVALID_REQUEST"
    assert (await paper.ask("GET", "/api/wallets/0xAB/balance")).code == "INVALID_REQUEST"
    assert (await paper.ask("GET", "/nowhere")).status == 404
    assert (await paper.ask("DELETE", "/api/trade/buy")).status == 405


async def test_state_of_market_and_wallet_refuses(paper: Paper) -> None:
    await paper.put_book(book(asks={"0.5": "10"}, closed=True), OTHER_ASSET)
    assert (await paper.post("x", body(assetId=OTHER_ASSET))).code == "MARKET_CLOSED"
    await paper.put_book(book(asks={"0.5": "10"}, conditionId="0x" + "0" * 64), OTHER_ASSET)
    wrong = await paper.post("x", body(assetId=OTHER_ASSET))
    assert wrong.json["error"]["field"] == "conditionId"
    await paper.post("hold")
    await paper.notify("PUT", f"/wallets/{PROXY}", {"cash": "500", "mode": "closed_only"})
    assert (await paper.post("x")).code == "CLOSED_ONLY"
    assert (await paper.post("y", body(limitPrice="0.4"), side="sell")).status == 200
    await paper.notify("PUT", f"/wallets/{PROXY}", {"cash": "500", "mode": "forbidden"})
    banned = await paper.post("x")
    assert (banned.status, banned.code) == (403, "FORBIDDEN")


async def test_a_sell_needs_the_shares(paper: Paper) -> None:
    short = await paper.post("short", body(limitPrice="0.4"), side="sell")
    assert short.code == "INSUFFICIENT_BALANCE"
    await paper.post("in")
    over = await paper.post("over", body(size="10.000001", limitPrice="0.4"), side="sell")
    assert over.code == "INSUFFICIENT_BALANCE"
    assert (await paper.post("all", body(limitPrice="0.4"), side="sell")).status == 200
    assert await paper.positions() == {}


async def test_a_delayed_order_is_accepted_first_and_holds_its_money(tmp_path: Path) -> None:
    async with served(tmp_path, own_delay_ms=300, default_cash_usdc=10) as paper:
        await paper.put_book(book(asks={"0.5": "100"}))
        order = (await paper.post("wait", body(size="15"))).json
        assert (order["status"], order["closed"], order["filledSize"]) == ("ACCEPTED", False, "0")
        assert (await paper.post("too much", body(size="15"))).code == "INSUFFICIENT_BALANCE"
        assert await paper.cash() == "10"

        async def closed() -> Any:
            found = (await paper.get("wait")).json
            return found if found["closed"] else None

        done = await until(closed)
        assert (done["status"], done["filledSize"]) == ("MATCHED", "15")
        paid = Decimal(done["filledNotional"]) + Decimal(done["fee"])
        assert Decimal(await paper.cash()) == 10 - paid


async def test_a_failed_trade_is_undone_to_the_micro(paper: Paper) -> None:
    await paper.fault("fail_trade", times=1)
    order = (await paper.post("fails", body(size="10.123457"))).json
    assert order["filledSize"] == "10.123457"

    async def failed() -> Any:
        found = (await paper.get("fails")).json
        return found if found["trades"][0]["status"] == "FAILED" else None

    after = await until(failed)
    assert (after["filledSize"], after["filledNotional"], after["fee"]) == ("0", "0", "0")
    assert "transactionHash" not in after["trades"][0]
    assert (await paper.cash(), await paper.positions()) == ("1000", {})


async def test_cash_and_shares_balance_to_the_micro_after_everything(paper: Paper) -> None:
    await paper.put_book(book(asks={"0.51": "33.333333", "0.52": "17.1"}, bids={"0.5": "40.7"}))
    await paper.fault("fail_trade", probability_ppm=400_000)
    for n in range(12):
        side, limit = ("buy", "0.52") if n % 3 else ("sell", "0.5")
        await paper.post(n, body(size=f"{5 + n}.{n:06d}", limitPrice=limit), side=side)
        await paper.put_book(
            book(asks={"0.51": f"33.{n}", "0.52": f"17.{n}"}, bids={"0.5": f"40.{n}"})
        )

    async def settled() -> Any:
        state = await paper.state()
        done = {"CONFIRMED", "FAILED"}
        trades = [trade for order in state["orders"] for trade in order["trades"]]
        return state if all(trade["status"] in done for trade in trades) else None

    state = await until(settled)
    statuses = {trade["status"] for order in state["orders"] for trade in order["trades"]}
    assert statuses == {"CONFIRMED", "FAILED"}
    cash, shares = Decimal(1000), Decimal(0)
    for order in state["orders"]:
        sign = 1 if order["side"] == "BUY" else -1
        cash -= sign * Decimal(order["filledNotional"]) + Decimal(order["fee"])
        shares += sign * Decimal(order["filledSize"])
    assert Decimal(await paper.cash()) == cash
    assert sum(map(Decimal, (await paper.positions()).values())) == shares


async def test_redeem_pays_each_asset_once(paper: Paper) -> None:
    await paper.put_book(book(asks={"0.3": "100"}), OTHER_ASSET)

    async def redeem(name: str, data: bytes | None = None) -> Any:
        return await paper.post(name, data or redeem_body(), side="redeem")

    assert (await redeem("early")).code == "NOTHING_TO_REDEEM"
    await paper.post("up", body(size="10.5"))
    await paper.post("down", body(size="7", assetId=OTHER_ASSET, limitPrice="0.3"))
    assert (await redeem("early")).code == "MARKET_NOT_RESOLVED"
    before = Decimal(await paper.cash())
    await paper.put_book(book(payout="1"))
    await paper.put_book(book(payout="0"), OTHER_ASSET)
    assert (await paper.post("closed")).code == "MARKET_CLOSED"
    done = await redeem("r")
    assert done.json == {
        "idempotencyKey": key("r"),
        "followerProxy": PROXY,
        "conditionId": CONDITION,
        "payout": "10.5",
        "status": "CONFIRMED",
    }
    again = await redeem("r")
    assert (again.headers["Idempotent-Replay"], again.json) == ("true", done.json)
    assert (await redeem("r", redeem_body(followerUserId="other"))).code == "KEY_REUSED"
    assert (await redeem("other")).code == "NOTHING_TO_REDEEM"
    assert Decimal(await paper.cash()) - before == Decimal("10.5")
    assert await paper.positions() == {}


async def test_wallets_are_apart_and_unseen_ones_have_the_default_cash(paper: Paper) -> None:
    await paper.post("mine")
    assert await paper.cash(OTHER_PROXY) == "1000"
    assert await paper.positions(OTHER_PROXY) == {}
