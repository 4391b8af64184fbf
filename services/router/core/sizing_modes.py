"""The modes of sizing: all that depends on which one a subscription has. Pure.

A new mode is a member of `SizingMode`, and a case of each function here: mypy names those that lack
it. Before it come the filters, after it the caps.
"""

from __future__ import annotations

from typing import assert_never

from services.router.core.caps import Skip
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription


def mode_money(
    subscription: Subscription, leader_micros: int, leader_equity: int | None, equity: int | None
) -> int | Skip:
    """Return USDC that the mode gives for a leader's notional, before caps. Rounded down."""
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
        case mode:
            assert_never(mode)
    factor = subscription.settings.multiplier_micros
    if isinstance(money, Skip):
        return money
    whole = MICROS if factor is None else factor
    return money * whole * subscription.scale_micros // MICROS**2


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


def implied_shares(subscription: Subscription, leader_micros: int) -> int | None:
    """Return the shares that the leader's holding implies, rounded up; None: no number follows.

    Only a ratio says how many are too many; a wrong sale costs more than a share too many.
    """
    match subscription.sizing_mode:
        case SizingMode.RATIO:
            factor = subscription.settings.multiplier_micros
            product = leader_micros * subscription.sizing_micros * subscription.scale_micros
            return -(-product * (MICROS if factor is None else factor) // MICROS**3)
        case SizingMode.FIXED | SizingMode.PROPORTIONAL | SizingMode.TIERS:
            return None
        case mode:
            assert_never(mode)


def follows_size(mode: SizingMode) -> bool:
    """Return whether what is to be held follows from the size of the leader's position.

    Otherwise it is an amount of money, of which what was spent counts.
    """
    match mode:
        case SizingMode.RATIO | SizingMode.PROPORTIONAL:
            return True
        case SizingMode.FIXED | SizingMode.TIERS:
            return False
        case _:
            assert_never(mode)
