"""Answers about copies on paper, as REST and `tt` tell them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replay.core.copying import PaperFollower
from tradingtools.domain.money import MICROS, to_text


def outcome(follower: PaperFollower, marks: Mapping[str, int]) -> dict[str, Any]:
    """Return what came of following, as JSON values.

    Args:
        follower: who has followed.
        marks: USDC micros per share of what is held, by asset; absent: nobody knows.
    """
    sums, held = follower.sums, follower.held
    cost = sum(cost for _, cost in held.values())
    found = {
        "buys": sums.buys,
        "sells": sums.sells,
        "copied": sums.copied,
        "refused": [
            {"reason": str(reason), "count": count}
            for reason, count in sorted(sums.refused.items(), key=lambda one: (-one[1], one[0]))
        ],
        "orders": sums.orders,
        "unfilled_orders": sums.unfilled,
        "assumed_buys": sums.assumed_buys,
        "assumed_sells": sums.assumed_sells,
        "spent": to_text(sums.spent_micros),
        "received": to_text(sums.received_micros),
        "fees": to_text(sums.fees_micros),
        "realised": to_text(sums.realised_micros),
        "held_cost": to_text(cost),
        "held_outcomes": len(held),
        "unmarked_outcomes": sum(asset not in marks for asset in held),
        "leader_cost": to_text(sums.leader_micros),
    }
    if all(asset in marks for asset in held):
        value = sum(shares * marks[asset] // MICROS for asset, (shares, _) in held.items())
        found["held_value"] = to_text(value)
        found["profit"] = to_text(sums.realised_micros + value - cost)
    return found


def assumptions(follower: PaperFollower) -> list[str]:
    """Return what of an outcome is assumed, in words."""
    sums, found = follower.sums, []
    if sums.assumed_buys:
        found.append(
            f"{sums.assumed_buys} buys met no recorded book: they are filled whole at their limit,"
            " the worst that the slippage admits"
        )
    if sums.assumed_sells:
        found.append(
            f"{sums.assumed_sells} sales met no recorded book: they are filled whole, as far below"
            " the leader's price as an entry may be above it"
        )
    return found
