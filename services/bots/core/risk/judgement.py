"""The limits of one bot, applied: to an order before it leaves, and to what stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.bots.core.risk.exposure import (
    CONTRACTS,
    Equity,
    Exposure,
    contract_notional,
    gross_notional,
    market_of,
    market_results,
    net_notional,
    reduces,
    worst_position,
)
from services.bots.core.risk.limits import PARTS, Breach, RiskLimits, breach
from tradingtools.domain.bot_order_states import ENDED
from tradingtools.domain.bot_risk import RiskLimit
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import AccountPosition, Funding

_L = RiskLimit
_SIDES: tuple[Side, Side] = ("BUY", "SELL")
Closed = dict[tuple[str, Side], Breach]


def admits(
    limits: RiskLimits,
    exposure: Exposure,
    *,
    instrument: Instrument,
    side: Side,
    price: int,
    size: int,
    now_ms: int,
    stopping: bool = False,
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
        stopping: all that is held is being closed, which no number of orders keeps waiting.
    """
    most = limits.max_orders_per_minute
    if most is not None and not stopping and exposure.sent_last_minute >= most:
        return breach(_L.MAX_ORDERS_PER_MINUTE, f"{most} orders left within a minute")
    if reduces(exposure, instrument.id, side, size):
        return None
    closed = exposure.closed.get((instrument.id, side))
    if closed is not None:
        return closed
    mark = exposure.marks.get(instrument.id)
    if mark is None or now_ms - mark.at_ms > limits.mark_age_ms:
        age = "there is none" if mark is None else f"it is {now_ms - mark.at_ms} ms old"
        return breach(_L.STALE_MARKS, f"no fresh mark of {instrument.id}: {age}")
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
        return breach(_L.MAX_ORDER_NOTIONAL, text)
    after = abs(worst_position(exposure, instrument.id, side, size))
    if limits.max_position is not None and after > limits.max_position:
        text = f"{instrument.size_text(after)} of {instrument.size_text(limits.max_position)}"
        return breach(_L.MAX_POSITION, f"{instrument.id}: {text}")
    standing = sum(one.state not in ENDED for one in exposure.orders)
    if limits.max_open_orders is not None and standing >= limits.max_open_orders:
        return breach(_L.MAX_OPEN_ORDERS, f"{standing} orders may fill already")
    return _passes_worth(limits, exposure, instrument, side, worth)


def _passes_worth(
    limits: RiskLimits, exposure: Exposure, instrument: Instrument, side: Side, worth: int
) -> Breach | None:
    if limits.max_notional is not None:
        whole = gross_notional(exposure) + worth
        if whole > limits.max_notional:
            return breach(_L.MAX_NOTIONAL, _of(instrument, whole, limits.max_notional))
    if limits.max_exposure is not None:
        net = net_notional(exposure, side) + worth
        if net > limits.max_exposure:
            return breach(_L.MAX_EXPOSURE, _of(instrument, net, limits.max_exposure))
    if limits.max_leverage is not None and instrument.kind in CONTRACTS:
        return _passes_leverage(limits.max_leverage, exposure, instrument, worth)
    return None


def _passes_leverage(
    most: int, exposure: Exposure, instrument: Instrument, worth: int
) -> Breach | None:
    currency = instrument.settle
    if exposure.money is None:
        return breach(_L.MAX_LEVERAGE, "the account's money is not known yet")
    total = exposure.money.get(currency)
    money = int(total.scaleb(instrument.money_digits)) if total is not None else 0
    whole = contract_notional(exposure, currency) + worth
    if whole * PARTS <= most * money:
        return None
    text = f"contracts of {_of(instrument, whole, money)} {currency}"
    return breach(_L.MAX_LEVERAGE, f"{text} of money, {_ratio(most)} times is the most")


