"""Seeded markets for each strategy at each of its places, and settings that trade on them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from backtest.exchange import FeeRates
from backtest.tape import SeededMarket, TapeEvent, merged, seeded
from services.bots.core.strategy import SignalEvent
from services.bots.strategies.delta_hedge import YEAR_MS, model
from tests.unit.bots.samples import outcome, spot, swap
from tradingtools.domain import strategies as settings
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Funding, Print, TradingBook

SWAP, SPOT = swap(), spot()
YES, NO = (replace(outcome(one), tick_size=1_000) for one in ("yes", "no"))
START = 1_700_000_000_000
ONE = 1_000_000
CENT = 10_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """A strategy at one place."""

    config: Any
    instruments: tuple[Instrument, ...]
    tape: Iterable[TapeEvent]
    most: int
    """Largest position of one instrument."""
    slots: frozenset[str]
    """That it explains with numbers."""
    pair: tuple[Instrument, Instrument] | None = None
    fees: FeeRates = field(default_factory=lambda: FeeRates(maker=20, taker=500))


def _swap(seconds: int, **more: Any) -> SeededMarket:
    return SeededMarket(
        instrument=SWAP, seed=5, start_ms=START, seconds=seconds, start_price=640_000,
        level_size=300, updates_per_second=4, **more,
    )  # fmt: skip


def _yes(seconds: int) -> SeededMarket:
    return SeededMarket(
        instrument=YES, seed=7, start_ms=START, seconds=seconds, start_price=500_000,
        level_size=40 * ONE, updates_per_second=2,
    )  # fmt: skip


def mirrored(tape: Iterable[TapeEvent], *, seed: int, dislocated: int) -> Iterator[TapeEvent]:
    """Return the other outcome's books: now and then its asks are too low, or its bids too high."""
    rng = random.Random(seed)  # noqa: S311
    for event in tape:
        if isinstance(event, Print):
            # Who buys one outcome sells the other one.
            side: Side = "SELL" if event.side == "BUY" else "BUY"
            price = ONE - event.price
            yield msgspec.structs.replace(event, instrument_id=NO.id, side=side, price=price)
        if not isinstance(event, TradingBook):
            continue
        moved = rng.choice((-dislocated, 0, dislocated)) if rng.random() < 0.1 else 0
        bids = tuple((ONE - price + moved, size) for price, size in event.asks)
        asks = tuple((ONE - price + moved, size) for price, size in event.bids)
        if moved < 0:
            # Cheap asks: the bids are lower still, and the other way round.
            bids = tuple((price - CENT, size) for price, size in bids)
        elif moved > 0:
            asks = tuple((price + CENT, size) for price, size in asks)
        yield msgspec.structs.replace(event, instrument_id=NO.id, bids=bids, asks=asks)


def _fundings(seconds: int) -> Iterator[Funding]:
    """Return rates that pay at first, and fall below zero for the last third."""
    interval = seconds * 1000 // 6
    for n in range(7):
        yield Funding(
            instrument_id=SWAP.id,
            rate=Decimal("-0.0001") if n >= 4 else Decimal("0.0001"),
            at_ms=START + (n + 1) * interval,
            interval_ms=interval,
        )


def _carry(seconds: int) -> Iterator[TapeEvent]:
    """Return spot and swap of one seed: the same walk, the swap a little above."""
    coin = replace(_swap(seconds), instrument=SPOT, level_size=300 * 10_000)
    above = replace(_swap(seconds), start_price=640_050)
    return merged(seeded(coin), seeded(above), _fundings(seconds))


def _priced(seconds: int, expires_ms: int) -> Iterator[TapeEvent]:
    """Return a swap, and a binary on it that is now cheap and now dear beside its model."""
    rng = random.Random(11)  # noqa: S311
    wave = 0.0
    for event in seeded(_swap(seconds)):
        yield event
        if not isinstance(event, TradingBook) or rng.random() > 0.3:
            continue
        wave = 0.9 * wave + rng.gauss(0, 0.02)
        price = (event.bids[0][0] + event.asks[0][0]) / 20
        years = (expires_ms - event.venue_ms) / YEAR_MS
        fair, _ = model(price, 64_000.0, years, 0.5)
        middle = round((fair + wave) * 1000) * 1000
        yield TradingBook(
            instrument_id=YES.id,
            status=event.status,
            bids=((middle - 5_000, 4_000 * ONE), (middle - 15_000, 9_000 * ONE)),
            asks=((middle + 5_000, 4_000 * ONE), (middle + 15_000, 9_000 * ONE)),
            venue_ms=event.venue_ms,
        )


