"""Orders, fills, balances, positions and forced reductions, as the private socket pushes them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import pytest

from tests.unit.venues.okx.samples import SWAP, TAG, directory, instrument, push
from tradingtools.venues.okx.account_frames import (
    OrderNews,
    UnknownInstrument,
    read_fills,
    read_orders,
)
from tradingtools.venues.okx.balances import AccountBook
from tradingtools.venues.okx.wire import Event, OperationAnswer, WireError, decode_frame
from tradingtools.venues.trading import AccountPosition, Balance, Fill, OrderStatus

OF = instrument(SWAP)
ORDER = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": "680800019749904384", "clOrdId": "a1",
    "tag": TAG, "side": "buy", "ordType": "limit", "px": "64250.5", "sz": "3.25", "state": "live",
    "accFillSz": "0", "fillSz": "0", "fillPx": "", "tradeId": "", "fillTime": "", "fillFee": "0",
    "fillFeeCcy": "", "fee": "0", "feeCcy": "USDT", "rebate": "0", "execType": "", "avgPx": "",
    "category": "normal", "cancelSource": "", "amendResult": "", "reqId": "", "code": "0",
    "uTime": "1796000000123", "posSide": "net", "tdMode": "cross", "lever": "5",
}  # fmt: skip
FILLED = {
    **ORDER, "state": "partially_filled", "accFillSz": "1.25", "fillSz": "1.25",
    "fillPx": "64250.4", "tradeId": "744876980", "fillTime": "1796000000120",
    "fillFee": "-0.40156500001", "fillFeeCcy": "USDT", "fee": "-0.40156500001", "execType": "T",
    "avgPx": "64250.4",
}  # fmt: skip
FILL = Fill(
    trade_id="744876980", order_id="a1", venue_order_id="680800019749904384",
    instrument_id="okx:BTC-USDT-SWAP", side="BUY", price=OF.price_of("64250.4"),
    size=OF.size_of("1.25"), fee=40156501, fee_currency="USDT", maker=False,
    venue_ms=1796000000120,
)  # fmt: skip


def news(row: Mapping[str, object]) -> OrderNews:
    (one,) = read_orders(push("orders", [row], instType="ANY").data, directory(), TAG)
    return one


def test_an_order_that_rests() -> None:
    reported = news(ORDER)

    assert reported.fill is None
    assert reported.forced is None
    report = reported.report
    assert (report.order_id, report.venue_order_id) == ("a1", "680800019749904384")
    assert (report.status, report.side) == (OrderStatus.OPEN, "BUY")
    assert OF.price_text(report.price) == "64250.5"
    assert OF.size_text(report.size) == "3.25"
    assert (report.filled_size, report.venue_ms, report.code) == (0, 1796000000123, "")


def test_a_fill_comes_with_its_order_and_its_fee_is_rounded_against_us() -> None:
    reported = news(FILLED)

    assert reported.fill == FILL
    assert reported.report.status is OrderStatus.PARTIALLY_FILLED
    assert OF.size_text(reported.report.filled_size) == "1.25"


def test_a_rebate_is_a_fee_below_zero_rounded_down() -> None:
    reported = news({**FILLED, "fillFee": "0.123456789", "execType": "M"})

    assert reported.fill is not None
    assert (reported.fill.fee, reported.fill.maker) == (-12345678, True)


def test_a_first_fill_has_the_fee_of_its_order() -> None:
    assert news({**FILLED, "fillFee": "", "fillFeeCcy": ""}).fill == FILL


@pytest.mark.parametrize("change", [{"accFillSz": "2"}, {"rebate": "0.1"}])
def test_a_fill_whose_fee_is_not_told_has_to_be_read(change: dict[str, object]) -> None:
    reported = news({**FILLED, "fillFee": "", **change})

    assert reported.fill is None
    assert reported.fill_untold


@pytest.mark.parametrize(
    ("change", "status", "code", "request_id"),
    [
        ({"state": "canceled", "cancelSource": "20"}, OrderStatus.CANCELLED, "20", ""),
        ({"state": "mmp_canceled"}, OrderStatus.CANCELLED, "", ""),
        ({"state": "filled"}, OrderStatus.FILLED, "", ""),
        ({"amendResult": "0", "reqId": "r1"}, OrderStatus.OPEN, "", "r1"),
        ({"amendResult": "-1", "reqId": "r1", "code": "51502"}, OrderStatus.OPEN, "51502", "r1"),
    ],
)
def test_how_it_ended_and_what_became_of_an_amend(
    change: dict[str, object], status: OrderStatus, code: str, request_id: str
) -> None:
    report = news({**ORDER, **change}).report

    assert (report.status, report.code, report.request_id) == (status, code, request_id)


def test_a_stranger_s_order_has_no_id_of_ours() -> None:
    market = {"tag": "", "ordType": "market", "px": "", "avgPx": "64250.123", "sz": "100"}

    report = news({**ORDER, **market}).report

    assert (report.order_id, OF.price_text(report.price)) == ("", "64250.123")


@pytest.mark.parametrize(
    ("category", "cause"),
    [
        ("full_liquidation", "liquidation"),
        ("partial_liquidation", "liquidation"),
        ("adl", "adl"),
        ("delivery", "delivery"),
    ],
)
def test_forced_reductions_are_told_beside_their_fill(category: str, cause: str) -> None:
    reported = news({**FILLED, "category": category, "tag": "", "clOrdId": ""})

    assert reported.forced is not None
    assert (reported.forced.cause, reported.forced.instrument_id) == (cause, "okx:BTC-USDT-SWAP")
    assert reported.fill is not None
    assert reported.fill.order_id == ""


def test_options_and_margin_are_left_alone() -> None:
    rows = [{**ORDER, "instType": "OPTION"}, {**ORDER, "instType": "MARGIN"}]

    assert not list(read_orders(push("orders", rows).data, directory(), TAG))


def test_an_instrument_that_is_not_known_is_named() -> None:
    with pytest.raises(UnknownInstrument) as error:
        news({**ORDER, "instId": "NEW-USDT-SWAP"})

    assert error.value.symbol == "NEW-USDT-SWAP"


@pytest.mark.parametrize(
    "change", [{"state": "odd"}, {"side": "long"}, {"accFillSz": "x"}, {"uTime": ""}]
)
def test_a_row_that_cannot_be_read_is_an_error(change: dict[str, object]) -> None:
    with pytest.raises(WireError):
        news({**ORDER, **change})


def test_rest_tells_the_same_fill() -> None:
    row = {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "tradeId": "744876980",
        "ordId": "680800019749904384", "clOrdId": "a1", "billId": "1", "tag": TAG,
        "fillPx": "64250.4", "fillSz": "1.25", "side": "buy", "execType": "T", "feeCcy": "USDT",
        "fee": "-0.40156500001", "ts": "1796000000121", "fillTime": "1796000000120",
    }  # fmt: skip

    assert list(read_fills(push("x", [row]).data, directory(), TAG)) == [FILL]
    untagged = {name: value for name, value in row.items() if name != "tag"}
    assert list(read_fills(push("x", [untagged]).data, directory(), TAG)) == [FILL]
    (stranger,) = read_fills(push("x", [{**row, "tag": "other"}]).data, directory(), TAG)
    assert stranger.order_id == ""


BALANCE = {"ccy": "USDT", "cashBal": "100.5276856979784612", "availBal": "90.1", "availEq": "91"}
POSITION = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "mgnMode": "cross", "posSide": "net",
    "pos": "-3.25", "avgPx": "64250.123456789012", "markPx": "64000", "liqPx": "70000.1",
    "lever": "5", "mgnRatio": "12.5", "uTime": "1796000000200",
}  # fmt: skip


def test_balances_and_positions_are_merged_from_what_changed() -> None:
    account = AccountBook(directory())
    btc = {"ccy": "BTC", "cashBal": "0.0000000051", "availBal": "", "availEq": "0.0000000051"}
    account.balances(push("account", [{"uTime": "1", "details": [BALANCE, btc]}]).data)
    changed = {**BALANCE, "cashBal": "7", "availBal": "6"}
    account.balances(push("account", [{"uTime": "1796000000100", "details": [changed]}]).data)
    account.positions(push("positions", [POSITION]).data)

    assert account.state.balances == (
        Balance(currency="USDT", total=Decimal(7), available=Decimal(6)),
        Balance(currency="BTC", total=Decimal("5.1E-9"), available=Decimal("5.1E-9")),
    )
    assert account.state.positions == (
        AccountPosition(
            instrument_id="okx:BTC-USDT-SWAP",
            size=OF.size_of("-3.25"),
            entry_price=Decimal("64250.123456789012"),
            mark_price=Decimal(64000),
            liquidation_price=Decimal("70000.1"),
            leverage=Decimal(5),
            margin_ratio=Decimal("12.5"),
        ),
    )
    assert account.state.venue_ms == 1796000000200

    account.positions(push("positions", [{**POSITION, "pos": "0"}]).data)
    assert not account.state.positions


def test_what_rest_leaves_out_is_gone() -> None:
    account = AccountBook(directory())
    account.balances(push("account", [{"details": [BALANCE]}]).data)
    account.positions(push("positions", [POSITION]).data)

    account.balances(push("x", [{"details": []}]).data, whole=True)
    account.positions(msgspec.Raw(b"[]"), whole=True)

    assert not account.state.balances
    assert not account.state.positions


def test_positions_of_long_short_mode_are_refused() -> None:
    with pytest.raises(WireError, match="mode must be net"):
        AccountBook(directory()).positions(push("x", [{**POSITION, "posSide": "long"}]).data)


def test_a_liquidation_is_warned_of() -> None:
    (warning,) = AccountBook(directory()).warnings(push("x", [POSITION]).data)

    assert warning.cause == "liquidation_warning"
    assert "margin ratio 12.5" in warning.detail


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}', Event),
        (b'{"event":"subscribe","arg":{"channel":"orders","instType":"ANY"}}', Event),
        (b'{"event":"notice","code":"64008","msg":"soon closed"}', Event),
        (b'{"id":"1","op":"order","code":"60014","msg":"too many"}', OperationAnswer),
        (b"pong", type(None)),
    ],
)
def test_frames_are_told_apart(frame: bytes, kind: type) -> None:
    assert isinstance(decode_frame(frame), kind)


@pytest.mark.parametrize(
    "frame", [b"", b"ping?", b"[]", b"{}", b'{"arg":{}}', b"\xff", b"[" * 3000]
)
def test_other_bytes_are_no_frame(frame: bytes) -> None:
    with pytest.raises(WireError):
        decode_frame(frame)
