"""Cut the money that an entry may take by every cap.

Pure. Before it comes the mode's amount (`sizing_modes`), after it the size. A cap that is absent
does not limit; one of zero allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tradingtools.domain.money import to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription


class Skip(msgspec.Struct, frozen=True):
    """No order, and why."""

    reason: Reason
    detail: str
    accrued_micros: int = 0
    """USDC that the next copies of the outcome may spend instead."""
    small_micros: int = 0
    """Exits: shares that the leader's next sell takes along."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """The holdings and reservations of a subscription and its wallet before an entry. Micros."""

    market_micros: int = 0
    """USDC at cost in this market by this subscription."""
    leader_micros: int = 0
    """In all markets by this subscription."""
    total_micros: int = 0
    """In all markets by the wallet."""
    day_micros: int = 0
    """Spent by this subscription on the UTC day."""
    budget_micros: int | None = None
    """USDC of the wallet's funding that is free; None: the wallet was never funded."""
    cash_micros: int | None = None
    """USDC in the wallet that no open entry has reserved; None: unknown."""
    equity_micros: int | None = None
    """The wallet's funding, or its cash if it was never funded, and what is invested at cost; None:
    unknown."""
    positions: int = 0
    """Outcomes that this subscription holds or is buying."""
    buys: int = 0
    """Leader trades that it copied in this outcome."""
    holds_outcome: bool = False
    holds_other_outcome: bool = False
    leader_on_both: bool = False
    """The leader was seen to buy the market's other outcome, too."""
    accrued_micros: int = 0
    """USDC of copies of this outcome that were too small to be ordered."""


class Headroom(msgspec.Struct, frozen=True):
    """The money that one limit leaves, and how to say it."""

    reason: Reason
    micros: int
    detail: str


def rooms(subscription: Subscription, ordered_micros: int, held: Exposure) -> Iterator[Headroom]:
    """Return what each present limit leaves; parts ordered so far are in the exposure."""
    settings = subscription.settings
    for reason, cap, used in (
        (Reason.CAP_PER_TRADE, subscription.max_per_trade_micros, ordered_micros),
        (Reason.CAP_PER_MARKET, subscription.max_per_market_micros, held.market_micros),
        (Reason.CAP_PER_LEADER, settings.max_per_leader_micros, held.leader_micros),
        (Reason.CAP_TOTAL, settings.max_total_micros, held.total_micros),
        (Reason.CAP_PER_DAY, settings.max_per_day_micros, held.day_micros),
    ):
        if cap is not None:
            yield Headroom(reason, cap - used, f"limit {to_text(cap)} - used {to_text(used)}")
    if held.budget_micros is not None:
        yield Headroom(Reason.BUDGET, held.budget_micros, "the wallet's funding")
    if held.cash_micros is not None:
        yield Headroom(Reason.CASH, held.cash_micros, "the wallet's free cash")


def tightest(money_micros: int, limits: Iterator[Headroom]) -> Headroom:
    """Return the mode's money, or the first limit that leaves the least."""
    found = Headroom(Reason.NONE, money_micros, "")
    for room in limits:
        if room.micros < found.micros:
            found = room
    return found
