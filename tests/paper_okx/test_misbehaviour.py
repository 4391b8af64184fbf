"""Test the misbehaviour that the control port asks for, and what the journal tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.paper_okx.harness import Live, until
from tests.paper_okx.raw import Rest, socket

SWAP = "BTC-USDT-SWAP"
ORDER = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1"}
FAR = {**ORDER, "px": "48000"}


@pytest.fixture
def rest(live: Live, request: pytest.FixtureRequest) -> Iterator[Rest]:
    """An account named after the test."""
    name = request.node.name
    live.account(name)
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    found = Rest(live, name)
    with found.http:
        yield found
    live.control.delete("/faults")
    live.notify("/running", parts=1)


def pending(rest: Rest) -> list[str]:
    return [row["clOrdId"] for row in rest.get("trade/orders-pending")["data"]]


def test_a_lost_answer_is_of_an_order_that_was_taken(live: Live, rest: Rest) -> None:
    live.notify("/faults", kind="lose", op="order")
    with pytest.raises(httpx.RemoteProtocolError):
        rest.order(**FAR, clOrdId="lost")
    assert pending(rest) == ["lost"]
    requested = next(one for one in live.journal() if one["account"] == rest.name)
    assert (requested["fault"], requested["status"], requested["body"]["clOrdId"]) == (
        "lose",
        0,
        "lost",
    )


def test_a_dropped_request_was_never_taken(live: Live, rest: Rest) -> None:
    live.notify("/faults", kind="drop", op="order")
    with pytest.raises(httpx.RemoteProtocolError):
        rest.order(**FAR, clOrdId="dropped")
    assert pending(rest) == []


def test_a_timeout_may_be_of_an_order_that_comes_later(live: Live, rest: Rest) -> None:
    live.notify("/faults", kind="late", op="order", ms=50)
    answer = rest.ask("POST", "trade/order", {**FAR, "clOrdId": "late"})
    assert (answer.status_code, answer.json()["code"]) == (400, "50004")
    until(lambda: pending(rest) == ["late"])


def test_a_cancel_may_overtake_its_place(live: Live, rest: Rest) -> None:
    live.notify("/faults", kind="late", op="order", ms=100)
    rest.order(**FAR, clOrdId="overtaken")
    cancel = rest.post("trade/cancel-order", {"instId": SWAP, "clOrdId": "overtaken"})
    assert cancel["data"][0]["sCode"] == "51400"
    until(lambda: pending(rest) == ["overtaken"])


def test_refusals_have_the_code_that_was_asked_for(live: Live, rest: Rest) -> None:
    live.notify("/faults", kind="reject", op="order", code="51008")
    live.notify("/faults", kind="status", op="order", status=502, skip=1)
    live.notify("/faults", kind="sub_limit", op="order")
    answers = [rest.ask("POST", "trade/order", FAR) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 429, 502, 200]
    assert answers[0].json()["data"][0]["sCode"] == "51008"
    assert answers[1].json()["code"] == "50061"
    assert answers[3].json()["data"][0]["sCode"] == "0"


def test_a_trade_may_come_in_parts(live: Live, rest: Rest) -> None:
    live.notify("/running", parts=3)
    rest.order(ordType="market", px="")
    fills = rest.get("trade/fills")["data"]
    assert [fill["fillSz"] for fill in fills] == ["0.34", "0.33", "0.33"]
    assert len({fill["tradeId"] for fill in fills}) == 3
    assert live.conserved()


async def test_pushes_are_repeated_held_and_lost(live: Live, rest: Rest) -> None:
    async with socket(live, "private", rest.name) as private:
        await private.say("subscribe", {"channel": "orders", "instType": "ANY"})
        await private.until(lambda one: one.get("event") == "subscribe")
        live.notify("/pushes", account=rest.name, repeat=1, lose=0)
        await asyncio.to_thread(rest.order, **FAR, clOrdId="twice")
        await private.until(lambda _: _count(private.messages, "twice") == 2)
        live.notify("/pushes", account=rest.name, lose=1)
        await asyncio.to_thread(rest.order, **FAR, clOrdId="never")
        await asyncio.to_thread(rest.order, **FAR, clOrdId="once")
        await private.data("orders", lambda row: row["clOrdId"] == "once")
        live.notify("/pushes", account=rest.name, hold_ms=50)
        await asyncio.to_thread(rest.order, **FAR, clOrdId="held")
        await private.data("orders", lambda row: row["clOrdId"] == "held")
    assert _count(private.messages, "never") == 0
    pushed = [
        one["body"]["data"][0]["clOrdId"]
        for one in live.journal()
        if one["kind"] == "pushed" and one["account"] == rest.name and one["what"] == "orders"
    ]
    assert pushed == ["twice", "never", "once", "held"]


async def test_a_connection_may_end_within_a_fill(live: Live, rest: Rest) -> None:
    async with socket(live, "private", rest.name) as private:
        live.notify("/faults", kind="disconnect", op="order")
        await private.say("order", {**ORDER, "ordType": "market"}, id="1")
        await private.socket.wait_closed()
    assert not [one for one in private.messages if one.get("op") == "order"]
    assert rest.get("account/positions")["data"][0]["pos"] == "1"


def test_an_unknown_wish_is_refused(live: Live) -> None:
    for path, body, word in (
        ("/faults", {"kind": "lose", "opp": "order"}, "opp"),
        ("/accounts", {"name": "x", "level": "Lv9"}, "level"),
        ("/marks", {"instId": "NO-SUCH", "px": "1"}, "instId"),
        ("/prints", {"instId": SWAP, "side": "buy", "px": "1.05", "sz": "1"}, "tick"),
    ):
        answer = live.control.post(path, json=body)
        assert answer.status_code == 400
        assert word in answer.json()["error"]


def _count(messages: list[dict[str, object]], client_id: str) -> int:
    return sum(
        row["clOrdId"] == client_id
        for one in messages
        if isinstance(one.get("data"), list)
        for row in one["data"]  # type: ignore[attr-defined]
        if "clOrdId" in row
    )
