"""Trades and payments of an exchange by itself, divided among the bots of an account. Pure.

An account has one position, its bots have holdings: who holds on the side that was closed bears it,
each by its part.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.bots.core.holding import Holding
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill

ELSEWHERE = "elsewhere"
"""The cause of a trade with which a bot's holding follows an account that provably holds less."""
STOPS = frozenset({"liquidation", "adl"})
"""Causes that stop a bot; a delivery, a resolution or a merge is no harm."""
_RESOLUTION = "resolution"


def order_id(cause: str, bot_id: str) -> str:
    """Return the id under which a bot books a trade that no order of it made."""
    return f"{cause}:{bot_id}"


def payout(bot_id: str, instrument: Instrument, held: Holding, now_ms: int) -> Fill | None:
    """Return the trade that a resolution is: all shares for what each pays; None: there is none.

    Its id says up to which trade it pays, so that each share is paid once however often it is told
    and a trade that comes later, or is undone, is paid for itself.
    """
    if instrument.payout is None or not held.size:
        return None
    return Fill(
        trade_id=f"{instrument.symbol}:{held.volume}",
        order_id=order_id(_RESOLUTION, bot_id),
        venue_order_id="",
        instrument_id=instrument.id,
        side="SELL" if held.size > 0 else "BUY",
        price=instrument.payout,
        size=abs(held.size),
        fee=0,
        fee_currency=instrument.settle,
        maker=True,
        venue_ms=now_ms,
        forced=_RESOLUTION,
    )


def traded_elsewhere(
    bot_id: str, instrument: Instrument, held: Holding, size: int, mark: int | None, now_ms: int
) -> Fill:
    """Return the trade that makes a holding smaller by what its account has no more.

    It is booked at the mark, so that the bot's result stays what it was; without one, at cost.

    Args:
        bot_id: which one.
        instrument: of the holding.
        held: before it.
        size: that is gone, above zero.
        mark: in units of price; None: there is none.
        now_ms: milliseconds since the epoch.
    """
    price = mark or (instrument.price_at(held.cost, abs(held.size)) if held.cost else 0)
    price = max(price, 1)
    return Fill(
        trade_id=f"{instrument.symbol}:{now_ms}",
        order_id=order_id(ELSEWHERE, bot_id),
        venue_order_id="",
        instrument_id=instrument.id,
        side="SELL" if held.size > 0 else "BUY",
        price=price,
        size=size,
        fee=0,
        fee_currency=instrument.settle,
        maker=True,
        venue_ms=now_ms,
        forced=ELSEWHERE,
    )


def closed_sizes(sizes: Mapping[str, int], side: Side, size: int) -> dict[str, int]:
    """Return the size that each bot loses when the exchange trades for the account.

    Args:
        sizes: of the bots, by id; below zero: short.
        side: of the exchange's trade: SELL closes longs.
        size: of it. What is more than the bots hold is a stranger's.
    """
    held = {
        bot_id: abs(one)
        for bot_id, one in sorted(sizes.items())
        if one and (one > 0) == (side == "SELL")
    }
    return _divided(held, min(size, sum(held.values())))


def _divided(parts: Mapping[str, int], whole: int) -> dict[str, int]:
    """Divide by the largest remainders, so that nothing is lost."""
    total = sum(parts.values())
    if not whole or not total:
        return {}
    found = {one: whole * part // total for one, part in parts.items()}
    rests = sorted(parts, key=lambda one: (-(whole * parts[one] % total), one))
    for one in rests[: whole - sum(found.values())]:
        found[one] += 1
    return {one: size for one, size in found.items() if size}


def paid_amounts(sizes: Mapping[str, int], amount: int) -> dict[str, int]:
    """Return what each bot gets of a funding payment, each rounded down.

    Args:
        sizes: of the bots when it was paid, by id; below zero: short.
        amount: got for all; below zero: paid. Who holds the other side pays what the rest get.
    """
    total = sum(sizes.values())
    if not total:
        return {}
    return {one: amount * size // total for one, size in sorted(sizes.items()) if size}
