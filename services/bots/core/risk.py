"""The limits of one bot, and what a breach of them does. Pure.

What could still fill counts as if it were filled on the side where it is worst: buys and sells that
rest are not netted. A limit that is not set does not exist; one of zero lets nothing in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.bots.core.holding import Holding, unrealised
from services.bots.core.orders import BotOrder
from tradingtools.domain.bot_order_states import ENDED
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side


class RiskAction(StrEnum):
    """The consequence of a breach, from the mildest to the hardest."""

    REFUSE = "REFUSE"
    """This order is not sent."""
    REDUCE_ONLY = "REDUCE_ONLY"
    CANCEL_AND_STOP = "CANCEL_AND_STOP"
    """RISK_STOPPED: only a person resumes it."""
    FLATTEN_AND_STOP = "FLATTEN_AND_STOP"


class RiskLimit(StrEnum):
    """The limits of a bot. Values are what settings, reasons and REST call them."""

    MAX_POSITION = "max_position"
    MAX_NOTIONAL = "max_notional"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    MAX_ORDERS_PER_MINUTE = "max_orders_per_minute"
    MAX_DAILY_LOSS = "max_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    MAX_UNREALISED_LOSS = "max_unrealised_loss"
    MAX_OPEN_ORDERS = "max_open_orders"
    STALE_MARKS = "stale_marks"
    ORDER_AFTER_ITS_END = "order_after_its_end"
    """No number: an order exists that had provably ended."""


ACTIONS: Mapping[RiskLimit, RiskAction] = {
    RiskLimit.MAX_POSITION: RiskAction.REFUSE,
    RiskLimit.MAX_NOTIONAL: RiskAction.REFUSE,
    RiskLimit.MAX_ORDER_NOTIONAL: RiskAction.REFUSE,
    RiskLimit.MAX_ORDERS_PER_MINUTE: RiskAction.REFUSE,
    RiskLimit.MAX_OPEN_ORDERS: RiskAction.REFUSE,
    RiskLimit.STALE_MARKS: RiskAction.REDUCE_ONLY,
    RiskLimit.ORDER_AFTER_ITS_END: RiskAction.CANCEL_AND_STOP,
    RiskLimit.MAX_DAILY_LOSS: RiskAction.CANCEL_AND_STOP,
    RiskLimit.MAX_DRAWDOWN: RiskAction.CANCEL_AND_STOP,
    RiskLimit.MAX_UNREALISED_LOSS: RiskAction.FLATTEN_AND_STOP,
}
"""What each breach does; settings may choose a harder action, never a milder one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """The limits of one bot; None: there is none. Money in units of its settle currency."""

    max_position: int | None = None
    """Size of one instrument on either side, in its units."""
    max_notional: int | None = None
    """Worth of all that is held and could still fill, over all instruments."""
    max_order_notional: int | None = None
    max_orders_per_minute: int | None = None
    max_open_orders: int | None = None
    max_daily_loss: int | None = None
    max_drawdown: int | None = None
    """From the highest result since the bot began."""
    max_unrealised_loss: int | None = None
    mark_age_ms: int = 5_000
    """A mark that is older counts as stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that is reached, or that an order would pass."""

    limit: RiskLimit
    action: RiskAction
    detail: str
    """For a person, with numbers."""


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


def reserved(exposure: Exposure, instrument_id: str, side: Side) -> int:
    """Return the size that orders of one side could still fill."""
    return sum(
        one.reserved
        for one in exposure.orders
        if one.order.instrument.id == instrument_id and one.order.side == side
    )


def worst_position(exposure: Exposure, instrument_id: str, side: Side, adding: int = 0) -> int:
    """Return the holding if all orders of one side fill and none of the other, signed."""
    held = exposure.holdings.get(instrument_id, Holding()).size
    more = reserved(exposure, instrument_id, side) + adding
    return held + more if side == "BUY" else held - more


def _reduces(exposure: Exposure, instrument_id: str, side: Side, size: int) -> bool:
    """Return whether an order and all others of its side only make the holding smaller."""
    held = exposure.holdings.get(instrument_id, Holding()).size
    if not held or (held > 0) == (side == "BUY"):
        return False
    return reserved(exposure, instrument_id, side) + size <= abs(held)


