"""Trades and payments of an exchange by itself, divided among the bots of an account. Pure.

An account has one position, its bots have holdings: who holds on the side that was closed bears it,
each by its part.
"""

from __future__ import annotations

from collections.abc import Mapping

from tradingtools.venues.ports import Side

STOPS = frozenset({"liquidation", "adl"})
"""Causes that stop a bot; the delivery of a contract that expires is its ordinary end."""


def order_id(cause: str, bot_id: str) -> str:
    """Return the id under which a bot books a trade that no order of it made."""
    return f"{cause}:{bot_id}"


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
