"""The position of a bot in one instrument, and what it has made: exact, in integers. Pure.

The cost of what is held is kept as a sum, so nothing is rounded until a part is closed; then the
part's share of it is rounded against us, and what is left keeps the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position. Size in units of size, below zero: short; the rest in units of money."""

    size: int = 0
    cost: int = 0
    """Notional of what is held, at the prices paid or got: never below zero."""
    realised: int = 0
    """Gains less losses of what was closed, before fees and funding."""
    fees: int = 0
    """Paid; below zero: rebates are more."""
    funding: int = 0
    """Got; below zero: paid."""
    volume: int = 0
    """Notional of all fills."""

    @property
    def made(self) -> int:
        """Return what has been realised after fees and funding."""
        return self.realised - self.fees + self.funding


def traded(
    holding: Holding, instrument: Instrument, *, side: Side, price: int, size: int, fee: int
) -> Holding:
    """Return the holding after a fill: it closes what is open on the other side, then opens.

    Args:
        holding: before it.
        instrument: what was traded.
        side: BUY adds, SELL takes away.
        price: in units of price.
        size: in units of size, above zero.
        fee: in units of money; below zero: a rebate.
    """
    signed = size if side == "BUY" else -size
    closing = min(size, abs(holding.size)) if holding.size * signed < 0 else 0
    after = replace(
        holding,
        fees=holding.fees + fee,
        volume=holding.volume + instrument.notional(price, size, up=True),
    )
    if closing:
        after = _closed(after, instrument, price, closing)
    opening = size - closing
    if not opening:
        return after
    direction = 1 if side == "BUY" else -1
    # What a long has cost is rounded up, what a short has brought is rounded down.
    gives_more = (side == "BUY") != instrument.inverse
    cost = instrument.notional(price, opening, up=gives_more)
    return replace(after, size=after.size + direction * opening, cost=after.cost + cost)


def _closed(holding: Holding, instrument: Instrument, price: int, size: int) -> Holding:
    long = holding.size > 0
    whole = size == abs(holding.size)
    # A long of a linear contract gains what it is sold for beyond its cost; an inverse one is
    # worth less base the higher its price, so that its gain is the other way round.
    gains_by_worth = long != instrument.inverse
    exact = holding.cost * size
    part = exact // abs(holding.size)
    if gains_by_worth and exact % abs(holding.size):
        part += 1
    part = holding.cost if whole else part
    worth = instrument.notional(price, size, up=not gains_by_worth)
    gained = worth - part if gains_by_worth else part - worth
    left = holding.size - size if long else holding.size + size
    return replace(holding, size=left, cost=holding.cost - part, realised=holding.realised + gained)


def booked(holding: Holding, instrument: Instrument, fill: Fill) -> Holding:
    """Return the holding after a fill that stands.

    A spot exchange takes the fee of a buy from what is bought: it is gone from the holding, and
    counts at the fill's price.
    """
    if fill.fee_currency == instrument.settle or instrument.kind is not InstrumentKind.SPOT:
        return traded(
            holding, instrument, side=fill.side, price=fill.price, size=fill.size, fee=fill.fee
        )
    above, below = 10**instrument.size_digits, 10**instrument.money_digits
    gone = -(-fill.fee * above // below)
    worth = instrument.notional(fill.price, abs(gone), up=gone > 0)
    after = traded(holding, instrument, side=fill.side, price=fill.price, size=fill.size, fee=0)
    left = after.size - gone
    # What is gone is sold for nothing; its worth is the fee, and its cost no loss besides.
    cost = after.cost - worth if after.size > 0 else after.cost
    return replace(
        after, size=left, cost=max(cost, 0), fees=after.fees + (worth if gone > 0 else -worth)
    )


def paid_funding(holding: Holding, amount: int) -> Holding:
    """Return the holding after a funding payment; above zero: it was got."""
    return replace(holding, funding=holding.funding + amount)


def unrealised(holding: Holding, instrument: Instrument, price: int) -> int:
    """Return the gain of closing all of it at a price, before fees, rounded down."""
    if not holding.size:
        return 0
    gains_by_worth = (holding.size > 0) != instrument.inverse
    worth = instrument.notional(price, abs(holding.size), up=not gains_by_worth)
    return worth - holding.cost if gains_by_worth else holding.cost - worth