def admits(
    limits: RiskLimits,
    exposure: Exposure,
    *,
    instrument: Instrument,
    side: Side,
    price: int,
    size: int,
    now_ms: int,
) -> Breach | None:
    """Return the limit that an order, or the increase of one, would pass; None: it may go.

    What only reduces the holding passes every limit but the number of orders.

    Args:
        limits: of the bot.
        exposure: as of now, without this order.
        instrument: of the order.
        side: of the order.
        price: its limit.
        size: what it adds to what could fill.
        now_ms: milliseconds since the epoch.
    """
    most = limits.max_orders_per_minute
    if most is not None and exposure.sent_last_minute >= most:
        return _breach(RiskLimit.MAX_ORDERS_PER_MINUTE, f"{most} orders left within a minute")
    if _reduces(exposure, instrument.id, side, size):
        return None
    mark = exposure.marks.get(instrument.id)
    if mark is None or now_ms - mark.at_ms > limits.mark_age_ms:
        age = "there is none" if mark is None else f"it is {now_ms - mark.at_ms} ms old"
        return _breach(RiskLimit.STALE_MARKS, f"no fresh mark of {instrument.id}: {age}")
    return _passes_size(limits, exposure, instrument, side, price, size)


def _passes_size(
    limits: RiskLimits,
    exposure: Exposure,
    instrument: Instrument,
    side: Side,
    price: int,
    size: int,
) -> Breach | None:
    worth = instrument.notional(price, size, up=True)
    most = limits.max_order_notional
    if most is not None and worth > most:
        text = f"an order of {instrument.money_text(worth)} of {instrument.money_text(most)}"
        return _breach(RiskLimit.MAX_ORDER_NOTIONAL, text)
    after = abs(worst_position(exposure, instrument.id, side, size))
    if limits.max_position is not None and after > limits.max_position:
        text = f"{instrument.size_text(after)} of {instrument.size_text(limits.max_position)}"
        return _breach(RiskLimit.MAX_POSITION, f"{instrument.id}: {text}")
    standing = sum(one.state not in ENDED for one in exposure.orders)
    if limits.max_open_orders is not None and standing >= limits.max_open_orders:
        return _breach(RiskLimit.MAX_OPEN_ORDERS, f"{standing} orders may fill already")
    if limits.max_notional is None:
        return None
    whole = gross_notional(exposure) + worth
    if whole <= limits.max_notional:
        return None
    text = f"{instrument.money_text(whole)} of {instrument.money_text(limits.max_notional)}"
    return _breach(RiskLimit.MAX_NOTIONAL, text)


def gross_notional(exposure: Exposure) -> int:
    """Return the worth of all holdings at their marks, and of all that could still fill."""
    total = 0
    for instrument_id, held in exposure.holdings.items():
        mark = exposure.marks.get(instrument_id)
        if not held.size:
            continue
        instrument = exposure.instruments[instrument_id]
        worth = held.cost
        if mark is not None:
            worth = max(worth, instrument.notional(mark.price, abs(held.size), up=True))
        total += worth
    for one in exposure.orders:
        instrument = one.order.instrument
        total += max(instrument.notional(p, one.reserved, up=True) for p in one.worst_prices)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """The result of a bot over time: what it has made, and the highest that was."""

    result: int
    day_start: int
    peak: int
    day: int = 0
    """Days since the epoch, of the start of day."""


def result(exposure: Exposure) -> tuple[int, int]:
    """Return what was made in all, and the part of it that is unrealised; rounded down."""
    made = open_gain = 0
    for instrument_id, held in exposure.holdings.items():
        made += held.made
        mark = exposure.marks.get(instrument_id)
        price = mark.price if mark is not None else 0
        if held.size and (price or not exposure.instruments[instrument_id].inverse):
            open_gain += unrealised(held, exposure.instruments[instrument_id], price)
    return made + open_gain, open_gain


def breaches(limits: RiskLimits, equity: Equity, open_gain: int) -> tuple[Breach, ...]:
    """Return the losses that have reached their limit, hardest action first.

    Args:
        limits: of the bot.
        equity: as of marks that are fresh; doubtful ones are no ground to stop for.
        open_gain: the unrealised part.
    """
    found = []
    for limit, most, loss in (
        (RiskLimit.MAX_UNREALISED_LOSS, limits.max_unrealised_loss, -open_gain),
        (RiskLimit.MAX_DAILY_LOSS, limits.max_daily_loss, equity.day_start - equity.result),
        (RiskLimit.MAX_DRAWDOWN, limits.max_drawdown, equity.peak - equity.result),
    ):
        if most is not None and loss >= most:
            found.append(_breach(limit, f"a loss of {loss} reaches {most} units of money"))
    return tuple(found)


def _breach(limit: RiskLimit, detail: str) -> Breach:
    return Breach(limit=limit, action=ACTIONS[limit], detail=detail)
