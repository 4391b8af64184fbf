"""Rows of trades as the wire writes them: exact, in one spelling, or refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.venues.polymarket.trade_rows import (
    decode_data_row,
    decode_frame,
    decode_page,
    decode_position,
)
from tradingtools.venues.ports import Position, RowError

FRAME = (
    b'{"connection_id":"gVOKZI6JNWeIKEjigA==","payload":{"asset":"86773034724744448744514889729172'
    b'499268401134795843352779107239076687775715536","bio":"","conditionId":"0x6c0529846fd87559429f'
    b'b702416d4da1c9566cfd15317f9faaf62c436483a71a","eventSlug":"btc-updown-5m-1785027300","icon":"'
    b'https://x","name":"riceapplepie","outcome":"Up","outcomeIndex":0,"price":0.45,"profileImage":'
    b'"","proxyWallet":"0x1015bb260154F51E5F432cB0a3227C1619FCBac8","pseudonym":"Agile-Agog","side"'
    b':"BUY","size":4.33,"slug":"btc-updown-5m-1785027300","timestamp":1785027308,"title":"Bitcoin '
    b'Up or Down","transactionHash":"0x0a8e0353b2432ea36cb7ea163f212bddd8f1d1fe9078ef91c3d262b3f87'
    b'c4874"},"timestamp":1785027308241,"topic":"activity","type":"trades"}'
)


def frame(**payload: Any) -> bytes:
    """The frame with other payload values; `Raw` text for numbers comes as given."""
    body = json.loads(FRAME)
    body["payload"] |= payload
    return json.dumps(body).encode()


def numbered(name: str, text: str) -> bytes:
    """The frame with a number written exactly so."""
    return frame(**{name: "@"}).replace(b'"@"', text.encode())


@pytest.mark.parametrize("spelling", ["0.5", "0.50", '"0.500"', "5e-1", '"5E-1"', "0.5000000"])
def test_one_price_in_two_spellings_is_one_row(spelling: str) -> None:
    _, row = decode_frame(numbered("price", spelling))
    assert row == decode_frame(numbered("price", "0.5"))[1]
    assert row.price_text == "0.5"


@pytest.mark.parametrize("price", ["0", "1", "0.001", "0.14705882352941177", "0.0000001"])
def test_all_digits_of_a_price_are_kept(price: str) -> None:
    _, row = decode_frame(numbered("price", price))
    assert row.price_text == price


def test_a_real_frame_is_read_exactly() -> None:
    kind, row = decode_frame(FRAME)
    assert kind == "trades"
    assert row.leader == "0x1015bb260154f51e5f432cb0a3227c1619fcbac8"
    assert row.tx == "0x0a8e0353b2432ea36cb7ea163f212bddd8f1d1fe9078ef91c3d262b3f87c4874"
    assert (row.side, row.price_text, row.price_micros) == ("BUY", "0.45", 450_000)
    assert row.size_micros == 4_330_000
    assert row.traded_ms == 1_785_027_308_000
    assert (row.title, row.outcome) == ("Bitcoin Up or Down", "Up")


@pytest.mark.parametrize(
    ("written", "text", "micros"),
    [
        ("0.9300000035", "0.9300000035", 930_000),
        ("0.1234565", "0.1234565", 123_456),
        ("0.1234575", "0.1234575", 123_458),
        ('"0.45"', "0.45", 450_000),
        ("0.450", "0.45", 450_000),
        ("1", "1", 1_000_000),
        ("4.5e-1", "0.45", 450_000),
    ],
)
def test_the_price_keeps_its_digits_and_is_rounded_half_even(
    written: str, text: str, micros: int
) -> None:
    row = decode_frame(numbered("price", written))[1]
    assert (row.price_text, row.price_micros) == (text, micros)


@pytest.mark.parametrize("written", ['"4.33"', "4.33", "4.330000", "433e-2"])
def test_the_size_may_be_written_in_several_ways(written: str) -> None:
    assert decode_frame(numbered("size", written))[1].size_micros == 4_330_000


@pytest.mark.parametrize("written", ["1785027308", '"1785027308"', "1785027308000"])
def test_the_time_may_be_seconds_or_milliseconds(written: str) -> None:
    assert decode_frame(numbered("timestamp", written))[1].traded_ms == 1_785_027_308_000


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("size", "4.3300001"),
        ("size", "-4"),
        ("size", "0"),
        ("size", "1e400"),
        ("size", '"NaN"'),
        ("size", '"Infinity"'),
        ("size", "true"),
        ("size", "null"),
        ("size", "[1]"),
        ("size", "9300000000000000000"),
        ("size", "1000000000001"),
        ("price", "-0.1"),
        ("price", "1.01"),
        ("price", '"1_0"'),
        ("timestamp", "-5"),
        ("timestamp", "1.5"),
        ("timestamp", '"soon"'),
    ],
)
def test_a_number_that_is_none_is_refused(name: str, written: str) -> None:
    with pytest.raises(RowError) as caught:
        decode_frame(numbered(name, written))
    assert caught.value.reason == "bad_number"
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"transactionHash": "0x12"}, "bad_id"),
        ({"asset": "007"}, "bad_id"),
        ({"asset": str(2**256)}, "bad_id"),
        ({"conditionId": "zz"}, "bad_id"),
        ({"asset": 7}, "malformed"),
        ({"side": "HOLD"}, "malformed"),
        ({"proxyWallet": None}, "malformed"),
    ],
)
def test_a_payload_of_wrong_values_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError) as caught:
        decode_frame(frame(**changes))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"PONG", "not_json"),
        (b"{", "not_json"),
        (b'{"topic":"activity","type":"trades","payload":{"size":NaN}}', "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[]", "malformed"),
        (b"7", "malformed"),
        (b'{"topic":"activity","type":"trades"}', "malformed"),
        (FRAME.replace(b'"activity"', b'"comments"'), "unknown_topic"),
        (FRAME.replace(b'"trades"', b'"news"'), "unknown_topic"),
        (b'{"x":' + b"[" * 100_000, "not_json"),
    ],
)
def test_what_is_no_row_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        decode_frame(body)
    assert caught.value.reason == reason


@given(st.binary(max_size=400))
def test_any_bytes_are_a_row_or_refused(body: bytes) -> None:
    refused = []
    for decode in (decode_frame, decode_data_row, decode_page):
        try:
            decode(body)
        except RowError as error:
            refused.append(error.reason)
    assert {*refused} <= {"not_json", "malformed", "unknown_topic", "bad_number", "bad_id"}


@given(st.integers(0, len(FRAME) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_frame_is_a_row_or_refused(at: int, damage: bytes) -> None:
    try:
        row = decode_frame(FRAME[:at] + damage + FRAME[at + len(damage) :])[1]
    except RowError:
        return
    assert row.size_micros > 0
    assert 0 <= row.price_micros <= 1_000_000


def test_the_data_api_writes_the_same_row_in_its_own_way() -> None:
    payload = json.loads(FRAME)["payload"]
    body = {
        "proxy_wallet": payload["proxyWallet"].lower(),
        "transaction_hash": payload["transactionHash"],
        "condition_id": payload["conditionId"],
        "outcome_index": 999,
        "token_id": payload["asset"],
        **{name: payload[name] for name in ("side", "price", "size", "timestamp")},
        "title": payload["title"],
        "outcome": payload["outcome"],
    }
    assert decode_data_row(json.dumps(body).encode()) == decode_frame(FRAME)[1]


def test_a_page_gives_its_rows_and_the_next_cursor_only_when_there_is_more() -> None:
    rows, following = decode_page(
        b'{"data":[{"a":1},2],"pagination":{"limit":2,"has_more":true,"next_cursor":"xyz"}}'
    )
    assert [bytes(row) for row in rows] == [b'{"a":1}', b"2"]
    assert following == "xyz"
    last = b'{"data":[],"pagination":{"has_more":false,"next_cursor":"xyz"}}'
    assert decode_page(last) == ([], None)


def test_a_position_is_an_asset_and_its_shares() -> None:
    assert decode_position(b'{"token_id":"12","current_size":0.1234565,"avg_price":0.3}') == (
        "12",
        Position(123_456, ""),
    )
    with pytest.raises(RowError):
        decode_position(b'{"token_id":"12","current_size":-1}')
