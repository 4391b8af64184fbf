"""Orders, fills, balances and positions, as sockets push them and REST answers them. Pure.

A fill is told by the channel `orders` in the row of its order (`fills` wants a higher tier), and
again by REST. Whose order it was, its tag says: a stranger's has no id of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.instruments import Directory
from tradingtools.venues.okx.numbers import NumberError
from tradingtools.venues.okx.wire import WireError, decode_rows
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill, FundingPayment, Liquidation, OrderReport, OrderStatus

TRADED = frozenset({"SPOT", "FUTURES", "SWAP"})
"""Types of instruments that are read here; options and margin are left alone."""
_SIDES: dict[str, Side] = {"buy": "BUY", "sell": "SELL"}
_STATES = {
    "live": OrderStatus.OPEN,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "mmp_canceled": OrderStatus.CANCELLED,
}
_FORCED_TYPES = {
    **dict.fromkeys(("100", "101", "102", "103", "104", "105", "106", "107"), "liquidation"),
    **dict.fromkeys(("112", "113"), "delivery"),
    **dict.fromkeys(("125", "126", "127", "128"), "adl"),
}
"""By the type of a fill, as REST tells it."""
_FORCED = {
    "full_liquidation": "liquidation",
    "partial_liquidation": "liquidation",
    "adl": "adl",
    "delivery": "delivery",
}


class UnknownInstrument(WireError):
    """A row about an instrument that is not known: the instruments have to be read again."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"{symbol} is not known")
        self.symbol = symbol


class OrderStateRow(msgspec.Struct, frozen=True, rename="camel"):
    """An order as the channel and REST write it."""

    inst_type: str
    inst_id: str
    ord_id: str
    side: Literal["buy", "sell"]
    state: str
    sz: str
    acc_fill_sz: str
    u_time: str
    cl_ord_id: str = ""
    tag: str | None = None
    px: str = ""
    avg_px: str = ""
    fill_px: str = ""
    fill_sz: str = ""
    fill_time: str = ""
    fill_fee: str = ""
    fill_fee_ccy: str = ""
    fee: str = ""
    fee_ccy: str = ""
    rebate: str = ""
    trade_id: str = ""
    exec_type: str = ""
    category: str = ""
    cancel_source: str = ""
    amend_result: str = ""
    req_id: str = ""
    code: str = ""


class FillRow(msgspec.Struct, frozen=True, rename="camel"):
    """A row of `/trade/fills`."""

    inst_type: str
    inst_id: str
    trade_id: str
    ord_id: str
    fill_px: str
    fill_sz: str
    side: Literal["buy", "sell"]
    fee: str
    fee_ccy: str
    ts: str
    cl_ord_id: str = ""
    tag: str | None = None
    bill_id: str = ""
    exec_type: str = ""
    fill_time: str = ""
    sub_type: str = ""


class BillRow(msgspec.Struct, frozen=True, rename="camel"):
    """A row of `/account/bills` about funding."""

    bill_id: str
    inst_id: str
    inst_type: str
    bal_chg: str
    ts: str
    type: str


