"""The cost of a change through the MCP server, and its limits. Amounts are micros of USDC.

A preview says what its buys set aside at most. A subscription that is resumed may spend its limit
of a day, so one without such a limit cannot be resumed from here: absent is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tradingtools.domain.money import parse_exact, to_text

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Limits of an operator on what assistants may cost, micros of USDC."""

    per_call: int = 0
    per_day: int = 0

    def refusal(self, cost: int, spent_today: int) -> str:
        """Return why a call may not be made; empty: it may.

        Args:
            cost: of the call.
            spent_today: by the calls before it, in this UTC day.
        """
        if cost > self.per_call:
            return (
                f"it may cost {to_text(cost)} USDC; --usdc-per-call allows {to_text(self.per_call)}"
            )
        if spent_today + cost > self.per_day:
            return (
                f"it may cost {to_text(cost)} USDC, and calls of this UTC day have taken"
                f" {to_text(spent_today)}; --usdc-per-day allows {to_text(self.per_day)}"
            )
        return ""


def cost_of_resync(resync: Json) -> int:
    """Return what the buys of a preview set aside at most, highest fees included."""
    return sum(parse_exact(line["cost"]) for line in resync["lines"] if "cost" in line)


def cost_of_resuming(subscription: Json) -> int | None:
    """Return what a subscription may spend in a day once it is resumed; None: without end."""
    if subscription.get("shadow"):
        return 0
    limit = subscription.get("limits", {}).get("maxPerDay")
    return None if limit is None else parse_exact(limit)
