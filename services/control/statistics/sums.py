"""Sums of what a subscription has done: those that are kept, and what they lack yet. Pure.

Before it: a subscription's row as it is shown. After it: its statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SUMS = (
    "leader_trades", "copied", "confirmed", "failed", "unresolved", "bought", "sold", "fees",
    "realised", "open_cost", "payouts", "paper_bought", "paper_sold", "paper_open_cost", "slippage",
)  # fmt: skip
"""Counts of trades and orders, and micros of USDC."""
_RETAINED = 200
"""Delays."""


def with_sums(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its sums and delays as they are now.

    Args:
        row: ``unkept`` is what they do not have yet, by the same names, None: nothing; all of them
            are None where nothing was ever kept.
    """
    kept, unkept = row["delays"], row["unkept"]
    if kept is not None and unkept is None:
        return row
    more = unkept or {}
    return {
        **row,
        **{name: (row[name] or 0) + more.get(name, 0) for name in SUMS},
        "delays": [*(kept or ()), *more.get("delays", ())][-_RETAINED:],
    }


def delays(of_copies: Sequence[int]) -> tuple[int, int, int] | None:
    """Median, 90th percentile, and the last one; None when there is none.

    Args:
        of_copies: oldest first.
    """
    if not of_copies:
        return None
    ordered, number = sorted(of_copies), len(of_copies)
    # Delays that there were: nothing is made up between two of them.
    return ordered[(number - 1) // 2], ordered[-(-9 * number // 10) - 1], of_copies[-1]
