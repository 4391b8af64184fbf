"""Every answer and frame has the documented fields, and other readers understand it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import websockets
from polymarket.models.clob.market_events import parse_market_event
from polymarket.models.clob.user_events import UserOrderEvent, UserTradeEvent, parse_user_events
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs, OrderPayload

from tests.paper_clob.harness import CONDITION, KEYS, NO, YES, Live, exchange
from tests.unit.venues.polymarket import clob_frames as clob


def _texts(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), str)


# The documented fields and their kinds: a dict has exactly these fields, a list items of one kind.
_ORDER = _texts(
    "id status market original_size outcome maker_address owner price side size_matched asset_id"
    " order_type"
) | {"associate_trades": list | None, "expiration": str | None}
ORDER_ROW = _ORDER | {"created_at": int}
ORDER_FRAME = _ORDER | _texts("created_at event_type order_owner timestamp type")
MAKER = _texts(
    "asset_id fee_rate_bps maker_address matched_amount order_id outcome owner price side"
)
TRADE_ROW = _texts(
    "id taker_order_id market asset_id side size fee_rate_bps price status match_time last_update"
    " outcome owner maker_address transaction_hash trader_side"
) | {"bucket_index": int, "maker_orders": [MAKER]}
TRADE_FRAME = TRADE_ROW | _texts("event_type timestamp trade_owner type")
CANCELS = {"canceled": [str], "not_canceled": dict}
TICK = _texts("asset_id event_type market new_tick_size old_tick_size timestamp")
CHANGE = _texts("asset_id price side size hash best_bid best_ask")
PRICE_CHANGE = _texts("event_type market timestamp") | {"price_changes": [CHANGE]}
LEVELS = [_texts("price size")]
BOOK = _texts("event_type market asset_id timestamp") | {"bids": LEVELS, "asks": LEVELS}


def check(ours: Any, kind: Any, *, beside: frozenset[str] = frozenset()) -> None:
    """Each documented field is there, of its kind; no other ones but those `beside`."""
    if isinstance(kind, dict):
        assert ours.keys() - beside == kind.keys()
        for name in kind:
            check(ours[name], kind[name], beside=beside)
    elif isinstance(kind, list):
        assert isinstance(ours, list)
        for one in ours:
            check(one, kind[0], beside=beside)
    else:
        assert type(ours) in (get_args(kind) or (kind,))


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (clob.open_order(), ORDER_ROW),
        (clob.filled_fok_order(), ORDER_ROW),
        (clob.placed(), ORDER_FRAME),
        (clob.partly_matched(), ORDER_FRAME),
        (clob.fok_killed(), ORDER_FRAME),
        (clob.trade_row(), TRADE_ROW),
        (clob.match_of_three_prices(), TRADE_FRAME),
        (clob.match_as_maker_of_the_other_outcome(), TRADE_FRAME),
        (clob.cancels("a", ended=["b"]), CANCELS),
        (clob.tick_size_change(YES), TICK),
        (clob.price_change(YES), PRICE_CHANGE),
        (clob.book(YES), BOOK),
    ],
)
def test_the_frames_of_our_tests_have_the_documented_fields(frame: Any, kind: Any) -> None:
    check(frame, kind)


def client(live: Live, key: str) -> ClobClient:
    made = ClobClient(live.url, 137, key=key)
    made.set_api_creds(made.create_or_derive_api_key())
    return made


@asynccontextmanager
async def channel(url: str, first: object, pings: int = 1) -> AsyncIterator[list[Any]]:
    """A socket, subscribed; what it is told, without pongs."""
    reported: list[Any] = []

    async def listen(socket: websockets.ClientConnection) -> None:
        async for text in socket:
            assert isinstance(text, str)
            if text != "PONG":
                found = json.loads(text)
                reported.extend(found if isinstance(found, list) else [found])

    async with websockets.connect(url) as socket:
        await socket.send(msgspec.json.encode(first).decode())
        for _ in range(pings):
            await socket.send("PING")
        while await socket.recv() != "PONG":
            pass
        task = asyncio.create_task(listen(socket))
        yield reported
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(reported: list[Any], holds: Any) -> None:
    for _ in range(6_000):
        if holds(reported):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited too long; told: {reported}")


async def test_user_frames_and_rows(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        maker = await asyncio.to_thread(client, live, KEYS[0])
        taker = await asyncio.to_thread(client, live, KEYS[1])
        creds = maker.creds
        auth = {"apiKey": creds.api_key, "secret": creds.api_secret}
        first = {"type": "user", "auth": auth | {"passphrase": creds.api_passphrase}}
        async with channel(f"{live.ws}/ws/user", first) as reported:

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
            await until(
                reported, lambda frames: any(f.get("status") == "CONFIRMED" for f in frames)
            )
        check(row, ORDER_ROW)
        check(trade, TRADE_ROW, beside=frozenset({"outcome_index"}))
        check(ended, CANCELS)
        check(again, CANCELS)
        orders = [frame for frame in reported if frame["event_type"] == "order"]
        trades = [frame for frame in reported if frame["event_type"] == "trade"]
        for frame in orders:
            check(frame, ORDER_FRAME)
        assert [frame["type"] for frame in orders] == ["PLACEMENT", "UPDATE", "CANCELLATION"]
        for frame in trades:
            check(frame, TRADE_FRAME, beside=frozenset({"outcome_index"}))
        assert [frame["status"] for frame in trades] == ["MATCHED", "MINED", "CONFIRMED"]
        events, dropped = parse_user_events(reported)
        assert not dropped
        assert {type(event) for event in events} == {UserOrderEvent, UserTradeEvent}


async def test_market_frames(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        await live.level("BUY", "0.4", "10")
        first = {"assets_ids": [YES, NO], "type": "market"}
        async with channel(f"{live.ws}/ws/market", first) as reported:
            await live.level("SELL", "0.6", "7.5")
            await live.level("BUY", "0.4", "0")
            trader = await asyncio.to_thread(client, live, KEYS[0])
            buy = OrderArgs(token_id=YES, price=0.6, size=5, side="BUY")
            await asyncio.to_thread(trader.create_and_post_order, buy)
            await live.notify("/tick", condition=CONDITION, tick="0.001")
            await live.notify("/resolve", condition=CONDITION, payouts=["1", "0"])
            await until(
                reported, lambda frames: any(f["event_type"] == "market_resolved" for f in frames)
            )
        kinds = [frame["event_type"] for frame in reported]
        assert kinds[:3] == ["price_change", "price_change", "last_trade_price"]
        tick = [frame for frame in reported if frame["event_type"] == "tick_size_change"]
        assert len(tick) == 2
        check(tick[0], TICK)
        changes = [frame for frame in reported if frame["event_type"] == "price_change"]
        for frame in changes:
            check(frame, PRICE_CHANGE)
        asks = [e for e in changes[0]["price_changes"] if e["asset_id"] == YES]
        assert (asks[0]["price"], asks[0]["size"], asks[0]["side"]) == ("0.6", "7.5", "SELL")
        assert (asks[0]["best_bid"], asks[0]["best_ask"]) == ("0.4", "0.6")
        mirror = [e for e in changes[0]["price_changes"] if e["asset_id"] == NO]
        assert (mirror[0]["price"], mirror[0]["side"]) == ("0.4", "BUY")
        for frame in reported:
            parse_market_event(frame)
