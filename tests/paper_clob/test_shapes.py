"""Every answer and frame has the fields of a recorded one, and other readers understand it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import websockets
from polymarket.models.clob.market_events import parse_market_event
from polymarket.models.clob.user_events import UserOrderEvent, UserTradeEvent, parse_user_events
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs, OrderPayload

from tests.paper_clob.harness import CONDITION, KEYS, NO, YES, Live, exchange

RECORDED = Path(__file__).parents[1] / "unit" / "venues" / "polymarket" / "recorded" / "clob"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def check(ours: Any, theirs: Any, *, beside: frozenset[str] = frozenset()) -> None:
    """Each field of the recorded one is there, of its kind; no other ones but those `beside`."""
    if isinstance(theirs, dict):
        assert ours.keys() - beside == theirs.keys() - beside
        for name in theirs.keys() - beside:
            if name != "not_canceled" and None not in (ours[name], theirs[name]):
                check(ours[name], theirs[name], beside=beside)
    elif isinstance(theirs, list):
        assert isinstance(ours, list)
        for one in ours:
            check(one, theirs[0], beside=beside)
    else:
        assert type(ours) is type(theirs)


def client(live: Live, key: str) -> ClobClient:
    made = ClobClient(live.url, 137, key=key)
    made.set_api_creds(made.create_or_derive_api_key())
    return made


@asynccontextmanager
async def channel(url: str, first: object, pings: int = 1) -> AsyncIterator[list[Any]]:
    """A socket, subscribed; what it is told, without pongs."""
    told: list[Any] = []

    async def listen(socket: websockets.ClientConnection) -> None:
        async for text in socket:
            assert isinstance(text, str)
            if text != "PONG":
                found = json.loads(text)
                told.extend(found if isinstance(found, list) else [found])

    async with websockets.connect(url) as socket:
        await socket.send(msgspec.json.encode(first).decode())
        for _ in range(pings):
            await socket.send("PING")
        while await socket.recv() != "PONG":
            pass
        task = asyncio.create_task(listen(socket))
        yield told
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(told: list[Any], holds: Any) -> None:
    for _ in range(6_000):
        if holds(told):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited too long; told: {told}")


async def test_user_frames_and_rows(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        maker = await asyncio.to_thread(client, live, KEYS[0])
        taker = await asyncio.to_thread(client, live, KEYS[1])
        creds = maker.creds
        auth = {"apiKey": creds.api_key, "secret": creds.api_secret}
        first = {"type": "user", "auth": auth | {"passphrase": creds.api_passphrase}}
        async with channel(f"{live.ws}/ws/user", first) as told:

            def play() -> tuple[Any, ...]:
                sell = OrderArgs(token_id=YES, price=0.5, size=20, side="SELL")
                placed = maker.create_and_post_order(sell)
                row = maker.get_order(placed["orderID"])
                buy = OrderArgs(token_id=YES, price=0.5, size=10, side="BUY")
                taker.create_and_post_order(buy)
                ended = maker.cancel_order(OrderPayload(orderID=placed["orderID"]))
                again = maker.cancel_order(OrderPayload(orderID=placed["orderID"]))
                return row, maker.get_trades()[0], ended, again

            row, trade, ended, again = await asyncio.to_thread(play)
            await until(told, lambda frames: any(f.get("status") == "CONFIRMED" for f in frames))
        check(
            row, recorded("http_open_order"), beside=frozenset({"expiration", "associate_trades"})
        )
        check(trade, recorded("http_trade_report"), beside=frozenset({"outcome_index"}))
        check(ended, recorded("http_cancel_response_ok"))
        check(again, recorded("http_cancel_response_failed"))
        orders = [frame for frame in told if frame["event_type"] == "order"]
        trades = [frame for frame in told if frame["event_type"] == "trade"]
        for frame in orders:
            check(frame, recorded("order_placement"), beside=frozenset({"associate_trades"}))
        assert [frame["type"] for frame in orders] == ["PLACEMENT", "UPDATE", "CANCELLATION"]
        for frame in trades:
            check(frame, recorded("user_trade3"), beside=frozenset({"outcome_index"}))
        assert [frame["status"] for frame in trades] == ["MATCHED", "MINED", "CONFIRMED"]
        events, dropped = parse_user_events(told)
        assert not dropped
        assert {type(event) for event in events} == {UserOrderEvent, UserTradeEvent}


async def test_market_frames(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        await live.level("BUY", "0.4", "10")
        first = {"assets_ids": [YES, NO], "type": "market"}
        async with channel(f"{live.ws}/ws/market", first) as told:
            await live.level("SELL", "0.6", "7.5")
            await live.level("BUY", "0.4", "0")
            trader = await asyncio.to_thread(client, live, KEYS[0])
            buy = OrderArgs(token_id=YES, price=0.6, size=5, side="BUY")
            await asyncio.to_thread(trader.create_and_post_order, buy)
            await live.tell("/tick", condition=CONDITION, tick="0.001")
            await live.tell("/resolve", condition=CONDITION, payouts=["1", "0"])
            await until(
                told, lambda frames: any(f["event_type"] == "market_resolved" for f in frames)
            )
        kinds = [frame["event_type"] for frame in told]
        assert kinds[:3] == ["price_change", "price_change", "last_trade_price"]
        tick = [frame for frame in told if frame["event_type"] == "tick_size_change"]
        assert len(tick) == 2
        check(tick[0], recorded("tick_size_change"))
        changes = [frame for frame in told if frame["event_type"] == "price_change"]
        for frame in changes:
            check(frame, recorded("ws_market_price_change_msg"))
        asks = [e for e in changes[0]["price_changes"] if e["asset_id"] == YES]
        assert (asks[0]["price"], asks[0]["size"], asks[0]["side"]) == ("0.6", "7.5", "SELL")
        assert (asks[0]["best_bid"], asks[0]["best_ask"]) == ("0.4", "0.6")
        mirror = [e for e in changes[0]["price_changes"] if e["asset_id"] == NO]
        assert (mirror[0]["price"], mirror[0]["side"]) == ("0.4", "BUY")
        for frame in told:
            parse_market_event(frame)
