"""Prints, funding, mark and index prices, as the public socket pushes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
import pytest

from tests.unit.venues.okx.samples import SWAP, instrument, push
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx.market_frames import (
    read_funding,
    read_index,
    read_marks,
    read_prints,
)
from tradingtools.venues.okx.wire import WireError
from tradingtools.venues.trading import Funding, IndexPrice, MarkPrice, Print

OF = instrument(SWAP)
TRADE = {
    "instId": "BTC-USDT-SWAP", "tradeId": "130639474", "px": "64250.5", "sz": "0.12",
    "side": "buy", "ts": "1796000000000", "count": "3",
}  # fmt: skip
FUNDING = {
    "instId": "BTC-USDT-SWAP", "instType": "SWAP", "method": "current_period",
    "fundingRate": "-0.0001875391284828", "nextFundingRate": "", "fundingTime": "1796000400000",
    "nextFundingTime": "1796014800000", "ts": "1796000000000",
}  # fmt: skip
MARK = {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "markPx": "64250.12", "ts": "1796000000001"}
INDEX = {"instId": "BTC-USDT", "idxPx": "64249.9", "ts": "1796000000002"}


def test_a_print_has_the_taker_s_side() -> None:
    assert list(read_prints(push("trades", [TRADE, {**TRADE, "side": "sell"}]).data, OF)) == [
        Print(
            instrument_id=OF.id, trade_id="130639474", side=side, price=OF.price_of("64250.5"),
            size=OF.size_of("0.12"), venue_ms=1796000000000,
        )
        for side in ("BUY", "SELL")
    ]  # fmt: skip


def test_the_interval_of_funding_is_what_its_times_say() -> None:
    assert list(read_funding(push("funding-rate", [FUNDING]).data, OF)) == [
        Funding(
            instrument_id=OF.id, rate=Decimal("-0.0001875391284828"), at_ms=1796000400000,
            interval_ms=4 * 3_600_000,
        )
    ]  # fmt: skip


def test_mark_and_index_are_rounded_to_the_nearest_unit() -> None:
    assert list(read_marks(push("mark-price", [MARK]).data, OF)) == [
        MarkPrice(instrument_id=OF.id, price=OF.price_of("64250.12"), venue_ms=1796000000001)
    ]
    long = {**MARK, "markPx": "0.12345678905"}
    assert next(read_marks(push("mark-price", [long]).data, OF)).price == 1234567890
    assert list(read_index(push("index-tickers", [INDEX]).data, OF)) == [
        IndexPrice(instrument_id=OF.id, price=OF.price_of("64249.9"), venue_ms=1796000000002)
    ]


@pytest.mark.parametrize(
    ("read", "row"),
    [
        (read_prints, {**TRADE, "px": "x"}),
        (read_prints, {**TRADE, "sz": ""}),
        (read_prints, {**TRADE, "side": "hold"}),
        (read_funding, {**FUNDING, "nextFundingTime": ""}),
        (read_funding, {**FUNDING, "nextFundingTime": "1"}),
        (read_funding, {**FUNDING, "fundingRate": "nan"}),
        (read_marks, {**MARK, "markPx": "0"}),
        (read_index, {"idxPx": "1"}),
    ],
)
def test_a_row_that_cannot_be_read_is_an_error(
    read: Callable[[msgspec.Raw, Instrument], Iterable[object]], row: dict[str, str]
) -> None:
    with pytest.raises(WireError):
        list(read(push("x", [row]).data, OF))