def closed(
    limits: RiskLimits,
    exposure: Exposure,
    *,
    fundings: Mapping[str, Funding],
    doubted: Iterable[str],
    now_ms: int,
) -> Closed:
    """Return the sides of instruments on which nothing may open now, whatever its size.

    Args:
        limits: of the bot.
        exposure: as of now.
        fundings: the last told of each swap.
        doubted: instruments whose book may not be trusted.
        now_ms: milliseconds since the epoch.
    """
    found: Closed = {}
    for instrument_id in doubted:
        mark = exposure.marks.get(instrument_id)
        if mark is None or now_ms - mark.at_ms > limits.mark_age_ms:
            why = breach(_L.STALE_MARKS, f"the book of {instrument_id} is in doubt")
            found.update({(instrument_id, side): why for side in _SIDES})
    if limits.max_market_loss is not None:
        found.update(_lost(limits.max_market_loss, exposure))
    if limits.max_funding_rate is not None:
        for instrument_id, reported in fundings.items():
            # Longs pay a rate above zero, shorts one below.
            payer: Side = "BUY" if reported.rate > 0 else "SELL"
            if abs(reported.rate) * PARTS > limits.max_funding_rate:
                most = _ratio(limits.max_funding_rate)
                text = f"{instrument_id} pays {abs(reported.rate):f} of {most}"
                found[instrument_id, payer] = breach(_L.MAX_FUNDING_RATE, text)
    return found


def _lost(most: int, exposure: Exposure) -> Closed:
    found: Closed = {}
    results = market_results(exposure)
    for instrument in exposure.instruments.values():
        loss = -results.get(market_of(instrument), 0)
        if loss >= most and (loss or not most):
            text = f"{market_of(instrument)}: a loss of {_of(instrument, loss, most)}"
            found.update(
                {(instrument.id, side): breach(_L.MAX_MARKET_LOSS, text) for side in _SIDES}
            )
    return found


def breaches(
    limits: RiskLimits, equity: Equity, open_gain: int, *, money: Instrument
) -> tuple[Breach, ...]:
    """Return the losses that have reached their limit, hardest action first.

    Args:
        limits: of the bot.
        equity: as of marks that are fresh; doubtful ones are no ground to stop for.
        open_gain: the unrealised part.
        money: an instrument in whose units of money all of these are.
    """
    found = []
    for limit, most, loss in (
        (_L.MAX_UNREALISED_LOSS, limits.max_unrealised_loss, -open_gain),
        (_L.MAX_DAILY_LOSS, limits.max_daily_loss, equity.day_start - equity.result),
        (_L.MAX_DRAWDOWN, limits.max_drawdown, equity.peak - equity.result),
    ):
        if most is not None and loss >= most:
            text = f"a loss of {money.money_text(loss)} reaches {money.money_text(most)}"
            found.append(breach(limit, f"{text} {money.settle}"))
    return tuple(found)


def near_liquidation(limits: RiskLimits, positions: Iterable[AccountPosition]) -> Breach | None:
    """Return the breach when a position's mark is too near to where the venue liquidates it.

    Args:
        limits: of the bot.
        positions: of its account, in the instruments that it trades, as the venue told them.
    """
    least = limits.min_liquidation_buffer
    if least is None:
        return None
    for one in positions:
        if not one.size or one.liquidation_price is None or not one.mark_price:
            continue
        way = one.mark_price - one.liquidation_price if one.size > 0 else (
            one.liquidation_price - one.mark_price
        )  # fmt: skip
        if way * PARTS < least * one.mark_price:
            text = f"{one.instrument_id}: liquidation at {one.liquidation_price:f}"
            return breach(
                _L.MIN_LIQUIDATION_BUFFER,
                f"{text}, the mark is {one.mark_price:f}, the least way {_ratio(least)} of it",
            )
    return None


def _of(instrument: Instrument, amount: int, most: int) -> str:
    return f"{instrument.money_text(amount)} of {instrument.money_text(most)}"


def _ratio(parts: int) -> str:
    return f"{parts / PARTS:.6f}".rstrip("0").rstrip(".")
