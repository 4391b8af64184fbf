"""Recorded orders and trades, read into what happened to us, beside the venue's own SDK."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket.models.clob import OpenOrder
from polymarket.models.clob.user_events import UserOrderEvent, UserTradeEvent, parse_user_event

from tradingtools.venues.polymarket.account_rows import Owner, RowUnreadable
from tradingtools.venues.polymarket.order_index import OrderIndex
from tradingtools.venues.polymarket.trading_instruments import MarketFacts
from tradingtools.venues.polymarket.user_channel import decode
from tradingtools.venues.trading import AccountEvent, Fill, OrderReport, OrderStatus

RECORDED = Path(__file__).parent / "recorded" / "clob"
YES = "21742633143463906290569050155826241533067272736897614950488156847949938836455"
NO = "48331043336612883890938759509493159234755048973500640148014422747788308965732"
ONE = 1_000_000


def facts(asset: str) -> MarketFacts:
    return MarketFacts(asset_id=asset, condition_id="", neg_risk=False, fee_rate_micros=40_000)


def recorded(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def read(frame: object, *, key: str = "", address: str = "0x0", **known: str) -> list[AccountEvent]:
    index = OrderIndex()
    for order_id, venue_order_id in known.items():
        index.note(order_id, venue_order_id)
    text = frame if isinstance(frame, str) else json.dumps(frame)
    return list(decode(text, Owner(api_key=key, address=address), index, facts))


def fills(frame: object, **options: str) -> list[Fill]:
    found = read(frame, **options)
    assert all(isinstance(event, Fill) for event in found)
    return [event for event in found if isinstance(event, Fill)]


def test_a_maker_of_the_other_outcome_is_on_the_takers_side() -> None:
    """A taker buys Yes at 0.518; who sells him Yes is a seller, who bought No is a buyer."""
    trade = recorded("user_trade1")
    (bought,) = fills(trade, key="78132bc3-22af-6aa2-79ae-11929f821cae")
    assert (bought.instrument_id, bought.side) == (f"polymarket:{NO}", "BUY")
    assert (bought.price, bought.size, bought.maker, bought.fee) == (482_000, 10 * ONE, True, 0)
    (sold,) = fills(trade, key="86f776cc-e18b-c94e-80b4-a7364e0ecec5")
    assert (sold.instrument_id, sold.side) == (f"polymarket:{YES}", "SELL")
    assert (sold.price, sold.size, sold.maker) == (518_000, 247_680_000, True)
    assert not fills(trade, key="somebody-else")


def test_the_side_that_a_maker_names_stands() -> None:
    # Its asset was made that of the taker by who carried it; the outcomes tell that it is not.
    (fill,) = fills(recorded("user_trade3"), address="0xa3d82ed56f4c68d2328fb8c29e568ba2caf7d7c8")
    assert (fill.side, fill.price, fill.size) == ("BUY", 513_000, 5 * ONE)
    assert fill.venue_ms == 1_762_776_367_000


def test_two_of_our_orders_in_one_trade_are_two_fills() -> None:
    found = fills(
        recorded("user_trade4"),
        key="a93a3d32-74fa-dd2b-4b67-98bfa6fc5cb5",
        ours="0x67b598cab933c71389176573822be763192a35a8c37e49999a11d611a5882e7d",
    )
    assert [(fill.price, fill.size, fill.order_id) for fill in found] == [
        (400_000, 5 * ONE, ""),
        (300_000, 5 * ONE, "ours"),
    ]
    assert len({(fill.trade_id, fill.venue_order_id) for fill in found}) == 2


def test_a_taker_pays_the_mean_of_its_makers_and_a_fee() -> None:
    trade = recorded("user_trade4") | {"trader_side": "TAKER", "owner": "taker"}
    (fill,) = fills(trade, key="taker")
    assert (fill.side, fill.price, fill.size, fill.maker) == ("SELL", 350_000, 15 * ONE, False)
    assert fill.fee == 136_500  # 15 x 0.04 x 0.35 x 0.65
    mixed = recorded("user_trade1") | {"trader_side": "TAKER", "owner": "taker"}
    (bought,) = fills(mixed, key="taker")
    assert (bought.side, bought.price, bought.size) == ("BUY", 518_000, 1_096_870_000)


def test_the_taker_of_a_trade_that_we_made_is_not_us() -> None:
    trade = recorded("user_trade3") | {"owner": "ours"}
    assert not [fill for fill in fills(trade, key="ours") if not fill.maker]


@pytest.mark.parametrize(
    "status", ["MATCHED", "MINED", "RETRYING", "CONFIRMED", "MATCHED_NOT_BROADCASTED"]
)
def test_a_trade_that_fails_after_it_matched_undoes_its_fill(status: str) -> None:
    trade = recorded("user_trade2")
    (stands,) = fills(trade | {"status": status}, key="3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe")
    (undone,) = fills(
        trade | {"status": "TRADE_STATUS_FAILED"}, key="3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe"
    )
    assert (stands.undone, undone.undone) == (False, True)
    assert msgspec.to_builtins(stands) | {"undone": True} == msgspec.to_builtins(undone)


def test_a_status_that_nobody_knows_is_not_a_fill() -> None:
    with pytest.raises(RowUnreadable, match="status"):
        fills(recorded("user_trade2") | {"status": "PONDERED"})


@pytest.mark.parametrize(
    ("name", "status", "filled", "code"),
    [
        ("order_placement", OrderStatus.OPEN, 0, ""),
        ("ws_user_order_update", OrderStatus.PARTIALLY_FILLED, 25 * ONE, ""),
        ("ws_user_order_matched", OrderStatus.FILLED, 100 * ONE, ""),
        ("ws_user_order_cancellation", OrderStatus.CANCELLED, 0, "CANCELED"),
        ("ws_user_order_venue_cancel", OrderStatus.CANCELLED, 0, "INVALID"),
        ("order_cancel", OrderStatus.FILLED, 5 * ONE, "CANCELED"),
    ],
)
def test_recorded_orders(name: str, status: OrderStatus, filled: int, code: str) -> None:
    frame = recorded(name) | {"event_type": "order"}
    (found,) = read(frame)
    assert isinstance(found, OrderReport)
    assert (found.status, found.filled_size, found.code) == (status, filled, code)
    # The SDK reads no milliseconds here.
    official = parse_user_event(frame | {"created_at": "1703875200"})
    assert isinstance(official, UserOrderEvent)
    assert found.venue_order_id == official.payload.id
    assert (found.side, found.price) == (official.payload.side, int(official.payload.price * ONE))
    assert found.size == int(official.payload.original_size * ONE)
    assert found.instrument_id == f"polymarket:{official.payload.asset_id}"
    assert official.payload.timestamp is not None
    assert found.venue_ms == round(official.payload.timestamp.timestamp() * 1000)


def test_an_order_that_was_killed_says_why() -> None:
    (found,) = read(recorded("ws_user_order_fok_killed"))
    assert isinstance(found, OrderReport)
    assert (found.status, found.filled_size) == (OrderStatus.CANCELLED, 0)
    assert found.code.startswith("CANCELED_order couldn't be fully filled")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "CANCELED_EXPIRED_ORDER", "type": "CANCELLATION"}, OrderStatus.EXPIRED),
        ({"status": "CANCELED_MARKET_RESOLVED", "type": "CANCELLATION"}, OrderStatus.CANCELLED),
        ({"status": "DELAYED"}, OrderStatus.OPEN),
        ({"status": "UNMATCHED"}, OrderStatus.OPEN),
        ({"status": "SOMETHING_NEW"}, OrderStatus.OPEN),
        ({"status": None}, OrderStatus.OPEN),
        ({"status": "ORDER_STATUS_LIVE", "size_matched": "1"}, OrderStatus.PARTIALLY_FILLED),
        ({"status": "MATCHED", "size_matched": "1", "order_type": "FAK"}, OrderStatus.CANCELLED),
        (
            {"status": "MATCHED", "size_matched": "1", "order_type": "GTC"},
            OrderStatus.PARTIALLY_FILLED,
        ),
    ],
)
def test_what_could_still_fill_is_not_said_to_have_ended(
    changes: dict[str, object], status: OrderStatus
) -> None:
    (found,) = read(recorded("order_placement") | changes)
    assert isinstance(found, OrderReport)
    assert found.status is status


@settings(max_examples=60)
@given(
    status=st.sampled_from(["MATCHED", "MINED", "CONFIRMED", "FAILED"]),
    taker=st.sampled_from(["BUY", "SELL"]),
    legs=st.lists(
        st.tuples(st.integers(1, 99), st.integers(1, 10_000), st.booleans()), min_size=1, max_size=5
    ),
)
def test_makers_and_taker_hold_the_same_shares_and_money(
    status: str, taker: str, legs: list[tuple[int, int, bool]]
) -> None:
    """What the sides are and what was paid, judged by money: nothing comes from nowhere."""
    other = "SELL" if taker == "BUY" else "BUY"
    makers = [
        {
            "order_id": f"0x{n}",
            "owner": "all",
            "asset_id": NO if complement else YES,
            "matched_amount": str(shares / 100),
            "price": str((100 - cents if complement else cents) / 100),
            "side": taker if complement else other,
        }
        for n, (cents, shares, complement) in enumerate(legs)
    ]
    frame = recorded("user_trade2") | {
        "status": status,
        "side": taker,
        "size": str(sum(shares for _, shares, _ in legs) / 100),
        "maker_orders": makers,
        "owner": "all",
    }
    found = fills(frame, key="all")
    without = [{k: v for k, v in maker.items() if k != "side"} for maker in makers]
    assert fills(frame | {"maker_orders": without}, key="all") == found
    sign = {"BUY": 1, "SELL": -1}
    yes = sum(sign[f.side] * f.size for f in found if f.instrument_id.endswith(YES))
    no = sum(sign[f.side] * f.size for f in found if f.instrument_id.endswith(NO))
    paid = sum(sign[f.side] * f.size * f.price for f in found)
    assert yes == no  # sets are made and merged whole
    rounding = sum(f.size for f in found if not f.maker)
    assert 0 <= paid - yes * ONE < rounding  # a set costs 1 USDC; the mean rounds against the taker


def test_the_sdk_reads_the_same_trade() -> None:
    official = parse_user_event(recorded("user_trade4"))
    assert isinstance(official, UserTradeEvent)
    assert official.payload.maker_orders is not None
    for maker in official.payload.maker_orders:
        found = [
            fill
            for fill in fills(recorded("user_trade4"), key=maker.owner)
            if fill.venue_order_id == maker.order_id
        ]
        assert [(f.side, f.price, f.size) for f in found] == [
            (maker.side, int(maker.price * ONE), int(maker.matched_amount * ONE))
        ]


def test_rows_of_rest_are_read_like_frames() -> None:
    row = recorded("http_open_order")
    (found,) = read(row | {"event_type": "order"})
    official = OpenOrder.parse_response(row | {"associate_trades": []})
    assert isinstance(found, OrderReport)
    assert (found.status, found.filled_size) == (OrderStatus.PARTIALLY_FILLED, 25 * ONE)
    assert (found.price, found.size) == (
        int(official.price * ONE),
        int(official.original_size * ONE),
    )
    assert found.venue_ms == 1_703_875_200_000
    trade = recorded("http_trade_report") | {"event_type": "trade"}
    (fill,) = fills(trade, key="00000000-0000-0000-0000-000000000001")
    assert (fill.price, fill.size, fill.maker) == (500_000, 25 * ONE, False)
    assert fill.venue_ms == 1_704_067_200_000


@pytest.mark.parametrize(
    "frame",
    ["", "PONGS", "[1", '{"event_type":"order"}', '{"event_type":"trade","id":1}'],
)
def test_what_cannot_be_read_is_said(frame: str) -> None:
    with pytest.raises(RowUnreadable):
        read(frame)


def test_other_frames_and_arrays_are_taken() -> None:
    assert not read('{"event_type":"heartbeat"}')
    frames = [recorded("order_placement"), recorded("ws_user_order_fok_killed")]
    assert len(read(frames)) == 2
