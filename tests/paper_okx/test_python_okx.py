"""Test that the client `python-okx`, which others wrote, trades here by another URL alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from okx.Account import AccountAPI
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI
from okx.websocket.WsPrivateAsync import WsPrivateAsync
from okx.websocket.WsPublicAsync import WsPublicAsync

from tests.paper_okx.harness import PASSPHRASE, SECRET, WAIT_S, Live

SWAP = "BTC-USDT-SWAP"
# The client hands its body to httpx by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


class Client:
    """The client's parts with one account's keys."""

    def __init__(self, live: Live, name: str) -> None:
        where: dict[str, Any] = {"domain": live.rest, "flag": "0"}
        keys = {"api_key": name, "api_secret_key": SECRET, "passphrase": PASSPHRASE}
        self.account = AccountAPI(**keys, **where)
        self.trade = TradeAPI(**keys, **where)
        self.market = MarketAPI(**where)
        self.public = PublicAPI(**where)

    def order(self, **changes: str) -> Any:
        requested = {
            "instId": SWAP,
            "tdMode": "cross",
            "side": "buy",
            "ordType": "limit",
            "sz": "1",
            "px": "50000",
        }
        return self.trade.place_order(**{**requested, **changes})

    def close(self) -> None:
        for part in (self.account, self.trade, self.market, self.public):
            part.close()


Open = Callable[..., Client]


@pytest.fixture
def opened(live: Live) -> Iterator[Open]:
    """Open an account with a client of its own, the market standing at 49,990 and 50,010."""
    clients: list[Client] = []

    def open_(name: str, **more: Any) -> Client:
        live.account(name, **more)
        live.notify("/marks", instId=SWAP, px="50000")
        live.book(SWAP, "49990", "50010", "1000")
        clients.append(Client(live, name))
        return clients[-1]

    yield open_
    for client in clients:
        client.close()


def rows(answer: Any) -> Any:
    assert answer["code"] == "0", answer
    return answer["data"]


def test_public_data(live: Live, opened: Open) -> None:
    client = opened("reader")
    instruments = {row["instId"]: row for row in rows(client.public.get_instruments("SWAP"))}
    assert instruments[SWAP]["ctVal"] == "0.01"
    book = rows(client.market.get_orderbook(SWAP, "5"))[0]
    assert (book["bids"], book["asks"]) == (
        [["49990", "1000", "0", "1"]],
        [["50010", "1000", "0", "1"]],
    )
    tiers = rows(client.public.get_position_tiers("SWAP", "cross", instFamily="BTC-USDT"))
    assert tiers[0]["maxLever"] == "100"
    assert rows(client.public.get_funding_rate(SWAP))[0]["instId"] == SWAP
    live.notify("/prints", instId=SWAP, side="sell", px="49990", sz="3")
    assert rows(client.market.get_trades(SWAP, "1"))[0]["sz"] == "3"
    assert rows(client.market.get_ticker(SWAP))[0]["last"] == "49990"
    assert rows(client.market.get_candlesticks(SWAP, bar="1m"))[0][4] == "49990"


def test_place_amend_cancel_and_look_up(live: Live, opened: Open) -> None:
    client = opened("maker")
    placed = rows(client.order(clOrdId="m1", tag="bot"))[0]
    assert (placed["sCode"], placed["clOrdId"], placed["tag"]) == ("0", "m1", "bot")
    assert rows(client.trade.amend_order(SWAP, ordId=placed["ordId"], newSz="2", newPx="49995"))
    open_ = rows(client.trade.get_order_list(instType="SWAP"))
    assert [(one["sz"], one["px"], one["state"]) for one in open_] == [("2", "49995", "live")]
    assert rows(client.trade.cancel_order(SWAP, clOrdId="m1"))[0]["sCode"] == "0"
    found = rows(client.trade.get_order(SWAP, clOrdId="m1"))[0]
    assert (found["state"], found["cancelSource"]) == ("canceled", "1")
    again = client.trade.cancel_order(SWAP, clOrdId="m1")
    assert (again["code"], again["data"][0]["sCode"]) == ("1", "51400")


def test_a_batch_may_partly_fail(live: Live, opened: Open) -> None:
    client = opened("batcher")
    good = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1"}
    answer = client.trade.place_multiple_orders(
        [{**good, "px": "49000"}, {**good, "px": "49000", "sz": "0.001"}]
    )
    assert answer["code"] == "2"
    assert [row["sCode"] for row in answer["data"]] == ["0", "51121"]


def test_fills_balances_and_positions(live: Live, opened: Open) -> None:
    client = opened("taker")
    assert rows(client.account.set_leverage("10", "isolated", instId=SWAP))[0]["lever"] == "10"
    rows(client.order(tdMode="isolated", ordType="market", px="", sz="20"))
    order = rows(client.trade.get_orders_history("SWAP"))[0]
    assert (order["state"], order["avgPx"], order["accFillSz"]) == ("filled", "50010", "20")
    fill = rows(client.trade.get_fills("SWAP"))[0]
    assert (fill["execType"], fill["fee"], fill["fillSz"]) == ("T", "-5.001", "20")
    position = rows(client.account.get_positions("SWAP"))[0]
    assert (position["pos"], position["margin"], position["lever"]) == ("20", "1000.2", "10")
    # margin - face * q * entry over face * q * (mmr + fee - 1), rounded up to the tick
    assert position["liqPx"] == "45212.5"
    balance = rows(client.account.get_account_balance("USDT"))[0]["details"][0]
    assert balance["cashBal"] == "98994.799"
    live.notify("/marks", instId=SWAP, px="50110")
    assert rows(client.account.get_positions("SWAP"))[0]["upl"] == "20"
    live.notify("/funding", instId=SWAP, rate="0.0001", due=True)
    assert rows(client.account.get_positions("SWAP"))[0]["fundingFee"] == "-1.0022"
    closed = client.trade.close_positions(SWAP, "isolated")
    assert closed["code"] == "0"
    assert rows(client.account.get_positions("SWAP")) == []
    assert live.conserved()


def test_leverage_and_modes_are_refused_by_code(live: Live, opened: Open) -> None:
    client = opened("bounded")
    assert client.account.set_leverage("101", "cross", instId=SWAP)["code"] == "59102"
    assert client.account.set_position_mode("long_short_mode")["code"] == "51000"
    config = rows(client.account.get_account_config())[0]
    assert (config["acctLv"], config["posMode"], config["perm"]) == (
        "2",
        "net_mode",
        "read_only,trade",
    )
    spot = opened("spotonly", mode="1")
    assert spot.order()["data"][0]["sCode"] == "51010"


def test_a_liquidation_is_seen_everywhere(live: Live, opened: Open) -> None:
    client = opened("gambler")
    rows(client.account.set_leverage("100", "isolated", instId=SWAP))
    rows(client.order(tdMode="isolated", ordType="market", px="", sz="100"))
    live.notify("/marks", instId=SWAP, px="49700")
    assert rows(client.account.get_positions("SWAP")) == []
    order = rows(client.trade.get_orders_history("SWAP"))[0]
    assert (order["category"], order["side"], order["avgPx"]) == (
        "full_liquidation",
        "sell",
        "49509.9",
    )
    assert live.conserved()


def test_orders_and_fills_by_socket(live: Live, opened: Open) -> None:
    opened("streamer")
    received: list[dict[str, Any]] = []

    async def trade() -> None:
        private = WsPrivateAsync("streamer", PASSPHRASE, SECRET, live.socket("private"))
        reading = await private.start()

        def callback(text: str) -> None:
            received.append(json.loads(text))

        private.callback = callback
        await private.login()
        await _received(received, lambda one: one.get("event") == "login")
        channels = [{"channel": "orders", "instType": "ANY"}]
        channels += [{"channel": "positions", "instType": "SWAP"}, {"channel": "account"}]
        await private.send("subscribe", channels)
        for channel in ("orders", "positions", "account"):
            await _received(
                received,
                lambda one, of=channel: (
                    one.get("event") == "subscribe" and one["arg"]["channel"] == of
                ),
            )
        order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "5"}
        await private.place_order([{**order, "clOrdId": "s1"}], id="7")
        ack = await _received(received, lambda one: one.get("op") == "order")
        assert (ack["id"], ack["code"], ack["data"][0]["sCode"]) == ("7", "0", "0")
        filled = await _received(
            received, lambda one: _is(one, "orders") and one["data"][0]["state"] == "filled"
        )
        row = filled["data"][0]
        assert (row["fillSz"], row["execType"], row["clOrdId"]) == ("5", "T", "s1")
        position = await _received(
            received, lambda one: _is(one, "positions") and one.get("eventType") == "event_update"
        )
        assert position["data"][0]["pos"] == "5"
        await private.stop()
        await asyncio.wait_for(reading, WAIT_S)

    asyncio.run(trade())


def test_a_book_by_socket_continues_by_sequence(live: Live, opened: Open) -> None:
    opened("watcher")
    received: list[dict[str, Any]] = []

    async def watch() -> None:
        public = WsPublicAsync(live.socket("public"))
        reading = await public.start()
        await public.subscribe(
            [{"channel": "books", "instId": SWAP}], lambda text: received.append(json.loads(text))
        )
        first = await _received(received, lambda one: one.get("action") == "snapshot")
        await asyncio.to_thread(live.book, SWAP, "49980", "50020", "7")
        update = await _received(received, lambda one: one.get("action") == "update")
        before, after = first["data"][0], update["data"][0]
        assert (before["prevSeqId"], after["prevSeqId"]) == (-1, before["seqId"])
        assert after["seqId"] > before["seqId"]
        assert after["checksum"] == 0
        assert sorted(after["bids"]) == [["49980", "7", "0", "1"], ["49990", "0", "0", "0"]]
        await public.stop()
        await asyncio.wait_for(reading, WAIT_S)

    asyncio.run(watch())


def _is(message: dict[str, Any], channel: str) -> bool:
    return "data" in message and message.get("arg", {}).get("channel") == channel


async def _received(received: list[dict[str, Any]], desired: Any) -> dict[str, Any]:
    """The first message that is wanted; fails after WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for message in received:
                if desired(message):
                    return message
            await asyncio.sleep(0.005)
