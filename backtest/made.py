"""Markets that a seed makes for the instruments of a bot, with units as the venues have them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from backtest.tape import SeededMarket, TapeEvent, merged, seeded
from services.bots.core.strategy import SignalEvent
from services.bots.strategies.delta_hedge import YEAR_MS, model
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.domain.strategies import DeltaHedgeConfig, SignalConfig
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Funding, Print, TradingBook

START_MS = 1_700_000_000_000
_COIN_PRICE = 64_000
_INTERVALS = 6


class MarketSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The liveliness and trend of a market that a seed makes."""

    seed: int = 1
    seconds: int = 3_600
    updates_per_second: float = 4.0
    prints_per_second: float = 1.0
    drift: float = 0.0
    """Ticks a second."""
    turn_s: float = 0.0
    """After so many seconds the trend turns round; 0: never."""


def instrument(instrument_id: str) -> Instrument:
    """Return an instrument with the units of its venue, as most of its kind have them there.

    Raises:
        ValueError: its venue has no seeded market.
    """
    venue, _, symbol = instrument_id.partition(":")
    if venue == "polymarket" and symbol:
        return Instrument(
            id=instrument_id, kind=InstrumentKind.BINARY, base=symbol, quote="USDC",
            settle="USDC", price_digits=6, size_digits=6, money_digits=6, tick_size=1_000,
            lot_size=10_000, minimum_size=5_000_000,
        )  # fmt: skip
    base, _, rest = symbol.partition("-")
    if venue != "okx" or not base or rest not in ("USDT", "USDT-SWAP"):
        raise ValueError(
            f"no seeded market for {instrument_id!r}: expected okx:<COIN>-USDT,"
            " okx:<COIN>-USDT-SWAP or polymarket:<asset>"
        )
    swap = rest == "USDT-SWAP"
    return Instrument(
        id=instrument_id, kind=InstrumentKind.SWAP if swap else InstrumentKind.SPOT, base=base,
        quote="USDT", settle="USDT", price_digits=10, size_digits=8, money_digits=8,
        tick_size=10**9, lot_size=10**6 if swap else 10**3, minimum_size=10**6 if swap else 10**3,
        contract=Decimal("0.01") if swap else Decimal(1),
    )  # fmt: skip


def made(
    config: Any, instruments: Sequence[Instrument], how: MarketSettings
) -> Iterator[TapeEvent]:
    """Make the market of a bot: a walk for each coin, its mirror for the other outcome.

    Args:
        config: of the strategy; a binary on a price is priced by its model, a signal bot gets
            signals.
        instruments: that it trades.
        how: the seed, and how lively it is.
    """
    if isinstance(config, DeltaHedgeConfig):
        by_id = {one.id: one for one in instruments}
        hedge = by_id[config.hedge_id]
        return priced(seeded(market(hedge, how)), config, hedge, how.seed)
    tapes: list[Iterable[TapeEvent]] = []
    binary: Instrument | None = None
    for one in instruments:
        if one.kind is InstrumentKind.BINARY and binary is not None:
            # One outcome is the other one's mirror; asks are now and then too low.
            tapes.append(mirrored(seeded(market(binary, how)), one, seed=how.seed + 1,
                                  dislocated=30_000))  # fmt: skip
            continue
        binary = one if one.kind is InstrumentKind.BINARY else binary
        tapes.append(seeded(market(one, how)))
        if one.kind is InstrumentKind.SWAP:
            tapes.append(fundings(one, how.seconds))
    if isinstance(config, SignalConfig):
        tapes.append(signals(instruments[0], how.seconds))
    return merged(*tapes)


