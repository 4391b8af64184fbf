"""The JSON of insiders-api: any bytes give a value that can be stored, or a WireError."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.domain.money import to_text
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade
from tradingtools.venues.insiders import schemas
from tradingtools.venues.insiders.schemas import WireError
from tradingtools.venues.ports import Capabilities

DEEP = [b"[" * 200_000, b'{"x":' + b"[" * 100_000, b'{"x":' * 40_000]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
texts = st.sampled_from(["0", "5", "-1", "1e3", "NaN", "0.0000001", "1_0", "", "9" * 30])


@st.composite
def nearly_orders(draw: st.DrawFn) -> bytes:
    trade = {
        "tradeId": draw(st.sampled_from(["t1", "t2", "", "\x00", "t\n", 7])),
        "size": draw(texts | values),
        "notional": draw(texts),
        "fee": draw(texts),
        "status": draw(st.sampled_from([*TradeStatus, "ELSE"])),
    }
    order = {
        "idempotencyKey": draw(st.sampled_from(["k", "", "\x00"])),
        "orderId": draw(st.sampled_from(["0x1", "", "\x00", "x" * 200])),
        "status": draw(st.sampled_from(["MATCHED", "VOIDED", ""])),
        "closed": draw(st.booleans() | values),
        "trades": draw(st.lists(st.just(trade), max_size=2) | values),
    }
    missing = draw(st.sets(st.sampled_from(sorted(order)), max_size=1))
    return json.dumps({k: v for k, v in order.items() if k not in missing}).encode()


@given(st.binary(max_size=60) | values.map(lambda v: json.dumps(v).encode()) | nearly_orders())
def test_any_bytes_give_an_order_or_a_wire_error(body: bytes) -> None:
    try:
        order = schemas.parse_order(body)
    except WireError:
        pass
    else:
        stored = [order.order_key, order.status, order.order_id]
        stored += [trade.trade_id for trade in order.trades]
        assert all("\x00" not in text and len(text) <= 128 for text in stored)
        for trade in order.trades:
            assert min(trade.size_micros, trade.notional_micros, trade.fee_micros) >= 0
            assert trade.trade_id
    schemas.parse_error(body)
    with contextlib.suppress(WireError):
        schemas.parse_capabilities(body)


@pytest.mark.parametrize("body", [*DEEP, b"\xff\xfe", b'{"idempotencyKey":"\\ud800"}'])
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        schemas.parse_order(body)
    with pytest.raises(WireError):
        schemas.parse_capabilities(body)
    assert schemas.parse_error(body) is None


amounts = st.integers(0, 10**15)
trades = st.builds(
    VenueTrade,
    trade_id=st.sampled_from(["t1", "t2", "t3"]),
    size_micros=amounts,
    notional_micros=amounts,
    fee_micros=amounts,
    status=st.sampled_from(TradeStatus),
)


@given(st.lists(trades, max_size=3), st.booleans())
def test_a_written_order_is_read_as_it_was(found: list[VenueTrade], closed: bool) -> None:
    body = {
        "idempotencyKey": "k",
        "orderId": "0x1",
        "status": "MATCHED",
        "closed": closed,
        "somethingNew": [1, {"a": 2}],
        "trades": [
            {
                "tradeId": trade.trade_id,
                "size": to_text(trade.size_micros),
                "notional": to_text(trade.notional_micros),
                "fee": to_text(trade.fee_micros),
                "status": trade.status,
            }
            for trade in found
        ],
    }
    assert schemas.parse_order(json.dumps(body).encode()) == VenueOrder(
        order_key="k", order_id="0x1", status="MATCHED", closed=closed, trades=tuple(found)
    )


def test_a_voided_key_needs_no_order_id() -> None:
    order = schemas.parse_order(b'{"idempotencyKey":"k","status":"VOIDED","closed":true}')
    assert order.voided
    assert order.order_id == ""


def test_a_body_beyond_the_limit_is_refused_unread() -> None:
    body = b'{"idempotencyKey":"k","status":"S","closed":true}'
    padded = body + b" " * (schemas.BODY_LIMIT_BYTES - len(body))
    assert schemas.parse_order(padded).order_key == "k"
    with pytest.raises(WireError, match="too large"):
        schemas.parse_order(padded + b" ")


def test_an_error_in_the_schema_gives_code_and_pause() -> None:
    body = b'{"error":{"code":"RATE_LIMITED","message":"slow down","retryAfterMs":250}}'
    assert schemas.parse_error(body) == ("RATE_LIMITED", 250)
    assert schemas.parse_error(b'{"error":{"code":"X","message":""}}') == ("X", None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"X"}',
        b'{"code":"X","message":""}',
        b'{"error":{"message":""}}',
        b'{"error":{"code":"","message":""}}',
        b'{"error":{"code":"A B","message":""}}',
        b'{"error":{"code":"A\\n","message":""}}',
        b'{"error":{"code":"X","message":"","retryAfterMs":-1}}',
        b"",
    ],
)
def test_what_is_not_the_error_schema_is_none(body: bytes) -> None:
    assert schemas.parse_error(body) is None


def capabilities(longest: object) -> bytes:
    names = ("idempotency", "notAfter", "getByKey", "void")
    flags = {name: name != "void" for name in names}
    return json.dumps({**flags, "longestProcessingMs": longest}).encode()


def test_capabilities_are_read() -> None:
    assert schemas.parse_capabilities(capabilities(2_000)) == Capabilities(
        True, True, True, False, 2_000
    )


@pytest.mark.parametrize("longest", [-1, 1.5, "5", None, 10**12])
def test_an_impossible_processing_time_is_refused(longest: object) -> None:
    # Taken for real, a negative one would move the horizon before the deadline.
    with pytest.raises(WireError):
        schemas.parse_capabilities(capabilities(longest))
