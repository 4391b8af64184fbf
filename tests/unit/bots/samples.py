"""Instruments, books and orders for the tests of bots."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import Level, TradingBook, TradingCapabilities

AMENDS = TradingCapabilities(
    resting=True,
    amend=True,
    post_only=True,
    not_after=True,
    unique_order_id=False,
    order_id_known_before=False,
    found_for_ms=7_200_000,
)
CANCELS = TradingCapabilities(
    resting=True,
    amend=False,
    post_only=True,
    not_after=False,
    unique_order_id=True,
    order_id_known_before=True,
    found_for_ms=None,
)


def swap(*, inverse: bool = False, contract: str = "0.01") -> Instrument:
    """Return OKX' perpetual of bitcoin: ticks of 0.1, lots of 0.01 contracts."""
    return Instrument(
        id="okx:BTC-USD-SWAP" if inverse else "okx:BTC-USDT-SWAP",
        kind=InstrumentKind.SWAP,
        base="BTC",
        quote="USD" if inverse else "USDT",
        settle="BTC" if inverse else "USDT",
        price_digits=1,
        size_digits=2,
        money_digits=8,
        tick_size=1,
        lot_size=1,
        minimum_size=1,
        contract=Decimal(contract),
        inverse=inverse,
    )


def spot() -> Instrument:
    """Return OKX' spot market of bitcoin: ticks of 0.1, lots of 0.00001 bitcoin."""
    return Instrument(
        id="okx:BTC-USDT",
        kind=InstrumentKind.SPOT,
        base="BTC",
        quote="USDT",
        settle="USDT",
        price_digits=1,
        size_digits=8,
        money_digits=8,
        tick_size=1,
        lot_size=1_000,
        minimum_size=1_000,
    )


def outcome(asset: str = "yes") -> Instrument:
    """Return one outcome of a Polymarket market: micros, ticks of a cent, five shares at least."""
    return Instrument(
        id=f"polymarket:{asset}",
        kind=InstrumentKind.BINARY,
        base=asset,
        quote="USDC",
        settle="USDC",
        price_digits=6,
        size_digits=6,
        money_digits=6,
        tick_size=10_000,
        lot_size=10_000,
        minimum_size=5_000_000,
        group="0xmarket",
    )


def book(
    instrument: Instrument,
    bids: Sequence[Level],
    asks: Sequence[Level],
    *,
    status: BookStatus = BookStatus.FRESH,
    venue_ms: int = 0,
) -> TradingBook:
    return TradingBook(
        instrument_id=instrument.id, status=status, bids=bids, asks=asks, venue_ms=venue_ms
    )