_ORDERS = msgspec.json.Decoder(list[OrderStateRow])
_FILLS = msgspec.json.Decoder(list[FillRow])
_BILLS = msgspec.json.Decoder(list[BillRow])
_FUNDING = "8"
"""The type of bills about funding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNews:
    """The news of one row of the channel `orders`."""

    report: OrderReport
    fill: Fill | None
    forced: Liquidation | None
    fill_untold: bool = False
    """There was a fill whose own fee is not told: fills have to be read."""


def read_orders(data: msgspec.Raw, directory: Directory, tag: str) -> Iterator[OrderNews]:
    """Yield what the rows of the channel or of REST say, in order.

    Args:
        data: rows.
        directory: the instruments.
        tag: that our orders carry.

    Raises:
        UnknownInstrument: of a kind that is traded, but not known.
        WireError: a row that cannot be read.
    """
    for row in decode_rows(data, _ORDERS):
        if row.inst_type in TRADED and not directory.refused(row.inst_id):
            yield _news(row, _instrument(directory, row.inst_id), tag)


def read_fills(data: msgspec.Raw, directory: Directory, tag: str) -> Iterator[Fill]:
    """Yield the fills of an answer of REST, in its order. Raises as `read_orders`."""
    for row in decode_rows(data, _FILLS):
        if row.inst_type in TRADED and not directory.refused(row.inst_id):
            instrument = _instrument(directory, row.inst_id)
            try:
                yield _fill_of_rest(row, instrument, tag)
            except NumberError as error:
                raise WireError(f"fill {row.trade_id}: {error}") from None


def read_funding(data: msgspec.Raw, directory: Directory) -> Iterator[FundingPayment]:
    """Yield the funding payments of an answer of REST, in its order. Raises as `read_orders`."""
    for row in decode_rows(data, _BILLS):
        if row.type == _FUNDING and row.inst_type in TRADED and not directory.refused(row.inst_id):
            instrument = _instrument(directory, row.inst_id)
            try:
                yield FundingPayment(
                    payment_id=row.bill_id,
                    instrument_id=instrument.id,
                    # What is paid is rounded up, what is got is rounded down.
                    amount=-_paid(row.bal_chg, instrument),
                    venue_ms=numbers.whole("ts", row.ts),
                )
            except NumberError as error:
                raise WireError(f"bill {row.bill_id}: {error}") from None


def _instrument(directory: Directory, symbol: str) -> Instrument:
    listing = directory.get(symbol)
    if listing is None:
        raise UnknownInstrument(symbol)
    return listing.instrument


def _news(row: OrderStateRow, instrument: Instrument, tag: str) -> OrderNews:
    try:
        report = _report(row, instrument, tag)
        fill, untold = _fill_of_order(row, instrument, tag)
        forced = _forced(row, instrument)
    except NumberError as error:
        raise WireError(f"order {row.ord_id}: {error}") from None
    return OrderNews(report=report, fill=fill, forced=forced, fill_untold=untold)


def _report(row: OrderStateRow, instrument: Instrument, tag: str) -> OrderReport:
    status = _STATES.get(row.state)
    if status is None:
        raise WireError(f"order {row.ord_id} is in state {row.state!r}")
    return OrderReport(
        order_id=_order_id(row.cl_ord_id, row.tag, tag),
        venue_order_id=row.ord_id,
        instrument_id=instrument.id,
        side=_SIDES[row.side],
        status=status,
        # A market order of a stranger has no price of its own, and maybe a size in quote.
        price=_near("px", row.px or row.avg_px or row.fill_px, instrument.price_digits),
        size=_near("sz", row.sz, instrument.size_digits),
        filled_size=numbers.scaled("accFillSz", row.acc_fill_sz or "0", instrument.size_digits),
        venue_ms=numbers.whole("uTime", row.u_time),
        code=_code(row),
        request_id=row.req_id if row.amend_result else "",
    )


def _code(row: OrderStateRow) -> str:
    if row.amend_result == "-1" and row.code not in ("", "0"):
        return row.code
    return row.cancel_source if row.state in ("canceled", "mmp_canceled") else ""


def _fill_of_order(
    row: OrderStateRow, instrument: Instrument, tag: str
) -> tuple[Fill | None, bool]:
    if not row.trade_id or row.fill_sz in ("", "0"):
        return None, False
    fee, currency = row.fill_fee, row.fill_fee_ccy
    size = numbers.scaled("fillSz", row.fill_sz, instrument.size_digits)
    if not fee:
        # `fee` is of the whole order: the first fill's own, and a sum afterwards.
        whole = numbers.scaled("accFillSz", row.acc_fill_sz, instrument.size_digits)
        if size != whole or row.rebate not in ("", "0"):
            return None, True
        fee, currency = row.fee, row.fee_ccy
    return Fill(
        trade_id=row.trade_id,
        order_id=_order_id(row.cl_ord_id, row.tag, tag),
        venue_order_id=row.ord_id,
        instrument_id=instrument.id,
        side=_SIDES[row.side],
        price=_near("fillPx", row.fill_px, instrument.price_digits),
        size=size,
        fee=_paid(fee, instrument),
        fee_currency=currency,
        maker=row.exec_type == "M",
        venue_ms=numbers.whole("fillTime", row.fill_time or row.u_time),
        forced=_FORCED.get(row.category, ""),
    ), False


def _fill_of_rest(row: FillRow, instrument: Instrument, tag: str) -> Fill:
    return Fill(
        trade_id=row.trade_id,
        order_id=_order_id(row.cl_ord_id, row.tag, tag),
        venue_order_id=row.ord_id,
        instrument_id=instrument.id,
        side=_SIDES[row.side],
        price=_near("fillPx", row.fill_px, instrument.price_digits),
        size=numbers.scaled("fillSz", row.fill_sz, instrument.size_digits),
        fee=_paid(row.fee, instrument),
        fee_currency=row.fee_ccy,
        maker=row.exec_type == "M",
        venue_ms=numbers.whole("fillTime", row.fill_time or row.ts),
        forced=_FORCED_TYPES.get(row.sub_type, ""),
    )


def _forced(row: OrderStateRow, instrument: Instrument) -> Liquidation | None:
    cause = _FORCED.get(row.category)
    if cause is None:
        return None
    return Liquidation(
        instrument_id=instrument.id,
        cause=cause,
        detail=f"{row.category}: {row.side} {row.acc_fill_sz} of {row.sz} at {row.avg_px or '-'}",
        venue_ms=numbers.whole("uTime", row.u_time),
    )


def _order_id(cl_ord_id: str, tag: str | None, ours: str) -> str:
    # Some answers leave the tag out; then the id itself has to do.
    return cl_ord_id if tag is None or tag == ours else ""


def _near(name: str, text: str, digits: int) -> int:
    return numbers.near_scale(numbers.decimal(name, text or "0"), digits)


def _paid(fee: str, instrument: Instrument) -> int:
    # The venue writes what it takes with a minus sign.
    charged = -numbers.decimal("fee", fee or "0")
    return numbers.ceiling_to_scale(charged, instrument.money_digits)
