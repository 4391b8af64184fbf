"""Orders and trades of an account, read into what happened to us, beside the venue's own SDK."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket.models.clob import OpenOrder
from polymarket.models.clob.user_events import UserOrderEvent, UserTradeEvent, parse_user_event

from tests.unit.venues.polymarket import clob_frames as clob
from tests.unit.venues.polymarket.clob_frames import NO, YES, Row, address, api_key, word
from tradingtools.venues.polymarket.account_rows import Owner, RowUnreadable
from tradingtools.venues.polymarket.order_index import OrderIndex
from tradingtools.venues.polymarket.trading_instruments import MarketFacts
from tradingtools.venues.polymarket.user_channel import decode
from tradingtools.venues.trading import AccountEvent, Fill, OrderReport, OrderStatus

US = api_key("us")
ONE = 1_000_000


def facts(asset: str) -> MarketFacts:
    return MarketFacts(asset_id=asset, condition_id="", neg_risk=False, fee_rate_micros=40_000)


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
    """A taker buys Yes at 0.637; who sells him Yes is a seller, who bought No is a buyer."""
    trade = clob.match_of_both_outcomes()
    (bought,) = fills(trade, key=api_key("buyer of no"))
    assert (bought.instrument_id, bought.side) == (f"polymarket:{NO}", "BUY")
    assert (bought.price, bought.size, bought.maker, bought.fee) == (363_000, 12 * ONE, True, 0)
    (sold,) = fills(trade, key=api_key("seller"))
    assert (sold.instrument_id, sold.side) == (f"polymarket:{YES}", "SELL")
    assert (sold.price, sold.size, sold.maker) == (637_000, 150_250_000, True)
    assert not fills(trade, key="somebody-else")


def test_the_side_that_a_maker_names_stands() -> None:
    trade = clob.match_as_maker_of_the_other_outcome()
    # Where both rows name one asset, only what is said tells the side.
    for frame in (trade, trade | {"asset_id": YES}):
        (fill,) = fills(frame, address=address("us").lower())
        assert (fill.instrument_id, fill.side) == (f"polymarket:{YES}", "BUY")
        assert (fill.price, fill.size, fill.maker) == (637_000, 8 * ONE, True)
        assert fill.venue_ms == 1_769_904_061_000


def test_two_of_our_orders_in_one_trade_are_two_fills() -> None:
    found = fills(clob.match_of_three_prices(), key=US, ours=word("low"))
    assert [(fill.price, fill.size, fill.order_id) for fill in found] == [
        (450_000, 10 * ONE, ""),
        (300_000, 6 * ONE, "ours"),
    ]
    assert len({(fill.trade_id, fill.venue_order_id) for fill in found}) == 2


def test_a_taker_pays_the_mean_of_its_makers_and_a_fee() -> None:
    trade = clob.match_of_three_prices() | {"trader_side": "TAKER", "owner": "taker"}
    (fill,) = fills(trade, key="taker")
    assert (fill.side, fill.price, fill.size, fill.maker) == ("SELL", 395_000, 20 * ONE, False)
    assert fill.fee == 191_180  # 20 x 0.04 x 0.395 x 0.605
    mixed = clob.match_of_both_outcomes() | {"trader_side": "TAKER", "owner": "taker"}
    (bought,) = fills(mixed, key="taker")
    assert (bought.side, bought.price, bought.size) == ("BUY", 637_000, 201_750_000)


def test_the_taker_of_a_trade_that_we_made_is_not_us() -> None:
    trade = clob.match_as_maker_of_the_other_outcome() | {"owner": "ours"}
    assert not [fill for fill in fills(trade, key="ours") if not fill.maker]


@pytest.mark.parametrize(
    "status", ["MATCHED", "MINED", "RETRYING", "CONFIRMED", "MATCHED_NOT_BROADCASTED"]
)
def test_a_trade_that_fails_after_it_matched_undoes_its_fill(status: str) -> None:
    trade = clob.match_as_taker()
    (stands,) = fills(trade | {"status": status}, key=US)
    (undone,) = fills(trade | {"status": "TRADE_STATUS_FAILED"}, key=US)
    assert (stands.undone, undone.undone) == (False, True)
    assert msgspec.to_builtins(stands) | {"undone": True} == msgspec.to_builtins(undone)


def test_a_status_that_nobody_knows_is_not_a_fill() -> None:
    with pytest.raises(RowUnreadable, match="status"):
        fills(clob.match_as_taker() | {"status": "PONDERED"})


@pytest.mark.parametrize(
    ("frame", "status", "filled", "code"),
    [
        (clob.placed(), OrderStatus.OPEN, 0, ""),
        (clob.partly_matched(), OrderStatus.PARTIALLY_FILLED, 30 * ONE, ""),
        (clob.matched(), OrderStatus.FILLED, 80 * ONE, ""),
        (clob.cancelled(), OrderStatus.CANCELLED, 0, "CANCELED"),
        (clob.cancelled_by_venue(), OrderStatus.CANCELLED, 0, "INVALID"),
        (clob.cancelled_when_filled(), OrderStatus.FILLED, 8 * ONE, "CANCELED"),
    ],
)
def test_orders_as_they_stand(frame: Row, status: OrderStatus, filled: int, code: str) -> None:
    (found,) = read(frame)
    assert isinstance(found, OrderReport)
    assert (found.status, found.filled_size, found.code) == (status, filled, code)
    # The SDK reads no milliseconds here.
    official = parse_user_event(frame | {"created_at": "1769904000"})
    assert isinstance(official, UserOrderEvent)
    assert found.venue_order_id == official.payload.id
    assert (found.side, found.price) == (official.payload.side, int(official.payload.price * ONE))
    assert found.size == int(official.payload.original_size * ONE)
    assert found.instrument_id == f"polymarket:{official.payload.asset_id}"
    assert official.payload.timestamp is not None
    assert found.venue_ms == round(official.payload.timestamp.timestamp() * 1000)


def test_an_order_that_was_killed_says_why() -> None:
    (found,) = read(clob.fok_killed())
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
    (found,) = read(clob.placed() | changes)
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
    frame = clob.match_as_taker() | {
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
    official = parse_user_event(clob.match_of_three_prices())
    assert isinstance(official, UserTradeEvent)
    assert official.payload.maker_orders is not None
    for maker in official.payload.maker_orders:
        found = [
            fill
            for fill in fills(clob.match_of_three_prices(), key=maker.owner)
            if fill.venue_order_id == maker.order_id
        ]
        assert [(f.side, f.price, f.size) for f in found] == [
            (maker.side, int(maker.price * ONE), int(maker.matched_amount * ONE))
        ]


def test_rows_of_rest_are_read_like_frames() -> None:
    row = clob.open_order()
    (found,) = read(row | {"event_type": "order"})
    official = OpenOrder.parse_response(row | {"associate_trades": []})
    assert isinstance(found, OrderReport)
    assert (found.status, found.filled_size) == (OrderStatus.PARTIALLY_FILLED, 30 * ONE)
    assert (found.price, found.size) == (
        int(official.price * ONE),
        int(official.original_size * ONE),
    )
    assert found.venue_ms == 1_769_904_000_000
    (ended,) = read(clob.filled_fok_order() | {"event_type": "order"})
    assert isinstance(ended, OrderReport)
    assert (ended.status, ended.side, ended.filled_size) == (OrderStatus.FILLED, "SELL", 80 * ONE)
    trade = clob.trade_row() | {"event_type": "trade"}
    (fill,) = fills(trade, key=US)
    assert (fill.price, fill.size, fill.maker) == (250_000, 30 * ONE, False)
    assert fill.venue_ms == 1_769_904_000_000


@pytest.mark.parametrize(
    "frame",
    ["", "PONGS", "[1", '{"event_type":"order"}', '{"event_type":"trade","id":1}'],
)
def test_what_cannot_be_read_is_said(frame: str) -> None:
    with pytest.raises(RowUnreadable):
        read(frame)


def test_other_frames_and_arrays_are_taken() -> None:
    assert not read('{"event_type":"heartbeat"}')
    frames = [clob.placed(), clob.fok_killed()]
    assert len(read(frames)) == 2