def _signals(instrument: Instrument, seconds: int) -> Iterator[SignalEvent]:
    for n, after in enumerate(range(5, seconds, max(seconds // 12, 5))):
        made = START + after * 1000
        direction = (1, -1, 0)[n % 3]
        yield SignalEvent(f"s{n}", instrument.id, direction, Decimal("0.9"), made, made + 60_000)


def case(name: str, place: tuple[str, ...], seconds: int) -> Case:
    """Return a strategy at one of its places, on a market of so many seconds."""
    return _CASES[name, place](seconds)


def _maker(instrument: Instrument, market: SeededMarket, **more: Any) -> Case:
    other = (NO,) if more.get("complement_id") else ()
    tape = seeded(market)
    config = settings.MarketMakingConfig(instrument_id=instrument.id, **more)
    return Case(
        config=config,
        instruments=(instrument, *other),
        tape=merged(tape, mirrored(seeded(market), seed=3, dislocated=0)) if other else tape,
        most=config.max_position + config.order_size,
        slots=frozenset({"bid", "ask"}),
    )


def _grid(instrument: Instrument, market: SeededMarket, size: int, step: int) -> Case:
    config = settings.GridConfig(
        instrument_id=instrument.id,
        lower=market.start_price - 10 * step,
        upper=market.start_price + 10 * step,
        cells=20,
        order_size=size,
        opening_slippage=10 * step,
    )
    return Case(
        config=config,
        instruments=(instrument,),
        tape=seeded(market),
        most=21 * size,
        slots=frozenset({"level:0"}),
    )


def _dca(instrument: Instrument, market: SeededMarket, amount: int) -> Case:
    config = settings.DcaConfig(
        instrument_id=instrument.id, amount=amount, interval_s=20, take_profit=200
    )
    return Case(
        config=config,
        instruments=(instrument,),
        tape=seeded(market),
        most=10**15,
        slots=frozenset({"buy"}),
    )


def _signal(instrument: Instrument, market: SeededMarket, size: int) -> Case:
    config = settings.SignalConfig(
        instrument_id=instrument.id,
        position=size,
        half_life_s=60,
        max_slippage=10_000,
        reverse=True,
    )
    return Case(
        config=config,
        instruments=(instrument,),
        tape=merged(seeded(market), _signals(instrument, market.seconds)),
        most=2 * size,
        slots=frozenset({"position"}),
    )


def _arbitrage(seconds: int) -> Case:
    config = settings.ArbitrageConfig(
        instrument_id=YES.id,
        complement_id=NO.id,
        order_size=20 * ONE,
        max_sets=200 * ONE,
        min_edge=5_000,
        taker_fee=1_000,
        max_loss=5 * ONE,
    )
    market = _yes(seconds)
    return Case(
        config=config,
        instruments=(YES, NO),
        tape=merged(seeded(market), mirrored(seeded(market), seed=3, dislocated=30_000)),
        most=220 * ONE,
        slots=frozenset({"sets"}),
        pair=(YES, NO),
        fees=FeeRates(taker=1_000),
    )


def _funding(seconds: int) -> Case:
    config = settings.FundingArbitrageConfig(
        spot_id=SPOT.id,
        swap_id=SWAP.id,
        order_size=1_000_000,
        max_position=5_000_000,
        horizon_h=24,
        entry_rate=100_000,
        spot_fee=500,
        swap_fee=500,
        max_loss=10**11,
    )
    return Case(
        config=config,
        instruments=(SPOT, SWAP),
        tape=_carry(seconds),
        most=6_000_000,
        slots=frozenset({"rate"}),
        pair=(SPOT, SWAP),
    )


def _delta(seconds: int) -> Case:
    expires = START + 90 * 86_400_000
    config = settings.DeltaHedgeConfig(
        binary_id=YES.id,
        hedge_id=SWAP.id,
        strike=640_000,
        expires_ms=expires,
        volatility=0.5,
        order_size=1_000 * ONE,
        max_position=2_000 * ONE,
        min_edge=20_000,
        binary_fee=1_000,
        hedge_fee=500,
        max_loss=100 * ONE,
    )
    return Case(
        config=config,
        instruments=(YES, SWAP),
        tape=_priced(seconds, expires),
        most=2_000 * ONE,
        slots=frozenset({"model"}),
        pair=(YES, SWAP),
    )


_OKX, _POLYMARKET = ("okx",), ("polymarket",)
_CASES: Mapping[tuple[str, tuple[str, ...]], Callable[[int], Case]] = {
    ("arbitrage", _POLYMARKET): _arbitrage,
    ("dca", _OKX): lambda seconds: _dca(SWAP, _swap(seconds), 70_000_000_000),
    ("dca", _POLYMARKET): lambda seconds: _dca(YES, _yes(seconds), 10 * ONE),
    ("delta_hedge", ("polymarket", "okx")): _delta,
    ("funding_arbitrage", _OKX): _funding,
    ("grid", _OKX): lambda seconds: _grid(SWAP, _swap(seconds), 100, 4),
    ("grid", _POLYMARKET): lambda seconds: _grid(YES, _yes(seconds), 10 * ONE, 4_000),
    ("market_making", _OKX): lambda seconds: _maker(
        SWAP, _swap(seconds), order_size=100, max_position=500, risk_aversion=0.02,
        arrival_decay=20.0, min_half_spread=1, max_half_spread=30,
    ),
    ("market_making", _POLYMARKET): lambda seconds: _maker(
        YES, _yes(seconds), complement_id=NO.id, order_size=10 * ONE, max_position=50 * ONE,
        risk_aversion=0.1, arrival_decay=1000.0, max_half_spread=CENT,
    ),
    ("signal", _OKX): lambda seconds: _signal(SWAP, _swap(seconds), 500),
    ("signal", _POLYMARKET): lambda seconds: _signal(YES, _yes(seconds), 50 * ONE),
}  # fmt: skip