def market(one: Instrument, how: MarketSettings) -> SeededMarket:
    """Return the walk of an instrument: all coins of one seed walk alike."""
    binary = one.kind is InstrumentKind.BINARY
    unit = 10**one.price_digits
    start = unit // 2 if binary else _COIN_PRICE * unit
    # A swap stands a little above its coin.
    start += 5 * unit if one.kind is InstrumentKind.SWAP else 0
    size = 40 if binary or one.kind is InstrumentKind.SWAP else 3
    return SeededMarket(
        instrument=one, seed=how.seed, start_ms=START_MS, seconds=how.seconds,
        updates_per_second=how.updates_per_second, prints_per_second=how.prints_per_second,
        start_price=start, drift=how.drift, turn_s=how.turn_s,
        level_size=size * 10**one.size_digits // (10 if one.kind is InstrumentKind.SWAP else 1),
    )  # fmt: skip


def mirrored(
    tape: Iterable[TapeEvent], other: Instrument, *, seed: int, dislocated: int
) -> Iterator[TapeEvent]:
    """Return the other outcome's books: now and then its asks are too low, or its bids too high."""
    rng = random.Random(seed)  # noqa: S311
    one, step = 10**other.price_digits, 10 * other.tick_size
    for event in tape:
        if isinstance(event, Print):
            # Who buys one outcome sells the other one.
            side: Side = "SELL" if event.side == "BUY" else "BUY"
            price = one - event.price
            yield msgspec.structs.replace(event, instrument_id=other.id, side=side, price=price)
        if not isinstance(event, TradingBook):
            continue
        moved = rng.choice((-dislocated, 0, dislocated)) if rng.random() < 0.1 else 0
        bids = tuple((one - price + moved, size) for price, size in event.asks)
        asks = tuple((one - price + moved, size) for price, size in event.bids)
        if moved < 0:
            # Cheap asks: the bids are lower still, and the other way round.
            bids = tuple((price - step, size) for price, size in bids)
        elif moved > 0:
            asks = tuple((price + step, size) for price, size in asks)
        yield msgspec.structs.replace(event, instrument_id=other.id, bids=bids, asks=asks)


def fundings(one: Instrument, seconds: int) -> Iterator[Funding]:
    """Return rates that pay shorts at first, and fall below zero for the last third."""
    interval = max(seconds * 1000 // _INTERVALS, 1)
    for n in range(_INTERVALS + 1):
        yield Funding(
            instrument_id=one.id,
            rate=Decimal("-0.0001") if n >= 4 else Decimal("0.0001"),
            at_ms=START_MS + (n + 1) * interval,
            interval_ms=interval,
        )


def signals(one: Instrument, seconds: int) -> Iterator[SignalEvent]:
    """Return opinions: up, down and neither by turns, about twelve of them."""
    for n, after in enumerate(range(5, seconds, max(seconds // 12, 5))):
        reported = START_MS + after * 1000
        direction = (1, -1, 0)[n % 3]
        yield SignalEvent(f"s{n}", one.id, direction, Decimal("0.9"), reported, reported + 60_000)


def priced(
    tape: Iterable[TapeEvent], config: DeltaHedgeConfig, hedge: Instrument, seed: int
) -> Iterator[TapeEvent]:
    """Return a hedge's market, and a binary on it that is now cheap and now dear by its model."""
    rng = random.Random(seed + 10)  # noqa: S311
    share, strike = 10**6, config.strike / 10**hedge.price_digits
    wave = 0.0
    for event in tape:
        yield event
        if not isinstance(event, TradingBook) or rng.random() > 0.3:
            continue
        wave = 0.9 * wave + rng.gauss(0, 0.02)
        price = (event.bids[0][0] + event.asks[0][0]) / 2 / 10**hedge.price_digits
        years = (config.expires_ms - event.venue_ms) / YEAR_MS
        fair, _ = model(price, strike, years, config.volatility)
        middle = min(max(round((fair + wave) * 1000), 20), 980) * 1000
        yield TradingBook(
            instrument_id=config.binary_id,
            status=event.status,
            bids=((middle - 5_000, 4_000 * share), (middle - 15_000, 9_000 * share)),
            asks=((middle + 5_000, 4_000 * share), (middle + 15_000, 9_000 * share)),
            venue_ms=event.venue_ms,
        )
