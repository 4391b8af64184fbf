"""The holdings of one bot, and all that could still fill for it, in worth. Pure.

What could still fill counts as if it were filled on the side where it is worst: buys and sells that
rest are not netted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from services.bots.core.holding import Holding, unrealised
from services.bots.core.orders import BotOrder
from services.bots.core.risk.limits import Breach
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.ports import Side

CONTRACTS = frozenset({InstrumentKind.FUTURE, InstrumentKind.SWAP})


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPoint:
    """The price at which holdings are judged, and when its venue told it."""

    price: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """All that a bot holds, and that could still be filled for it."""

    holdings: Mapping[str, Holding]
    orders: Iterable[BotOrder]
    instruments: Mapping[str, Instrument]
    marks: Mapping[str, MarkPoint]
    sent_last_minute: int = 0
    money: Mapping[str, Decimal] | None = None
    """Of its account, by currency; None: not told yet."""
    closed: Mapping[tuple[str, Side], Breach] = field(default_factory=dict)
    """Sides of instruments on which nothing opens, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """The result of a bot over time: what it has made, and the highest that was."""

    result: int
    day_start: int
    peak: int
    day: int = 0
    """Days since the epoch, of the start of day."""


def market_of(instrument: Instrument) -> str:
    """Return what outcomes of one binary have in common; of others, the instrument itself."""
    binary = instrument.kind is InstrumentKind.BINARY and instrument.group
    return f"{instrument.venue}:{instrument.group}" if binary else instrument.id


def held(exposure: Exposure, instrument_id: str) -> Holding:
    """Return the holding of one instrument, which may be nothing."""
    return exposure.holdings.get(instrument_id, Holding())


def reserved(exposure: Exposure, instrument_id: str, side: Side) -> int:
    """Return the size that orders of one side could still fill."""
    return sum(
        one.reserved
        for one in exposure.orders
        if one.order.instrument.id == instrument_id and one.order.side == side
    )


def worst_position(exposure: Exposure, instrument_id: str, side: Side, adding: int = 0) -> int:
    """Return the holding if all orders of one side fill and none of the other, signed."""
    size = held(exposure, instrument_id).size
    more = reserved(exposure, instrument_id, side) + adding
    return size + more if side == "BUY" else size - more


def reduces(exposure: Exposure, instrument_id: str, side: Side, size: int) -> bool:
    """Return whether an order and all others of its side only make the holding smaller."""
    have = held(exposure, instrument_id).size
    if not have or (have > 0) == (side == "BUY"):
        return False
    return reserved(exposure, instrument_id, side) + size <= abs(have)


def holding_worth(exposure: Exposure, instrument_id: str) -> int:
    """Return the worth of a holding at its mark, and never less than its cost."""
    one = held(exposure, instrument_id)
    mark = exposure.marks.get(instrument_id)
    if not one.size or mark is None:
        return one.cost
    worth = exposure.instruments[instrument_id].notional(mark.price, abs(one.size), up=True)
    return max(one.cost, worth)


def order_worth(order: BotOrder) -> int:
    """Return the worth of what an order could still fill, at the worst of its limits."""
    instrument = order.order.instrument
    return max(instrument.notional(p, order.reserved, up=True) for p in order.worst_prices)


def gross_notional(exposure: Exposure) -> int:
    """Return the worth of all holdings at their marks, and of all that could still fill."""
    total = sum(
        holding_worth(exposure, instrument_id)
        for instrument_id, one in exposure.holdings.items()
        if one.size
    )
    return total + sum(order_worth(one) for one in exposure.orders)


def contract_notional(exposure: Exposure, currency: str) -> int:
    """Return the same of the futures and swaps that settle in one currency."""

    def counts(instrument: Instrument) -> bool:
        return instrument.kind in CONTRACTS and instrument.settle == currency

    total = sum(
        holding_worth(exposure, instrument_id)
        for instrument_id, one in exposure.holdings.items()
        if one.size and counts(exposure.instruments[instrument_id])
    )
    orders = (one for one in exposure.orders if counts(one.order.instrument))
    return total + sum(order_worth(one) for one in orders)


def net_notional(exposure: Exposure, side: Side) -> int:
    """Return longs less shorts if all orders of one side fill; of SELL, shorts less longs."""
    net = 0
    for instrument_id, one in exposure.holdings.items():
        if not one.size:
            continue
        toward = (one.size > 0) == (side == "BUY")
        mark = exposure.marks.get(instrument_id)
        if mark is None:
            # Nothing offsets that has no worth.
            net += one.cost if toward else 0
            continue
        instrument = exposure.instruments[instrument_id]
        worth = instrument.notional(mark.price, abs(one.size), up=toward)
        net += worth if toward else -worth
    return net + sum(order_worth(one) for one in exposure.orders if one.order.side == side)


def result(exposure: Exposure) -> tuple[int, int]:
    """Return what was made in all, and the part of it that is unrealised; rounded down."""
    made = open_gain = 0
    for instrument_id, one in exposure.holdings.items():
        made += one.made
        open_gain += _open_gain(exposure, instrument_id, one)
    return made + open_gain, open_gain


def market_results(exposure: Exposure) -> dict[str, int]:
    """Return what was made in each market, open gains included; rounded down."""
    found: dict[str, int] = {}
    for instrument_id, one in exposure.holdings.items():
        market = market_of(exposure.instruments[instrument_id])
        gain = one.made + _open_gain(exposure, instrument_id, one)
        found[market] = found.get(market, 0) + gain
    return found


def _open_gain(exposure: Exposure, instrument_id: str, one: Holding) -> int:
    mark = exposure.marks.get(instrument_id)
    price = mark.price if mark is not None else 0
    instrument = exposure.instruments[instrument_id]
    if not one.size or not (price or not instrument.inverse):
        return 0
    return unrealised(one, instrument, price)
