"""How much money an entry may still take: the mode's amount, cut by every cap.

Pure. Before it come the filters, after it the size. A cap that is absent does not limit; one of
zero allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription


class Skip(msgspec.Struct, frozen=True):
    """No order, and why."""

    reason: Reason
    detail: str
    accrued_micros: int = 0
    """USDC that the next copies of the outcome may spend instead."""
    small_micros: int = 0
    """Exits: shares that the leader's next sell takes along."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription and its wallet hold and have reserved, before an entry. Micros."""

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


class Room(msgspec.Struct, frozen=True):
    """What one limit leaves of the money, and how to say it."""

    reason: Reason
    micros: int
    detail: str


def mode_money(
    subscription: Subscription, leader_micros: int, leader_equity: int | None, equity: int | None
) -> int | Skip:
    """USDC that the mode gives for a leader's notional, before any cap. Rounded down."""
    money: int | Skip
    match subscription.sizing_mode:
        case SizingMode.FIXED:
            money = subscription.sizing_micros
        case SizingMode.RATIO:
            money = leader_micros * subscription.sizing_micros // MICROS
        case SizingMode.PROPORTIONAL:
            money = _proportional(leader_micros, leader_equity, equity)
        case SizingMode.TIERS:
            money = _tiered(subscription, leader_micros)
    factor = subscription.settings.multiplier_micros
    if isinstance(money, Skip) or factor is None:
        return money
    return money * factor // MICROS


def _proportional(leader_micros: int, leader_equity: int | None, equity: int | None) -> int | Skip:
    if not leader_equity or equity is None:
        whose = "the follower's" if leader_equity else "the leader's"
        return Skip(Reason.EQUITY_UNKNOWN, f"{whose} equity is not known")
    return leader_micros * equity // leader_equity


def _tiered(subscription: Subscription, leader_micros: int) -> int | Skip:
    tiers = subscription.settings.tiers
    reached = [tier for tier in tiers if tier.from_micros <= leader_micros]
    if not reached:
        first = to_text(tiers[0].from_micros) if tiers else "none"
        return Skip(Reason.NO_TIER, f"leader's {to_text(leader_micros)} < first tier {first}")
    tier = reached[-1]
    if tier.fixed_micros is not None:
        return tier.fixed_micros
    return leader_micros * (tier.ratio_micros or 0) // MICROS


def rooms(subscription: Subscription, ordered_micros: int, held: Exposure) -> Iterator[Room]:
    """What each limit that is present leaves; the parts ordered so far are in the exposure."""
    settings = subscription.settings
    for reason, cap, used in (
        (Reason.CAP_PER_TRADE, subscription.max_per_trade_micros, ordered_micros),
        (Reason.CAP_PER_MARKET, subscription.max_per_market_micros, held.market_micros),
        (Reason.CAP_PER_LEADER, settings.max_per_leader_micros, held.leader_micros),
        (Reason.CAP_TOTAL, settings.max_total_micros, held.total_micros),
        (Reason.CAP_PER_DAY, settings.max_per_day_micros, held.day_micros),
    ):
        if cap is not None:
            yield Room(reason, cap - used, f"limit {to_text(cap)} - used {to_text(used)}")
    if held.budget_micros is not None:
        yield Room(Reason.BUDGET, held.budget_micros, "the wallet's funding")
    if held.cash_micros is not None:
        yield Room(Reason.CASH, held.cash_micros, "the wallet's free cash")


def tightest(money_micros: int, limits: Iterator[Room]) -> Room:
    """The mode's money, or the first limit that leaves the least of all."""
    found = Room(Reason.NONE, money_micros, "")
    for room in limits:
        if room.micros < found.micros:
            found = room
    return found
